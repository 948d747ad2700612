"""The definitions themselves: names, columns and subresources."""

from typing import Any

import pytest

from tidemill.api import KINDS
from tidemill.api.crds import NAME_LIMIT, NAME_RULE, crd, crds, schema
from tidemill.children import names

DEFINITIONS = [pytest.param(definition, id=definition["spec"]["names"]["kind"]) for definition in crds()]


def version(definition: dict[str, Any]) -> dict[str, Any]:
    (only,) = definition["spec"]["versions"]
    return dict(only)


def test_there_is_one_definition_for_each_kind() -> None:
    listed = [definition["metadata"]["name"] for definition in crds()]

    assert [f"{kind.plural}.tidemill.dev" for kind in KINDS] == listed


def test_making_them_twice_says_the_same() -> None:
    assert crds() == crds()


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_kind_has_a_short_name_of_its_own_and_the_common_categories(definition: dict[str, Any]) -> None:
    spec_names = definition["spec"]["names"]

    assert all(short.startswith("t") and len(short) == 3 for short in spec_names["shortNames"])
    assert ["tidemill", "mlops"] == spec_names["categories"]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_new_object_says_that_nobody_has_looked_at_it(definition: dict[str, Any]) -> None:
    status = version(definition)["schema"]["openAPIV3Schema"]["properties"]["status"]

    assert {"observedGeneration": -1} == status["default"]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_columns_end_with_readiness_its_reason_and_the_age(definition: dict[str, Any]) -> None:
    columns = [column["name"] for column in version(definition)["additionalPrinterColumns"]]

    assert ["Ready", "Status", "Age"] == columns[-3:]


def test_only_what_has_replicas_can_be_scaled() -> None:
    scalable = [kind.kind_name for kind in KINDS if "scale" in version(crd(kind))["subresources"]]

    assert ["InferenceService"] == scalable


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name)
def test_a_name_leaves_room_for_the_names_of_children(kind: Any) -> None:
    assert NAME_RULE.rule in [rule["rule"] for rule in schema(kind)["x-kubernetes-validations"]]
    assert "a" * NAME_LIMIT + "-candidate" == names.candidate("a" * NAME_LIMIT)
