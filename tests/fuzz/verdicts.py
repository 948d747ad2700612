"""What a schema says of a value, read here once more, so that the API server is not its own judge.

Kubernetes' dialect: null where nothing may be null is the same as absence, absence is filled by defaults, unknown fields
are refused (as `kubectl` asks for), rules in CEL are not read. Where Kubernetes' own reading is a matter of taste, such as
a whole number written as 3.0, nothing is expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from fuzz.schemas import Schema

Verdict = Literal["Admit", "Refuse", "Either"]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_DAY = re.compile(r"(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", re.ASCII)
_INT64 = range(-(2**63), 2**63)


def verdict(schema: Schema, value: Any) -> Verdict:
    """What the schema says of `value`; rules may still refuse what it admits."""
    result = set(_judged(schema, value))
    return "Refuse" if "Refuse" in result else "Either" if "Either" in result else "Admit"


def _judged(schema: Schema, value: Any) -> Iterator[Verdict]:
    if value is None:
        # Where a schema names no type, Kubernetes lets null be an item of a list; what reads the object has to refuse it.
        yield "Admit" if schema.get("nullable") else "Refuse" if "type" in schema else "Either"
    elif schema.get("x-kubernetes-int-or-string"):
        yield from _int_or_string(schema, value)
    elif schema.get("type") is None:
        yield from _sizes(schema, value)
        if isinstance(value, dict):
            yield from _object(schema, value)
        elif isinstance(value, list) and "items" in schema:
            yield from _array(schema, value)
    elif "format" in schema and isinstance(value, list) and schema["type"] == "string":
        # Kubernetes does not look at the type of a list where a format is asked for; what reads the object has to.
        yield "Either"
    elif not _is(schema["type"], value):
        # 3.0 where a whole number is asked for.
        whole = schema["type"] == "integer" and isinstance(value, float) and value.is_integer()
        yield "Either" if whole and verdict(schema, int(value)) != "Refuse" else "Refuse"
    else:
        if "enum" in schema and value not in schema["enum"]:
            yield "Refuse"
        yield from _sizes(schema, value)
        if isinstance(value, dict):
            yield from _object(schema, value)
        elif isinstance(value, list):
            yield from _array(schema, value)


def _is(type_: str, value: Any) -> bool:
    if isinstance(value, bool):
        return type_ == "boolean"
    return isinstance(value, _TYPES[type_])


def _int_or_string(schema: Schema, value: Any) -> Iterator[Verdict]:
    if isinstance(value, bool) or not isinstance(value, int | str):
        yield "Either" if isinstance(value, float) and value.is_integer() else "Refuse"
    else:
        yield from _sizes(schema, value)


def _sizes(schema: Schema, value: Any) -> Iterator[Verdict]:
    if isinstance(value, str):
        yield _within(schema, "Length", len(value))
        if "pattern" in schema and not compiled(schema["pattern"]).search(value):
            yield "Refuse"
        if schema.get("format") == "date-time":
            yield "Admit" if _DAY.fullmatch(value) else "Either" if re.match(r"\d{4}-", value) else "Refuse"
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            yield "Either"
    elif isinstance(value, list):
        yield _within(schema, "Items", len(value))
    elif isinstance(value, dict):
        yield _within(schema, "Properties", len(value))
    elif not isinstance(value, bool):
        yield from _number(schema, value)


def _within(schema: Schema, what: str, size: int) -> Verdict:
    return "Admit" if schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", size) else "Refuse"


def _number(schema: Schema, value: float) -> Iterator[Verdict]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value <= low if schema.get("exclusiveMinimum") else value < low):
        yield "Refuse"
    if high is not None and (value >= high if schema.get("exclusiveMaximum") else value > high):
        yield "Refuse"
    if isinstance(value, int) and value not in _INT64:
        yield "Either"


def _object(schema: Schema, value: Mapping[str, Any]) -> Iterator[Verdict]:
    properties, others = schema.get("properties"), schema.get("additionalProperties")
    if properties is None:
        for inner in value.values():
            if inner is None:
                yield "Either"
            elif isinstance(others, Mapping):
                yield from _judged(others, inner)
        return
    for name in schema.get("required", ()):
        if value.get(name) is None and "default" not in properties[name]:
            yield "Refuse"
    for name, inner in value.items():
        if name not in properties:
            yield "Refuse"
        elif inner is not None or properties[name].get("nullable"):
            yield from _judged(properties[name], inner)
    # What a default brings in is filled by the defaults below it, and has to fit as well.
    for name, inner in properties.items():
        if value.get(name) is None and inner.get("default") == {}:
            yield from _judged(inner, {})


def _array(schema: Schema, value: list[Any]) -> Iterator[Verdict]:
    for inner in value:
        yield from _judged(schema["items"], inner)
    keys = schema.get("x-kubernetes-list-map-keys", ())
    keyed = value
    if keys:
        keyed = [[item.get(key) for key in keys] for item in value if isinstance(item, dict)]
    if keys or schema.get("x-kubernetes-list-type") == "set":
        spelled = [json.dumps(event, sort_keys=True) for event in keyed]
        if len(set(spelled)) < len(spelled):
            yield "Refuse"


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as Go reads it: `$` is the end of the text, also where a line ends just before."""
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.ASCII)
