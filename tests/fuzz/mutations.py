"""How a value at one location can be made wrong, odd or extreme."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from fuzz import patterns
from fuzz.schemas import Location, Schema, rejected
from fuzz.specimens import ABSENT, distinct, least

LONG = "x" * 10_240
CONTROL = "a\x00b\x07c\x1b[31m\x7f"
UNICODE = ("ünïcødé", "数据集", "\u202egnirts", "🌊" * 8, "e\u0301" * 20, "ﬁ\u00a0\u2028", "\ud800")
OTHERS: tuple[Any, ...] = ("text", 12, 0.5, True, [], {}, ["x"], {"x": "y"})
BIG = (2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1)
KEYS = ("", "a/b", "a b", "x" * 400, "数据", "-", "requests.cpu", "nvidia.com/gpu", "\x01")
Mutation = tuple[str, Any]


def mutations(location: Location, valid: Any, rng: random.Random) -> Iterator[Mutation]:
    """Names of mutations, and what then stands at the location instead of the `valid` value."""
    schema = location.schema
    yield "absent", ABSENT
    yield "null", None
    yield from _wrong_types(schema)
    for number, example in enumerate(rejected(location.kind).get(location.path, ())):
        # An item's example alone: its list needs its own keys, which the rest of the host has.
        yield f"against a rule {number}", {**valid, **example} if isinstance(valid, dict) else example
    if "enum" in schema:
        yield from _choices(schema)
    elif schema.get("x-kubernetes-int-or-string"):
        yield from _quantities()
    elif schema.get("type") is None:
        yield from ((f"scalar {number}", value) for number, value in enumerate(("", 0, -1, 1e308, False, LONG, "1")))
    else:
        match schema["type"]:
            case "string":
                yield from _texts(schema, valid, rng)
            case "integer" | "number":
                yield from _numbers(schema)
            case "array":
                yield from _lists(schema, valid, rng)
            case "object":
                yield from _objects(schema, valid, rng)


def _wrong_types(schema: Schema) -> Iterator[Mutation]:
    for value in OTHERS:
        yield f"{type(value).__name__} {str(value)[:8]!r}", value


def _choices(schema: Schema) -> Iterator[Mutation]:
    for value in schema["enum"]:
        yield f"choice {value}", value
    first = schema["enum"][0]
    yield from (("bad choice", "Nonsense"), ("empty", ""), ("lower case", first.lower()), ("with a blank", f"{first} "))
    yield from (("long", LONG), ("control characters", CONTROL), ("unicode", UNICODE[0]))


def _texts(schema: Schema, valid: str, rng: random.Random) -> Iterator[Mutation]:
    yield from (("empty", ""), ("blank", " "), ("long", LONG), ("control characters", CONTROL))
    yield from ((f"unicode {number}", text) for number, text in enumerate(UNICODE))
    yield from (("a line more", f"{valid}\n"), ("blank before", f" {valid}"), ("upper case", valid.upper()))
    yield from (("path", "../../etc/passwd"), ("template", "{{ .Values }} $(HOME) %s"), ("yes", "yes"))
    pattern = schema.get("pattern", "")
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    for name, length in (("shortest", low), ("too short", low - 1), ("longest", high), ("too long", high and high + 1)):
        if length is None or length < 0:
            continue
        fitting = patterns.text(pattern, rng, most=length, wanted=length) if pattern else None
        yield name, fitting if fitting is not None else "y" * length
    if pattern:
        for number in range(4):
            made = patterns.text(pattern, rng, least=low, most=high or 64)
            if made is not None:
                yield f"fitting {number}", made
    if high is not None and not pattern:
        yield "longest of wide letters", "🌊" * high
    if schema.get("format") == "date-time":
        for moment in MOMENTS:
            yield f"moment {moment}", moment


MOMENTS = (
    "0001-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+12:00",
    "2026-02-30T00:00:00Z",
    "2026-01-01T23:59:60Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:00.123456789Z",
    "2026-01-01t00:00:00z",
    "2026-01-01 00:00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00",
)


def _numbers(schema: Schema) -> Iterator[Mutation]:
    whole = schema["type"] == "integer"
    step = 1 if whole else 1e-6
    for bound in ("minimum", "maximum"):
        if bound in schema:
            for name, value in (("below", -step), ("at", 0), ("above", step)):
                yield f"{name} {bound}", schema[bound] + value
    yield from (("zero", 0), ("minus one", -1), ("one", 1), ("1.5", 1.5), ("3.0", 3.0), ("text", "1"))
    yield from ((f"big {value}", value) for value in BIG)
    yield from (("huge", 1e308), ("tiny", 5e-324), ("minus zero", -0.0), ("minus huge", -1e308))


def _quantities() -> Iterator[Mutation]:
    for value in (
        "0",
        0,
        "1e9",
        "-1",
        -1,
        "1.5",
        "0.0001",
        "1Ei",
        "1e400",
        "",
        "1 ",
        "1gi",
        "0x10",
        "٣",
        "9" * 64,
        "9" * 65,
    ):
        yield f"quantity {str(value)[:10]!r}", value


def _lists(schema: Schema, valid: list[Any], rng: random.Random) -> Iterator[Mutation]:
    item = valid[0] if valid else least(schema["items"], rng)
    yield from (("empty", []), ("null item", [None]), ("twice the same", [item, item]), ("mixed", [item, 1, None]))
    low, high = schema.get("minItems", 0), schema.get("maxItems", 64)
    for name, count in (("fewest", low), ("too few", low - 1), ("most", high), ("too many", high + 1), ("1000", 1000)):
        if count >= 0:
            yield f"{name} items", several(schema, item, count)


def several(schema: Schema, item: Any, count: int) -> list[Any]:
    """So many items like `item`, each with a key of its own."""
    return distinct(schema, [dict(item) if isinstance(item, dict) else item for _ in range(count)])


def _objects(schema: Schema, valid: dict[str, Any], rng: random.Random) -> Iterator[Mutation]:
    yield "empty", {}
    yield "unknown field", {**valid, "unknownField": 1}
    properties = schema.get("properties")
    if properties is None:
        yield from _maps(schema, valid, rng)
        return
    yield "every field null", dict.fromkeys(properties)
    everything = {name: valid.get(name, least(inner, rng)) for name, inner in properties.items()}
    yield "every field at once", everything
    for name in properties:
        if name not in schema.get("required", ()):
            # Fields that exclude each other, and those that need each other.
            yield f"with {name}", {**valid, name: everything[name]}
            yield f"without {name}", {other: value for other, value in everything.items() if other != name}


def _maps(schema: Schema, valid: dict[str, Any], rng: random.Random) -> Iterator[Mutation]:
    inner = schema.get("additionalProperties")
    value = next(iter(valid.values()), least(inner, rng) if isinstance(inner, Mapping) else "x")
    yield from ((f"key {key[:8]!r}", {key: value}) for key in KEYS)
    most = schema.get("maxProperties", 16)
    for name, count in (("most", most), ("too many", most + 1), ("1000", 1000)):
        yield f"{name} entries", {f"k{number}": value for number in range(count)}
    yield "null value", {"x": None}
