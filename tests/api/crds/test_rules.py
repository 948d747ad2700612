"""Every rule lets its good example through and refuses its bad one, at every place where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest

from api.crds.server import BY_KIND, DIGEST, OPERATOR, Manifest, Server, around, least, put
from tidemill.api.base import Rule, WireModel
from tidemill.api.crds import NAME_RULE, model_of, schema
from tidemill.api.structural import nodes


def declared(model: type[WireModel], path: str) -> Iterator[tuple[str, Rule]]:
    """Every rule of `model` and of the models within it, with the place where it stands."""
    yield from ((path, rule) for rule in vars(model).get("rules", ()))
    for name, field in model.model_fields.items():
        for inner, step in models(field.annotation):
            yield from declared(inner, f"{path}.{field.alias or name}{step}")


def models(annotation: Any, step: str = "") -> Iterator[tuple[type[WireModel], str]]:
    """The models within a field's type, and the step from the field to them."""
    if isinstance(annotation, type) and issubclass(annotation, WireModel):
        yield annotation, step
    for argument in get_args(annotation):
        yield from models(argument, "[]" if get_origin(annotation) is tuple else step)


RULES_IN_SCHEMAS = [
    (kind, path, rule)
    for kind, model in BY_KIND.items()
    for path, rule in [
        ("", NAME_RULE),
        *(("", rule) for rule in model.rules),
        *declared(model_of(model, "spec"), ".spec"),
    ]
]
PARAMETERS = [pytest.param(*rule, id=f"{rule[0]}{rule[1]}: {rule[2].message[:40]}") for rule in RULES_IN_SCHEMAS]
STATELESS = [parameter for parameter in PARAMETERS if "oldSelf" not in parameter.values[2].rule]
TRANSITIONS = [parameter for parameter in PARAMETERS if "oldSelf" in parameter.values[2].rule]


def test_the_places_are_those_of_the_schemas() -> None:
    stand = [
        (kind, path, rule["rule"])
        for kind in BY_KIND
        for path, node in nodes(schema(BY_KIND[kind]))
        for rule in node.get("x-kubernetes-validations", ())
    ]

    assert sorted(stand) == sorted((kind, path, rule.rule) for kind, path, rule in RULES_IN_SCHEMAS)
    assert len(STATELESS) >= 15
    assert len(TRANSITIONS) >= 2


@pytest.mark.parametrize(("kind", "path", "rule"), STATELESS)
def test_the_good_example_passes(server: Server, kind: str, path: str, rule: Rule) -> None:
    answer = server.create(put(around(kind, path), path, rule.accepts), dry=True)

    assert 201 == answer.status_code, answer.text


@pytest.mark.parametrize(("kind", "path", "rule"), STATELESS)
def test_the_bad_example_is_refused_for_this_reason_alone(server: Server, kind: str, path: str, rule: Rule) -> None:
    answer = server.create(put(around(kind, path), path, rule.rejects), dry=True)

    assert 422 == answer.status_code, answer.text
    assert [rule.message] == reasons(answer.json())


@pytest.mark.parametrize(("kind", "path", "rule"), TRANSITIONS)
def test_what_must_not_change_cannot(server: Server, kind: str, path: str, rule: Rule) -> None:
    before, after = (put(around(kind, path, name="settled"), path, value) for value in (rule.accepts, rule.rejects))
    assert 201 == server.create(before).status_code
    try:
        if "status" in before:
            answer = server.as_user(OPERATOR).merge(before, {"status": before["status"]}, "status")
            assert 200 == answer.status_code, answer.text
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
        {"evaluation": {"slices": ["country"]}},
        {"estimator": None, "automl": {}},
        {
            "tuning": {
                "objective": {"metric": "f1"},
                "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 1, "max": 2}}}],
            }
        },
        {"startedBy": "tidemill-administrator"},
        {"servedRows": {"inferenceService": "fraud", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}},
    ],
    "ModelVersion": [
        {"modelName": "other"},
        {"artifact": {"digest": "sha256:" + "1" * 64}},
        {"evaluation": [{"on": "Holdout", "rows": 3}]},
        {"lineage": {"parameters": {"C": 2}}},
        {"gates": [{"metric": "accuracy", "minimum": 0.5}]},
        {"card": {"license": "MIT"}},
        {"exports": {"mlflow": {"trackingUri": "https://mlflow.example", "registeredModel": "fraud"}}},
        {"lineage": {"startedBy": "tidemill-administrator"}},
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


@pytest.mark.parametrize("change", FROZEN["TrainingJob"], ids=str)
def test_a_run_that_has_not_started_can_be_corrected_in_place(server: Server, change: Manifest) -> None:
    """Until the operator pins the dataset; who started the run stays what it is."""
    for status in ({}, {"observedGeneration": 1, "cause": {"kind": "User"}}):
        assert (422 if "startedBy" in change else 200) == changed(server, "TrainingJob", change, status)


def test_a_run_whose_duties_are_separated_stays_as_it_was_started(server: Server) -> None:
    manifest = least("TrainingJob", name="separated")
    manifest["spec"]["startedBy"] = "tidemill-administrator"
    assert 201 == server.create(manifest).status_code
    try:
        assert 422 == server.merge(manifest, {"spec": {"seed": 8}}, dry=True).status_code
    finally:
        server.delete(manifest)


STARTED: Manifest = {"observedGeneration": 1, "dataset": {"name": "fraud", "digest": DIGEST}}


def changed(server: Server, kind: str, change: Manifest, status: Manifest | None = None) -> int:
    manifest = least(kind, name="frozen")
    assert 201 == server.create(manifest).status_code
    try:
        status = status if status is not None else STARTED if kind == "TrainingJob" else {}
        if status:
            answer = server.as_user(OPERATOR).merge(manifest, {"status": status}, "status")
            assert 200 == answer.status_code, answer.text
        return server.merge(manifest, {"spec": change}, dry=True).status_code
    finally:
        server.delete(manifest)


def reasons(status: Manifest) -> list[str]:
    """What a refusal names as its causes, in the rules' own words."""
    messages = [cause["message"] for cause in status["details"]["causes"]]
    return [text.removeprefix("Invalid value: ").removeprefix('"object": ') for text in messages]
