"""What one namespace may say about another: nothing, but for the Gateway that a route asks to be let in by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tidemill.api import KINDS
from tidemill.api.crds import crd


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, inner in (schema.get("properties") or {}).items():
        yield f"{path}.{name}"
        yield from fields(inner, f"{path}.{name}")
    for nested in ("items", "additionalProperties"):
        if isinstance(schema.get(nested), dict):
            yield from fields(schema[nested], f"{path}[]")


# A Gateway mostly lies in a namespace of its own, and says itself whose routes it takes (Gateway API, allowedRoutes).
AGREED_ON_BOTH_SIDES = {".traffic.parentRefs[].namespace"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name)
def test_no_reference_can_name_another_namespace(kind: Any) -> None:
    definition = crd(kind)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert "Namespaced" == definition["spec"]["scope"]
    assert set() == {field for field in fields(schema) if "namespace" in field.lower()} - AGREED_ON_BOTH_SIDES
