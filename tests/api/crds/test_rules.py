"""Every rule lets its good example through and refuses its bad one, at every place where it stands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.crds.server import BY_KIND, Manifest, Server, least, put
from tidemill.api.base import Model, Rule
from tidemill.api.crds import NAME_RULE, schema
from tidemill.api.structural import nodes


def declared(model: type[Model] = Model) -> Iterator[Rule]:
    yield from vars(model).get("rules", ())
    for below in model.__subclasses__():
        yield from declared(below)


RULES = {(rule.rule, rule.message): rule for rule in (NAME_RULE, *declared())}
PLACES = [
    pytest.param(kind, path, RULES[said["rule"], said["message"]], id=f"{kind}{path}: {said['message'][:40]}")
    for kind in BY_KIND
    for path, node in nodes(schema(BY_KIND[kind]))
    for said in node.get("x-kubernetes-validations", ())
]
STATELESS = [place for place in PLACES if "oldSelf" not in place.values[2].rule]
TRANSITIONS = [place for place in PLACES if "oldSelf" in place.values[2].rule]


def test_the_places_are_found() -> None:
    assert len(STATELESS) >= 15
    assert len(TRANSITIONS) >= 2


@pytest.mark.parametrize(("kind", "path", "rule"), STATELESS)
def test_the_good_example_passes(server: Server, kind: str, path: str, rule: Rule) -> None:
    answer = server.create(put(least(kind), path, rule.accepts), dry=True)

    assert 201 == answer.status_code, answer.text


@pytest.mark.parametrize(("kind", "path", "rule"), STATELESS)
def test_the_bad_example_is_refused_for_this_reason_alone(server: Server, kind: str, path: str, rule: Rule) -> None:
    answer = server.create(put(least(kind), path, rule.rejects), dry=True)

    assert 422 == answer.status_code, answer.text
    assert [rule.message] == reasons(answer.json())


@pytest.mark.parametrize(("kind", "path", "rule"), TRANSITIONS)
def test_what_must_not_change_cannot(server: Server, kind: str, path: str, rule: Rule) -> None:
    before, after = (put(least(kind, name="settled"), path, value) for value in (rule.accepts, rule.rejects))
    assert 201 == server.create(before).status_code
    try:
        same = server.merge(before, {"spec": before["spec"]}, dry=True)
        other = server.merge(before, {"spec": after["spec"]}, dry=True)
    finally:
        server.delete(before)

    assert 200 == same.status_code, same.text
    assert 422 == other.status_code
    assert [rule.message] == reasons(other.json())


FROZEN = {
    "TrainingJob": [
        {"modelName": "other"},
        {"dataset": {"name": "other"}},
        {"dataset": {"revision": "sha256:" + "1" * 64}},
        {"estimator": {"parameters": {"C": 2}}},
        {"seed": 8},
        {"task": "Regression"},
        {"evaluation": {"metrics": ["f1"]}},
        {"servedRows": {"inferenceService": "fraud", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}},
    ],
    "ModelVersion": [
        {"modelName": "other"},
        {"artifact": {"digest": "sha256:" + "1" * 64}},
        {"evaluation": [{"on": "Holdout", "rows": 3}]},
        {"lineage": {"parameters": {"C": 2}}},
        {"gates": [{"metric": "accuracy", "minimum": 0.5}]},
    ],
}
FREE = {
    "TrainingJob": [
        {"suspend": True},
        {"backoffLimit": 5},
        {"resources": {"limits": {"memory": "2Gi"}}},
        {"activeDeadline": "2h"},
    ],
    "ModelVersion": [
        {"suspend": True},
        {"approval": {"decisions": [{"user": "tidemill-administrator", "verdict": "Approved"}]}},
    ],
}


@pytest.mark.parametrize(
    ("kind", "change"), [(kind, change) for kind, changes in FROZEN.items() for change in changes], ids=str
)
def test_what_a_result_rests_on_is_frozen(server: Server, kind: str, change: Manifest) -> None:
    assert 422 == changed(server, kind, change)


@pytest.mark.parametrize(
    ("kind", "change"), [(kind, change) for kind, changes in FREE.items() for change in changes], ids=str
)
def test_how_it_is_carried_out_may_change(server: Server, kind: str, change: Manifest) -> None:
    assert 200 == changed(server, kind, change)


def changed(server: Server, kind: str, change: Manifest) -> int:
    manifest = least(kind, name="frozen")
    assert 201 == server.create(manifest).status_code
    try:
        return server.merge(manifest, {"spec": change}, dry=True).status_code
    finally:
        server.delete(manifest)


def reasons(status: Manifest) -> list[str]:
    """What a refusal names as its causes, in the rules' own words."""
    said = [cause["message"] for cause in status["details"]["causes"]]
    return [text.removeprefix("Invalid value: ").removeprefix('"object": ') for text in said]
