"""The reference leaves nothing out."""

from typing import Any

import pytest

from tidemill.api.crds import crds
from tidemill.api.reference import page
from tidemill.api.structural import nodes
from tidemill.api.unsupported import LIMITS

DEFINITIONS = crds()
PAGE = page(DEFINITIONS)


def schema_of(definition: dict[str, Any], part: str) -> dict[str, Any]:
    spec: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    return spec


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition["spec"]["names"]["kind"])
@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_has_a_row(definition: dict[str, Any], part: str) -> None:
    section = PAGE.split(f"### {definition['spec']['names']['kind']} {part}\n")[1].split("\n### ")[0]
    rows = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    fields = {
        f"{path}.{name}".lstrip(".")
        for path, node in nodes(schema_of(definition, part))
        for name in node.get("properties", {})
    }

    assert fields == rows


def test_a_row_tells_type_default_and_bounds() -> None:
    assert (
        "| `revisionHistoryLimit` | integer | Number of revisions that are listed in the status. Rows of others are deleted some days after the last object that refers to them. Default: `10`. From 1 to 100. |"
        in PAGE
    )
    assert (
        "| `rollout.steps` | list of object | Steps of the canary; the version is promoted after the last one. An edit during "
        "a rollout applies at once: the candidate gets the share of the step with the same number, or of the last one. "
        "Default: `[{weight: 5" in PAGE
    )


def test_every_rule_is_told() -> None:
    for definition in DEFINITIONS:
        for _, node in nodes(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]):
            for rule in node.get("x-kubernetes-validations", ()):
                assert rule["message"] in PAGE


def test_every_table_row_has_three_cells() -> None:
    rows = [line.replace("\\|", "") for line in PAGE.splitlines() if line.startswith("|")]

    assert {4} == {row.count("|") for row in rows}


@pytest.mark.parametrize("kind", LIMITS)
def test_a_field_that_is_not_supported_yet_says_so_in_its_description_and_in_a_list(kind: str) -> None:
    (schema,) = (
        schema_of(definition, "spec") for definition in DEFINITIONS if definition["spec"]["names"]["kind"] == kind
    )
    descriptions = {
        f"spec{path}.{name}": field["description"]
        for path, node in nodes(schema)
        for name, field in node.get("properties", {}).items()
    }
    noted = {path for path, description in descriptions.items() if "Not supported yet" in description}

    assert noted == {limit.path for limit in LIMITS[kind]}
    for limit in LIMITS[kind]:
        assert limit.note in descriptions[limit.path]
        assert f"| `{limit.path}` | {limit.values or 'all'} | {limit.remedy} |" in PAGE
