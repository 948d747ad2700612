"""What the models say, the API server can be told: structurally, bounded, and with a word on every field."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from tidemill.api import KINDS
from tidemill.api.base import MAX_PARAMETER_ITEMS, Parameter, Quantities, Rule, Scalar, WireModel
from tidemill.api.crds import model_of
from tidemill.api.structural import TIMESTAMP_PATTERN, UnfitModel, nodes, structural
from tidemill.api.tuning import Choices

EVERY_SPEC_AND_STATUS = [
    pytest.param(kind, part, id=f"{kind.kind_name}.{part}") for kind in KINDS for part in ("spec", "status")
]


class Boat(WireModel):
    """Something that floats."""

    list_key: ClassVar[str] = "name"

    name: str = Field(max_length=10)
    """What it is called."""
    seats: int = Field(default=2, ge=1)
    """For how many."""

    rules: ClassVar[tuple[Rule, ...]] = (Rule("self.seats < 9", "it would sink", accepts={}, rejects={}),)


class Harbour(WireModel):
    """Where boats lie."""

    depth: float = Field(gt=0)
    """In metres."""
    flag: Literal["Red", "Green"] = "Green"
    """Whether to sail."""
    first: Boat | None = None
    """The oldest one."""
    fleet: tuple[Boat, ...] = Field(default=(Boat(name="Argo"),), max_length=3)
    """All of them."""
    opened: datetime | None = None
    """Since when."""
    notes: tuple[str, ...] = Field(default=(), max_length=3)
    """Whatever."""
    cargo: dict[str, Scalar] = Field(default_factory=dict, max_length=4)
    """What is on board."""
    rig: dict[str, Parameter] = Field(default_factory=dict, max_length=4)
    """How it is set up."""
    crane: Quantities = Quantities()
    """What it lifts."""


def field(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = structural(Harbour, bounded=False)["properties"][name]
    return schema


def test_a_docstring_becomes_the_description() -> None:
    assert "In metres." == field("depth")["description"]


def test_the_field_s_own_words_win_over_those_of_its_type() -> None:
    assert "The oldest one." == field("first")["description"]
    assert "Something that floats." == field("fleet")["items"]["description"]


def test_only_what_has_no_default_is_required() -> None:
    assert ["depth"] == structural(Harbour, bounded=False)["required"]


def test_what_is_optional_is_left_out_and_never_null() -> None:
    assert {
        "description": "Since when.",
        "format": "date-time",
        "pattern": TIMESTAMP_PATTERN,
        "type": "string",
    } == field("opened")


def test_a_default_says_only_what_its_own_defaults_do_not() -> None:
    assert [{"name": "Argo"}] == field("fleet")["default"]
    assert {} == field("crane")["default"]


def test_an_empty_default_is_not_said() -> None:
    assert "default" not in field("notes")
    assert "default" not in field("cargo")
    assert "default" not in field("first")


def test_defaults_within_a_list_are_told_and_not_filled_in() -> None:
    seats = field("fleet")["items"]["properties"]["seats"]

    assert "default" not in seats
    assert "For how many. Default: `2`." == seats["description"]
    assert 2 == field("first")["properties"]["seats"]["default"]


def test_defaults_can_be_left_to_the_writer() -> None:
    keywords = [word for _, node in nodes(structural(Harbour, defaults=False, bounded=False)) for word in node]

    assert "default" not in keywords


def test_an_exclusive_bound_is_a_number_and_a_flag() -> None:
    assert (0, True) == (field("depth")["minimum"], field("depth")["exclusiveMinimum"])


def test_a_choice_of_words_is_an_enum() -> None:
    assert ["Red", "Green"] == field("flag")["enum"]


def test_a_rule_stands_on_its_own_model_wherever_that_is_used() -> None:
    rule = [{"rule": "self.seats < 9", "message": "it would sink"}]

    assert rule == field("first")["x-kubernetes-validations"]
    assert rule == field("fleet")["items"]["x-kubernetes-validations"]


def test_a_list_of_things_with_a_key_is_merged_by_it() -> None:
    assert ("map", ["name"]) == (
        field("fleet")["x-kubernetes-list-type"],
        field("fleet")["x-kubernetes-list-map-keys"],
    )
    assert "atomic" == field("notes")["x-kubernetes-list-type"]


def test_a_quantity_is_a_number_or_text() -> None:
    quantity = field("crane")["properties"]["limits"]["additionalProperties"]

    assert quantity["x-kubernetes-int-or-string"] is True
    assert "type" not in quantity


def test_a_scalar_cannot_be_an_object_or_an_array() -> None:
    scalar = field("cargo")["additionalProperties"]

    assert scalar["minProperties"] > scalar["maxProperties"]
    assert scalar["minItems"] > scalar["maxItems"]


def test_a_parameter_is_a_scalar_or_a_bounded_list_or_map_of_these() -> None:
    parameter = field("rig")["additionalProperties"]

    assert (1, MAX_PARAMETER_ITEMS) == (parameter["minItems"], parameter["maxItems"])
    assert (1, MAX_PARAMETER_ITEMS) == (parameter["minProperties"], parameter["maxProperties"])
    assert 1024 == parameter["maxLength"]
    for item in (parameter["items"], parameter["additionalProperties"]):
        assert item["minItems"] > item["maxItems"]
        assert item["minProperties"] > item["maxProperties"]
    for given in ("a", 1, 0.5, True, [64, 32], {"a": 2}):
        adapter: TypeAdapter[Any] = TypeAdapter(Parameter)
        assert given == adapter.dump_python(adapter.validate_python(given), mode="json")
    for refused in ([], {}, [[1]], {"a": [1]}, {"a": {"b": 1}}, [None], list(range(65))):
        with pytest.raises(ValidationError):
            TypeAdapter(Parameter).validate_python(refused)


def test_every_list_string_and_map_needs_a_bound() -> None:
    class Loose(WireModel):
        """Unbounded."""

        text: str
        """Any text."""
        texts: tuple[str, ...]
        """Any texts."""
        table: dict[str, float]
        """Any numbers."""

    with pytest.raises(
        UnfitModel,
        match=r"Loose has .*\n\.text has no maxLength; .*\n\.texts has no maxItems; .*\n"
        r"\.texts\[\] has no maxLength; .*\n\.table has no maxProperties",
    ):
        structural(Loose)


def test_a_field_without_a_word_is_refused() -> None:
    class Silent(WireModel):
        """Says nothing of its field."""

        depth: int

    with pytest.raises(UnfitModel, match=r"\.depth has no description; write a docstring below the field"):
        structural(Silent)


def test_a_union_of_objects_is_refused_with_the_remedy() -> None:
    class Torn(WireModel):
        """This or that."""

        either: Boat | Quantities
        """One of them."""

    with pytest.raises(UnfitModel, match="optional fields and a rule"):
        structural(Torn)


def test_a_pair_is_refused() -> None:
    class Pair(WireModel):
        """Two."""

        both: tuple[int, int]
        """Both."""

    with pytest.raises(UnfitModel, match="use a model or a list"):
        structural(Pair)


@pytest.mark.parametrize(("kind", "part"), EVERY_SPEC_AND_STATUS)
def test_schemas_are_structural(kind: Any, part: str) -> None:
    """Each node has a type or an extension in its place, and none of the words that CRDs do not know."""
    foreign = {
        "$ref",
        "$defs",
        "title",
        "const",
        "allOf",
        "oneOf",
        "prefixItems",
        "propertyNames",
        "x-list-key",
    }
    for path, node in nodes(structural(model_of(kind, part), bounded=False)):
        assert not foreign & node.keys(), path
        assert "nullable" not in node or path.endswith("choices[]"), path
        assert (
            "type" in node or node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields")
        ), path


def test_items_of_any_type_may_be_null_for_the_api_server_lets_them_in_anyway() -> None:
    choices = structural(Choices)["properties"]["choices"]

    assert choices["items"]["nullable"] is True
    with pytest.raises(ValidationError):
        Choices.model_validate({"choices": ["balanced", None]})
