"""What is accepted and not done yet is said in a Stalled condition that names the field, for as long as it is asked for."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from tidemill.api.unsupported import LIMITS, Limit
from tidemill.plan.lookup import KIND_TYPES

ROWS = [(kind, limit) for kind, limits in LIMITS.items() for limit in limits]
OBJECTS = {
    "Dataset": script.dataset,
    "TrainingJob": script.training_job,
    "ModelVersion": script.model_version,
    "InferenceService": script.service,
    "DriftMonitor": script.monitor,
}
MADE_UP = Limit("spec.suspend", lambda spec: spec.suspend, "leave it out", {"suspend": True})


def asking(manifest: dict[str, Any], limit: Limit) -> dict[str, Any]:
    """The object with the fields that the row is about."""
    manifest = copy.deepcopy(manifest)
    for name, value in limit.example.items():
        if value is None:
            manifest["spec"].pop(name, None)
        else:
            manifest["spec"][name] = copy.deepcopy(value)
    return manifest


def cluster() -> FakeCluster:
    """A shop in which a dataset, a training, a service and a monitor have what they need."""
    return FakeCluster(reports={"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()})


def conditions(manifest: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in manifest["status"]["conditions"]}


def assert_stalls_and_recovers(kind: str, limit: Limit) -> None:
    stage, plain = cluster(), OBJECTS[kind]()
    name = plain["metadata"]["name"]
    if kind in {"TrainingJob", "DriftMonitor", "InferenceService"}:
        stage.apply(script.dataset())
    if kind in {"DriftMonitor", "InferenceService"}:
        stage.apply(script.training_job())
    if kind == "DriftMonitor":
        stage.apply(script.service())
    stage.run(minutes=1)
    before = set(stage.objects)

    stage.apply(asking(plain, limit))
    stage.run(minutes=1)
    reported = conditions(stage.get(kind, name))

    assert ("False", "Unsupported") == reported["Ready"][:2]
    assert ("True", "Unsupported") == reported["Stalled"][:2]
    assert limit.path in reported["Stalled"][2]
    assert limit.remedy in reported["Stalled"][2]
    assert "Reconciling" not in reported
    assert {(kind, name)} == {(key.kind, key.name) for key in set(stage.objects) - before}

    stage.apply(plain)
    stage.run(minutes=2)
    reported = conditions(stage.get(kind, name))

    assert "Stalled" not in reported
    assert "Unsupported" != reported["Ready"][1]


@pytest.mark.parametrize(("kind", "limit"), ROWS, ids=[f"{kind}-{limit.path}" for kind, limit in ROWS])
def test_a_field_that_is_not_acted_on_yet_stalls_the_object_until_it_is_taken_out(kind: str, limit: Limit) -> None:
    assert_stalls_and_recovers(kind, limit)


@pytest.mark.parametrize("kind", LIMITS)
def test_every_planner_asks_first_whether_it_does_what_is_set(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, kind, (MADE_UP,))

    assert_stalls_and_recovers(kind, MADE_UP)


def test_a_service_that_asks_for_something_unsupported_goes_on_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = cluster()
    for manifest in (script.dataset(), script.training_job(), script.service()):
        stage.apply(manifest)
    stage.run(minutes=1)
    answering = {key for key in stage.objects if key.kind in {"Deployment", "Service", "Pod"}}
    stable = stage.get("InferenceService", "fraud")["status"]["stable"]
    monkeypatch.setitem(LIMITS, "InferenceService", (MADE_UP,))

    stage.apply(script.service(suspend=True))
    stage.apply(script.training_job("fraud-second"))
    stage.run(minutes=2)
    service = stage.get("InferenceService", "fraud")

    assert 2 == len(stage.named("ModelVersion"))
    assert answering <= set(stage.objects)
    assert stable == service["status"]["stable"]
    assert ("True", "ReplicasReady") == conditions(service)["StableReady"][:2]
    assert ("False", "Unsupported") == conditions(service)["Ready"][:2]


def test_a_dataset_that_asks_for_something_unsupported_keeps_its_revision_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = cluster()
    stage.apply(script.dataset())
    stage.run(minutes=1)
    monkeypatch.setitem(LIMITS, "Dataset", (MADE_UP,))

    stage.apply(script.dataset(suspend=True))
    stage.apply(script.training_job())
    stage.run(minutes=1)

    assert script.REVISION == stage.get("Dataset", "payments")["status"]["revision"]["digest"]
    assert "Complete" in conditions(stage.get("TrainingJob", "fraud-first"))


def test_a_run_that_is_over_stays_over_whatever_its_spec_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = cluster()
    stage.apply(script.dataset())
    stage.apply(script.training_job())
    stage.run(minutes=1)
    monkeypatch.setitem(LIMITS, "TrainingJob", (MADE_UP,))

    stage.apply(script.training_job(suspend=True))
    stage.run(minutes=1)

    assert {"Ready", "Complete"} == set(conditions(stage.get("TrainingJob", "fraud-first")))


def test_the_event_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "Dataset", (MADE_UP,))
    stage = cluster()
    stage.apply(script.dataset(suspend=True))
    stage.run(minutes=10)

    assert 1 == sum("! Dataset payments: Unsupported" in line for line in stage.lines)


def test_several_fields_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Limit("spec.format", lambda spec: spec.format == "CSV", "name files so that Auto can tell")
    monkeypatch.setitem(LIMITS, "Dataset", (MADE_UP, other))
    stage = cluster()
    stage.apply(script.dataset(suspend=True, format="CSV"))
    stage.run(minutes=1)

    message = conditions(stage.get("Dataset", "payments"))["Ready"][2]

    assert "spec.suspend" in message
    assert "spec.format" in message


def test_a_row_names_a_field_and_its_example_asks_for_it() -> None:
    for kind, limit in ROWS:
        asked = asking(OBJECTS[kind](), limit)
        parsed = KIND_TYPES[kind].model_validate(asked)

        assert limit.path.startswith("spec.")
        assert limit.is_set(parsed.spec)
        assert limit.example, f"{kind} {limit.path} has an example"


def test_a_monitor_does_not_retrain_after_a_template_that_would_stall() -> None:
    """Such a run would never end, and the monitor would wait for it without end."""
    stage = cluster()
    for manifest in (script.dataset(), script.training_job(), script.service(), script.monitor()):
        stage.apply(manifest)
    stage.run(minutes=2)
    tuned = {
        "objective": {"metric": "f1"},
        "algorithm": "CMAES",
        "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 1, "max": 2}}}],
    }
    stage.apply(script.training_job(tuning=tuned))
    stage.reports["Check"] = script.checks(inputs="Failing")
    stage.run(minutes=20)
    allowed = conditions(stage.get("DriftMonitor", "fraud"))["RetrainingAllowed"]

    assert ["fraud-first"] == stage.named("TrainingJob")
    assert "spec.tuning.algorithm" in allowed[2]
