"""The Kubernetes API conventions, held over the definitions as they lie in crds/.

The rules are those of kube-api-linter that can be seen in a schema: ArrayOfStruct, Conditions, DefaultOrRequired, Defaults,
Integers, MaxLength, NamingConventions, NoDurations, Nomaps, NoNullable, Nophase, NoReferences, Notimestamp, SSATags,
StatusOptional and StatusSubresource. The others speak of Go: its tags, its markers, its pointers. Held otherwise, on purpose:
NoFloats, since numbers that gate are `number`, the field's own form; CommentStart, since both ways of reading a description
print the field's name in front; NoBools (which is off by default), since a switch is a switch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill.api.structural import nodes

FILES = sorted(
    path for path in (Path(__file__).parents[3] / "crds").glob("*.yaml") if path.name != "kustomization.yaml"
)
DEFINITIONS = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
KINDS = pytest.mark.parametrize("name", DEFINITIONS)
CAMEL = re.compile(r"^[a-z][a-z0-9]*([A-Z][a-z0-9]*)*$")
WORD = re.compile(r"^[A-Z][A-Za-z0-9]*$")


def whole(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = DEFINITIONS[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return spec


def part(name: str, which: str) -> dict[str, Any]:
    spec: dict[str, Any] = whole(name)["properties"][which]
    return spec


def fields(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of spec and status, with the path to it."""
    for which in ("spec", "status"):
        for path, node in nodes(part(name, which), f".{which}"):
            for field, schema in node.get("properties", {}).items():
                yield f"{path}.{field}", schema


def test_the_five_definitions_are_there() -> None:
    assert 5 == len(DEFINITIONS)


@KINDS
def test_fields_are_in_camel_case(name: str) -> None:
    assert [] == [path for path, _ in fields(name) if not CAMEL.match(path.rpartition(".")[2])]


@KINDS
def test_every_field_is_described_in_a_sentence(name: str) -> None:
    mute = [path for path, schema in fields(name) if not re.search(r"[.!?`]$", schema.get("description", ""))]

    assert [] == mute


@KINDS
def test_choices_are_words_in_pascal_case(name: str) -> None:
    odd = [
        f"{path}: {value}" for path, schema in fields(name) for value in schema.get("enum", ()) if not WORD.match(value)
    ]

    assert [] == odd


@KINDS
def test_a_rule_stands_by_each_fractional_bound_which_the_api_server_cuts_for_whole_numbers(name: str) -> None:
    alone = [
        f"{path}.{field}"
        for path, node in nodes(part(name, "spec"))
        for field, schema in node.get("properties", {}).items()
        if not float(schema.get("minimum", 0)).is_integer()
        and not any(f"self.{field} >=" in rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    ]

    assert [] == alone


@KINDS
def test_integers_have_a_width(name: str) -> None:
    bare = [
        path
        for path, schema in fields(name)
        if schema.get("type") == "integer" and schema.get("format") not in ("int32", "int64")
    ]

    assert [] == bare


@KINDS
def test_nothing_is_nullable(name: str) -> None:
    assert [] == [path for path, schema in fields(name) if schema.get("nullable")]


@KINDS
def test_what_is_required_has_no_default(name: str) -> None:
    both = [
        f"{path}.{field}"
        for path, node in nodes(whole(name))
        for field in node.get("required", ())
        if "default" in node["properties"][field]
    ]

    assert [] == both


@KINDS
def test_every_list_says_how_it_is_merged(name: str) -> None:
    silent = [
        path
        for path, schema in fields(name)
        if schema.get("type") == "array" and schema.get("x-kubernetes-list-type") not in ("atomic", "map", "set")
    ]

    assert [] == silent


@KINDS
def test_conditions_are_a_list_by_type_with_the_usual_fields(name: str) -> None:
    conditions = part(name, "status")["properties"]["conditions"]

    assert ("map", ["type"]) == (
        conditions["x-kubernetes-list-type"],
        conditions["x-kubernetes-list-map-keys"],
    )
    usual = {"type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"}
    assert usual == conditions["items"]["properties"].keys()
    assert {"type", "status", "reason", "lastTransitionTime"} <= set(conditions["items"]["required"])


@KINDS
def test_status_is_a_subresource_that_observes_a_generation_and_has_no_phase(name: str) -> None:
    assert "status" in DEFINITIONS[name]["spec"]["versions"][0]["subresources"]
    assert "observedGeneration" in part(name, "status")["properties"]
    assert "phase" not in part(name, "status")["properties"]


@KINDS
def test_nothing_is_filled_into_a_status_but_that_nobody_has_looked(name: str) -> None:
    below = [path for path, schema in fields(name) if path.startswith(".status.") and "default" in schema]

    assert [] == below


@KINDS
def test_moments_are_named_and_written_as_such(name: str) -> None:
    odd = [
        path
        for path, schema in fields(name)
        if re.search(r"(At|Time|since)$", path) and schema.get("format") != "date-time"
    ]

    assert [] == odd
    assert [] == [path for path, _ in fields(name) if "timestamp" in path.lower()]


@KINDS
def test_everything_a_user_writes_is_bounded(name: str) -> None:
    needed = {"string": "maxLength", "array": "maxItems", "integer": "maximum"}
    loose = [
        path
        for path, node in nodes(part(name, "spec"), ".spec")
        if node.get("type") in needed
        and needed[node["type"]] not in node
        and "enum" not in node
        and node.get("format") != "date-time"
    ]

    assert [] == loose


@KINDS
def test_replicas_are_never_filled_in(name: str) -> None:
    """An autoscaler owns them where the spec gives no number."""
    assert [] == [path for path, schema in fields(name) if path.endswith(".replicas") and "default" in schema]


@KINDS
def test_rules_speak_to_people(name: str) -> None:
    for path, node in nodes(whole(name)):
        for rule in node.get("x-kubernetes-validations", ()):
            assert len(rule["message"]) > 10, path
            assert "self" not in rule["message"].split(), path


@KINDS
def test_what_lists_hold_is_told_apart_by_something_required(name: str) -> None:
    vague = [
        path
        for path, node in nodes(whole(name))
        if path.endswith("[]") and "properties" in node and not node.get("required")
    ]

    assert [] == vague


@KINDS
def test_maps_hold_plain_values(name: str) -> None:
    """What has a structure is a list with a key, which can be merged and extended."""
    nested = [
        path
        for path, node in nodes(whole(name))
        if isinstance(inside := node.get("additionalProperties"), dict)
        and (inside.get("type") in ("array", "object") or "properties" in inside)
    ]

    assert [] == nested


@KINDS
def test_what_refers_to_an_object_is_called_ref(name: str) -> None:
    references = [path for path, _ in fields(name) if re.search(r"[a-z]References?$", path)]

    assert [] == references


@KINDS
def test_durations_are_text_with_a_unit_and_never_a_bare_number(name: str) -> None:
    bare = [
        path
        for path, schema in fields(name)
        if re.search(r"([iI]nterval|[tT]imeout|[wW]indow|[pP]ause|[pP]eriod|[dD]eadline|timeBudget|rateLimit)$", path)
        and schema.get("type") in ("integer", "number")
    ]

    assert [] == bare
    assert [] == [path for path, schema in fields(name) if schema.get("format") == "duration"]


@KINDS
def test_a_status_is_optional_and_conditions_are_not_needed_in_it(name: str) -> None:
    assert ["spec"] == whole(name)["required"]
    assert [] == part(name, "status").get("required", [])


@KINDS
def test_a_default_is_a_value_that_the_schema_allows(name: str) -> None:
    odd = [
        path
        for path, schema in fields(name)
        if "default" in schema
        and (
            ("enum" in schema and schema["default"] not in schema["enum"])
            or ("pattern" in schema and not re.search(schema["pattern"], schema["default"]))
            or not schema.get("minimum", schema["default"]) <= schema["default"]
            or not schema["default"] <= schema.get("maximum", schema["default"])
            if not isinstance(schema.get("default"), dict | list)
            else False
        )
    ]

    assert [] == odd


@KINDS
def test_only_what_waits_for_a_later_version_is_without_a_rule_for_its_choice(name: str) -> None:
    """A union says that one of its fields is set: an object of optional objects alone has a rule."""
    unruled = [
        path
        for path, node in nodes(part(name, "spec"), ".spec")
        if len(node.get("properties", {})) > 1
        and not node.get("required")
        and all("default" not in inner for inner in node["properties"].values())
        and all(inner.get("type") == "object" and "properties" in inner for inner in node["properties"].values())
        and not node.get("x-kubernetes-validations")
    ]

    assert [] == unruled
