"""Values that a schema admits: the least, all there is, or any by chance; and hosts in which a given location is filled."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

from fuzz import patterns
from fuzz.schemas import ITEM, VALUE, Path, Schema, accepted
from fuzz.verdicts import verdict

WORDS = ("fraud", "accuracy", "amount", "90s", "s3://lake/rows.parquet", "sha256:" + "0" * 64, "Ready", "any")
MOMENTS = ("2026-01-02T03:04:05Z", "1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z", "2026-02-01T00:00:00Z")
SCALARS = ("balanced", 0, 1, -3, 0.5, True, False, "", "None", 10**9)
QUANTITIES = ("250m", "1", "2Gi", "0.5", 1, 2, "1e3", "512M")
RESOURCES = ("cpu", "memory", "ephemeral-storage")

# The least that makes sense of each kind, with what the harness has; a kind that is not here gets the least that fits.
SEEDS: dict[str, dict[str, Any]] = {
    "Dataset": {"source": {"uri": "s3://lake/rows.parquet"}},
    "TrainingJob": {
        "modelName": "tried",
        "dataset": {"name": "rows"},
        "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
    },
    "ModelVersion": {
        "modelName": "tried",
        "artifact": {"uri": "s3://tidemill/models/tried", "digest": "sha256:" + "0" * 64},
    },
    "InferenceService": {"model": {"name": "known"}, "replicas": 1, "rollout": {"steps": []}},
    "DriftMonitor": {
        "target": {"inferenceService": "known"},
        "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
        "interval": "1h",
    },
}


def seed(kind: str, schema: Schema) -> dict[str, Any]:
    """A spec of a kind that says no more than it must."""
    if kind in SEEDS and verdict(schema, SEEDS[kind]) == "Admit":
        return copy.deepcopy(SEEDS[kind])
    made: dict[str, Any] = least(schema, random.Random(1))
    return {**made, **{name: value for name, value in SEEDS.get(kind, {}).items() if name in schema["properties"]}}


def least(schema: Schema, rng: random.Random) -> Any:
    """A value with nothing in it that may be left out."""
    return _made(schema, rng, 0.0, "", (), {})


def anything(kind: str, schema: Schema, rng: random.Random, odds: float = 0.35) -> Any:
    """A spec by chance: each field that may be left out is there with these odds; most keep the rules of the kind."""
    return _made(schema, rng, odds, kind, (), accepted(kind))


def _made(
    schema: Schema, rng: random.Random, odds: float, kind: str, path: Path, examples: Mapping[Path, tuple[Any, ...]]
) -> Any:
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return rng.choice(QUANTITIES)
    match schema.get("type"):
        case None:
            return rng.choice(SCALARS)
        case "object":
            return _object(schema, rng, odds, kind, path, examples)
        case "array":
            return _array(schema, rng, odds, kind, path, examples)
        case "string":
            return _text(schema, rng)
        case "boolean":
            return rng.random() < 0.5
        case number:
            return _number(schema, rng, whole=number == "integer")


def _object(
    schema: Schema, rng: random.Random, odds: float, kind: str, path: Path, examples: Mapping[Path, tuple[Any, ...]]
) -> dict[str, Any]:
    properties = schema.get("properties")
    if properties is None:
        inner = schema.get("additionalProperties") or {}
        names = RESOURCES if inner.get("x-kubernetes-int-or-string") else ("C", "penalty", "max_iter", "Größe")
        chosen = [name for name in names if rng.random() < odds][: schema.get("maxProperties", 4)]
        while len(chosen) < schema.get("minProperties", 0):
            chosen.append(f"field{len(chosen)}")
        return {name: _made(inner, rng, odds, kind, (*path, VALUE), examples) for name in chosen}
    made: dict[str, Any] = {}
    # Rules tie fields to each other: an example that keeps them is taken whole, and only others are added to it.
    tied = " ".join(rule["rule"] for rule in schema.get("x-kubernetes-validations", ()))
    if path and examples.get(path) and rng.random() < 0.85:
        made = copy.deepcopy(rng.choice(examples[path]))
    for name, inner in properties.items():
        if name in made:
            continue
        needed = name in schema.get("required", ())
        free = not made or f"self.{name}" not in tied
        if needed or (free and rng.random() < odds):
            made[name] = _made(inner, rng, odds, kind, (*path, name), examples)
    return made


def _array(
    schema: Schema, rng: random.Random, odds: float, kind: str, path: Path, examples: Mapping[Path, tuple[Any, ...]]
) -> list[Any]:
    low, high = schema.get("minItems", 0), schema.get("maxItems", 4)
    count = low if not odds else rng.randint(low, min(high, low + 3))
    made = [_made(schema["items"], rng, odds, kind, (*path, ITEM), examples) for _ in range(count)]
    return distinct(schema, made)


def distinct(schema: Schema, items: list[Any]) -> list[Any]:
    """`items`, each with a key of its own where the list asks for that."""
    for key in schema.get("x-kubernetes-list-map-keys", ()):
        inner = schema["items"]["properties"][key]
        for number, item in enumerate(items):
            if number and isinstance(item.get(key), str) and "enum" not in inner:
                ends = (str(number), "".join(chr(ord("a") + int(digit)) for digit in str(number)))
                room = min(inner.get("maxLength", 64), 256)
                tried = [f"{item[key][: room - len(end)].rstrip('-')}{end}" for end in ends]
                item[key] = next((entry for entry in tried if verdict(inner, entry) == "Admit"), item[key])
    return items


def _text(schema: Schema, rng: random.Random) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 64)
    if schema.get("format") == "date-time":
        return rng.choice(MOMENTS)
    pattern = schema.get("pattern")
    fitting = [word for word in WORDS if verdict(schema, word) == "Admit"]
    if fitting and (not pattern or rng.random() < 0.5):
        return rng.choice(fitting)
    if pattern:
        result = patterns.text(pattern, rng, least=low, most=high)
        if result is not None:
            return result
    return "x" * max(low, 1) if high else ""


def _number(schema: Schema, rng: random.Random, *, whole: bool) -> float:
    low, high = schema.get("minimum", -1000), schema.get("maximum", 1000)
    edge = 1 if whole else 0.001
    low += edge if schema.get("exclusiveMinimum") else 0
    high -= edge if schema.get("exclusiveMaximum") else 0
    high = max(high, low)
    if rng.random() < 0.3:
        return float(rng.choice((low, high))) if not whole else int(rng.choice((low, high)))
    near = min(high, low + 50)
    return rng.randint(int(low), int(near)) if whole else round(rng.uniform(low, near), 3)


def hosts(kind: str, schema: Schema, path: Path, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Specs with a value at `path`, the likeliest to keep all rules first."""
    yield from _hosts(schema, path, (), accepted(kind), seed(kind, schema), rng)


def _hosts(
    schema: Schema,
    path: Path,
    here: Path,
    examples: Mapping[Path, tuple[Any, ...]],
    known: Any,
    rng: random.Random,
) -> Iterator[Any]:
    if not path:
        if known is not None:
            yield known
        yield from copy.deepcopy(examples.get(here, ()))
        for _ in range(3):
            yield _made(schema, rng, 0.3, "", here, examples)
        return
    step, rest = path[0], path[1:]
    if step == ITEM:
        first = known[0] if isinstance(known, list) and known else None
        for inner in _hosts(schema["items"], rest, (*here, ITEM), examples, first, rng):
            yield [inner]
    elif step == VALUE:
        for inner in _hosts(schema["additionalProperties"], rest, (*here, VALUE), examples, None, rng):
            yield {"cpu" if schema["additionalProperties"].get("x-kubernetes-int-or-string") else "any": inner}
    else:
        bases = [known] if isinstance(known, dict) else []
        # A spec's own examples say little more than its least; the ones within it show how fields go together.
        bases += copy.deepcopy(list(examples.get(here, ())))
        bases.append(least(schema, rng))
        having = [base for base in bases if step in base]
        for base in [*having, *(base for base in bases if step not in base)]:
            inner_known = base.get(step)
            for inner in _hosts(schema["properties"][step], rest, (*here, step), examples, inner_known, rng):
                yield {**base, step: inner}


def put(value: Any, path: Path, change: Any) -> Any:
    """`value` with `change` at `path`, in the first item of each list on the way; ABSENT takes away what is there."""
    if not path:
        return change
    step, rest = path[0], path[1:]
    if step == ITEM:
        head = put(value[0] if value else {}, rest, change)
        return [*([] if head is ABSENT else [head]), *value[1:]]
    if step == VALUE:
        name = next(iter(value), "any")
        return _with(value, name, put(value.get(name), rest, change))
    return _with(value, step, put((value or {}).get(step), rest, change))


def at(value: Any, path: Path) -> Any:
    """What stands at `path` in a host of it."""
    for step in path:
        value = value[0] if step == ITEM else next(iter(value.values())) if step == VALUE else value[step]
    return value


def _with(value: Any, name: str, change: Any) -> dict[str, Any]:
    kept = {other: inner for other, inner in (value or {}).items() if other != name}
    return kept if change is ABSENT else {**kept, name: change}


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
"""No value at all."""
