"""What is tried: every location of the schemas, in at least three ways, and texts that fit the patterns they are made from."""

from __future__ import annotations

import random
import re

import pytest

from fuzz import patterns, schemas, specimens
from fuzz.cases import Case, Failure
from fuzz.mutations import mutations
from fuzz.schemas import Location
from fuzz.specimens import ABSENT
from fuzz.strict_kubelet import amount, has_room, starves
from fuzz.tampering import large
from fuzz.verdicts import verdict

KINDS = sorted(schemas.specs())


def host(location: Location) -> object:
    schema = schemas.specs()[location.kind]
    result = specimens.hosts(location.kind, schema, location.path, random.Random(1))
    return next(
        specimen for _, specimen in zip(range(80), result, strict=False) if verdict(schema, specimen) == "Admit"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_has_a_host_and_at_least_three_mutations_that_are_refused_or_admitted(kind: str) -> None:
    for location in (location for location in schemas.locations() if location.kind == kind and location.is_leaf):
        valid = specimens.at(host(location), location.path)
        made = dict(mutations(location, valid, random.Random(1)))

        assert len(made) >= 3, location
        assert made["absent"] is ABSENT
        assert any(value != valid for value in made.values()), location


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_by_chance_is_admitted(kind: str) -> None:
    rng, schema = random.Random(3), schemas.specs()[kind]

    assert ["Admit"] * 50 == [verdict(schema, specimens.anything(kind, schema, rng)) for _ in range(50)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_specs(kind: str) -> None:
    schema = schemas.specs()[kind]

    assert specimens.anything(kind, schema, random.Random(5)) == specimens.anything(kind, schema, random.Random(5))


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_spec_is_still_one_that_the_schema_admits(kind: str) -> None:
    schema = schemas.specs()[kind]

    assert "Admit" == verdict(schema, large(kind, schema))


@pytest.mark.parametrize("length", [None, 2, 9, 40])
def test_a_text_fits_its_pattern(length: int | None) -> None:
    pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

    made = patterns.text(pattern, random.Random(1), least=1, most=63, wanted=length)

    assert made is not None
    assert re.fullmatch(pattern, made)
    assert length in (None, len(made))


def test_a_value_is_put_where_it_belongs() -> None:
    spec = {"checks": [{"name": "a", "failing": 1}, {"name": "b"}]}

    assert {"checks": [{"name": "a"}, {"name": "b"}]} == specimens.put(spec, ("checks", "[]", "failing"), ABSENT)
    assert {"checks": [{"name": "b"}]} == specimens.put(spec, ("checks", "[]"), ABSENT)
    assert {} == specimens.put(spec, ("checks",), ABSENT)


def test_a_case_survives_being_written_down() -> None:
    case = Case("M3", "Dataset", "there and back", ({"a": None}, {"b": "x\x00"}), (-1.0,), {"status": {}})

    assert case == Case.from_yaml(case.to_yaml())


def test_a_failure_is_kept_as_a_case_that_can_be_tried_again(tmp_path: object) -> None:
    case = Case("M1", "Dataset", "a title\nof two lines", ({"a": 1},))

    path = Failure(case, ("one problem", "another")).save(tmp_path)  # type: ignore[arg-type]

    assert case == Case.from_yaml(path.read_text())
    assert path.read_text().startswith("# M1 Dataset: a title\n# of two lines\n# one problem\n")


def test_the_laboratory_has_room_for_what_a_node_could_hold() -> None:
    def asking(**requests: str) -> dict[str, object]:
        return {"spec": {"containers": [{"resources": {"requests": requests}}]}}

    assert has_room(asking(cpu="2", memory="4Gi"))
    assert not has_room(asking(cpu="1e9"))
    assert not has_room(asking(memory="4Ei"))
    assert not has_room({"spec": {"containers": [{"resources": {"requests": {"horses": "1"}}}]}})
    assert amount("1Ki") == 1024
    assert starves({"spec": {"containers": [{"resources": {"limits": {"memory": "1Mi"}}}]}})
