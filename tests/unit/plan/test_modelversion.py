"""What a ModelVersion says of who agreed, and of its place among the versions of its model."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import START, FakeCluster

MANUAL = {"policy": "Manual", "requiredApprovals": 1}


def yes(user: str) -> dict[str, str]:
    return {"user": user, "verdict": "Approved"}


def approved(stage: FakeCluster) -> tuple[str, str]:
    status = stage.get("ModelVersion", "fraud-brought")["status"]
    (result,) = (condition for condition in status["conditions"] if condition["type"] == "Approved")
    return result["status"], result["reason"]


def brought(*decisions: dict[str, str], **changes: Any) -> dict[str, Any]:
    return script.model_version(approval={**MANUAL, "decisions": list(decisions)}, **changes)


def test_who_agreed_is_told_with_the_time_and_the_time_stays() -> None:
    stage = FakeCluster()
    stage.apply(brought())
    stage.run(minutes=1)
    stage.apply(brought(yes("ann")))
    stage.run(minutes=1)
    stage.apply(brought(yes("ann"), yes("bob")))
    stage.run(minutes=1)

    moments = [(START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ") for minutes in (1, 2)]
    expected = [{"user": user, "time": moment} for user, moment in zip(("ann", "bob"), moments, strict=True)]
    assert expected == stage.get("ModelVersion", "fraud-brought")["status"]["approvedBy"]


def test_a_decision_that_was_taken_back_is_told_no_more() -> None:
    stage = FakeCluster()
    stage.apply(brought(yes("ann")))
    stage.run(minutes=1)
    stage.apply(brought())
    stage.run(minutes=1)

    assert [] == stage.get("ModelVersion", "fraud-brought")["status"].get("approvedBy", [])
    assert ("False", "AwaitingApproval") == approved(stage)


@pytest.mark.parametrize(
    ("separated", "expected"), [(True, ("False", "AwaitingApproval")), (False, ("True", "Approved"))]
)
def test_the_starter_s_own_agreement_does_not_count_where_duties_are_separated(
    separated: bool, expected: tuple[str, str]
) -> None:
    """The API server refuses it already; where its policies are switched off, it still opens nothing."""
    stage = FakeCluster()
    version = brought(yes("ada"), lineage={"startedBy": "ada"})
    version["spec"]["approval"]["separationOfDuties"] = separated
    stage.apply(version)
    stage.run(minutes=1)

    assert expected == approved(stage)


def numbers(stage: FakeCluster) -> dict[str, int]:
    return {name: stage.get("ModelVersion", name)["status"]["version"] for name in stage.named("ModelVersion")}


@pytest.mark.parametrize("seed", range(5))
def test_versions_are_counted_in_the_order_in_which_they_were_made_whoever_is_looked_at_first(seed: int) -> None:
    stage = FakeCluster(shuffled=random.Random(seed))
    for name in ("fraud-c", "fraud-a", "fraud-b"):
        stage.apply(script.model_version(name))
        stage.now += timedelta(seconds=1)
    stage.apply(script.model_version("other-a", modelName="other"))
    stage.run(minutes=1)

    assert {"fraud-a": 2, "fraud-b": 3, "fraud-c": 1, "other-a": 1} == numbers(stage)


def test_a_number_stays_when_an_earlier_version_goes_and_is_given_to_no_other() -> None:
    stage = FakeCluster()
    for name in ("fraud-a", "fraud-b"):
        stage.apply(script.model_version(name))
        stage.run(minutes=1)
    stage.delete("ModelVersion", "fraud-a")
    stage.apply(script.model_version("fraud-c"))
    stage.run(minutes=1)

    assert {"fraud-b": 2, "fraud-c": 3} == numbers(stage)


def test_what_a_run_says_of_its_model_is_taken_over_by_the_version() -> None:
    stage = FakeCluster(reports={"Ingest": script.ingests, "Train": script.trains()})
    stage.apply(script.dataset())
    card = {"owners": ["team@shop.example"], "intendedUse": "to hold payments back", "riskTier": "High"}
    approval = {**MANUAL, "separationOfDuties": True}
    stage.apply(script.training_job(startedBy="ada", version={"approval": approval, "card": card}))
    stage.run(minutes=1)
    (name,) = stage.named("ModelVersion")
    spec = stage.get("ModelVersion", name)["spec"]

    assert "ada" == spec["lineage"]["startedBy"]
    assert card == {word: value for word, value in spec["card"].items() if value}
    assert spec["approval"]["separationOfDuties"]


def test_a_run_tells_how_far_it_is_and_what_it_chose() -> None:
    stage = FakeCluster(reports={"Ingest": script.ingests, "Train": script.trains()})
    stage.apply(script.dataset())
    stage.apply(script.training_job())
    stage.run(minutes=1)
    status = stage.get("TrainingJob", "fraud-first")["status"]

    assert 100 == status["progress"]["percentage"]
    assert {"accuracy": 0.96} == status["best"]["metrics"]


@pytest.mark.parametrize(
    ("lineage", "remedy"),
    [
        ({"trainingJob": "fraud-first"}, "of the TrainingJob (of its template for a retraining)"),
        ({}, "create a ModelVersion of a better model, or with other gates"),
    ],
)
def test_a_version_that_missed_a_gate_says_what_to_do(lineage: dict[str, str], remedy: str) -> None:
    stage = FakeCluster()
    measured = [{"on": "Holdout", "rows": 200, "metrics": {"accuracy": 0.7}}]
    gates = [{"metric": "accuracy", "minimum": 0.9}]
    stage.apply(script.model_version(evaluation=measured, gates=gates, lineage=lineage))
    stage.run(minutes=1)

    conditions = stage.get("ModelVersion", "fraud-brought")["status"]["conditions"]
    messages = {entry["type"]: entry["message"] for entry in conditions if entry["reason"] == "GateFailed"}
    assert {"Ready", "GatesPassed", "Stalled"} == messages.keys()
    assert all("0.7000 is below 0.9; " in text and text.endswith(remedy) for text in messages.values())
