"""Our own reading of schemas: as strict as Kubernetes', and silent where Kubernetes has a taste of its own."""

from __future__ import annotations

from typing import Any

import pytest

from fuzz.verdicts import verdict

NAME = {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 1}
COUNT = {"type": "integer", "minimum": 1, "maximum": 9}
LIST = {
    "type": "array",
    "maxItems": 2,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {"type": "object", "required": ["name"], "properties": {"name": NAME}},
}
WHOLE = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": NAME, "count": {**COUNT, "default": 3}, "items": LIST},
}
SCALAR = {"maxItems": 0, "minItems": 1, "maxProperties": 0, "minProperties": 1, "maxLength": 3}

CASES: dict[str, tuple[dict[str, Any], Any, str]] = {
    "the least": (WHOLE, {"name": "a"}, "Admit"),
    "what is needed is absent": (WHOLE, {}, "Refuse"),
    "null is absence": (WHOLE, {"name": "a", "count": None}, "Admit"),
    "null where something is needed": (WHOLE, {"name": None}, "Refuse"),
    "an unknown field": (WHOLE, {"name": "a", "other": 1}, "Refuse"),
    "a line after the end is no end": (NAME, "a\n", "Refuse"),
    "as long as can be": (NAME, "abcde", "Admit"),
    "one letter too long": (NAME, "abcdef", "Refuse"),
    "at the bound": (COUNT, 9, "Admit"),
    "above the bound": (COUNT, 10, "Refuse"),
    "true is no number": (COUNT, True, "Refuse"),
    "a whole number with a point": (COUNT, 3.0, "Either"),
    "a whole number with a point beyond the bound": (COUNT, 10.0, "Refuse"),
    "one key twice": (LIST, [{"name": "a"}, {"name": "a"}], "Refuse"),
    "null as an item": (LIST, [None], "Refuse"),
    "a scalar": (SCALAR, True, "Admit"),
    "a list is no scalar": (SCALAR, ["a"], "Refuse"),
    "an empty object is no scalar": (SCALAR, {}, "Refuse"),
    "a moment": ({"type": "string", "format": "date-time"}, "2026-01-02T03:04:05Z", "Admit"),
    "no moment": ({"type": "string", "format": "date-time"}, "tomorrow", "Refuse"),
    "a day that no month has": ({"type": "string", "format": "date-time"}, "2026-02-30T00:00:00Z", "Either"),
}


@pytest.mark.parametrize(("schema", "value", "expected"), CASES.values(), ids=CASES)
def test_a_value_is_read_as_kubernetes_reads_it(schema: dict[str, Any], value: Any, expected: str) -> None:
    assert expected == verdict(schema, value)
