"""The reference leaves nothing out."""

from typing import Any

import pytest

from tidemill.api.crds import crds
from tidemill.api.reference import page
from tidemill.api.structural import nodes

DEFINITIONS = crds()
PAGE = page(DEFINITIONS)


def schema_of(definition: dict[str, Any], part: str) -> dict[str, Any]:
    found: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    return found


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
        "| `revisionHistoryLimit` | integer | How many revisions the status names. Default: `10`. From 1 to 100. |"
        in PAGE
    )
    assert (
        "| `rollout.steps` | list of object | The stages; after the last one the version is promoted. Default: `[{weight: 5"
        in PAGE
    )


def test_every_rule_is_told() -> None:
    for definition in DEFINITIONS:
        for _, node in nodes(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]):
            for rule in node.get("x-kubernetes-validations", ()):
                assert rule["message"] in PAGE


def test_every_table_row_has_three_cells() -> None:
    rows = [line.replace("\\|", "") for line in PAGE.splitlines() if line.startswith("|")]

    assert {4} == {row.count("|") for row in rows}
