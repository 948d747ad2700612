"""Whole lives of the five kinds, told as text and compared with a golden file.

Every story is also played with the controllers in another order and with the operator restarted before every visit: it
must end the same. `pytest tests/stories --write-golden` writes the texts anew; reading their difference is the review.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stories import script
from stories.theatre import Theatre

GOLDEN = Path(__file__).parent / "golden"
Story = Callable[[Theatre], None]


def first_training(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.training_job())
    theatre.run(seconds=10)
    theatre.apply(script.service())
    theatre.apply(script.dataset())
    theatre.run(minutes=2)


def _in_service(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    for manifest in (script.dataset(), script.training_job(), script.service()):
        theatre.apply(manifest)
    theatre.run(minutes=1)


def canary_promoted(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.run(minutes=3)


def canary_rolled_back_for_quality(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(_newest(theatre), right=70)
    theatre.run(minutes=10)


def canary_that_crashes(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.start_pod = lambda pod: "candidate" not in pod["metadata"]["name"]
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(minutes=10)


def canary_without_labels_waits(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(_newest(theatre), labelled=3)
    theatre.run(minutes=3)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.run(minutes=3)


def canary_promoted_by_hand(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=20)
    theatre.apply(_annotated(script.service(), "tidemill.dev/promote", _newest(theatre)))
    theatre.run(minutes=1)


def canary_aborted_by_hand(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=20)
    theatre.apply(_annotated(script.service(), "tidemill.dev/abort", _newest(theatre)))
    theatre.run(minutes=1)


def drift_retrains_once(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor())
    theatre.run(minutes=3)
    theatre.say("the tide comes in")
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2, seconds=30)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=12)


def a_leak_is_not_a_tide(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor())
    theatre.run(minutes=2)
    theatre.say("a sensor breaks: values go missing, and the distribution moves with them")
    theatre.reports["Check"] = script.checks("Failing", integrity="Failing")
    theatre.run(minutes=6)


def circuit_opens_after_rejected_versions(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor())
    theatre.reports["Check"] = script.checks("Failing")
    theatre.reports["Train"] = script.trains(accuracy=0.7)
    theatre.run(minutes=45)


def approval_by_a_person(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    job = script.training_job()
    job["spec"]["version"]["approval"] = {"policy": "Manual"}
    for manifest in (script.dataset(), job, script.service()):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    version = theatre.get("ModelVersion", theatre.named("ModelVersion")[0])
    theatre.apply(
        {
            **version,
            "spec": {
                **version["spec"],
                "approval": {"policy": "Manual", "decisions": [{"user": "ada", "verdict": "Approved"}]},
            },
        }
    )
    theatre.run(minutes=1)


def training_that_runs_out_of_memory(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": lambda order: "OOMKilled"}  # noqa: ARG005
    theatre.apply(script.dataset())
    theatre.apply(script.training_job(resources={"limits": {"memory": "512Mi"}}))
    theatre.run(minutes=10)


def a_source_that_comes_back(theatre: Theatre) -> None:
    theatre.reports["Ingest"] = script.cannot_reach
    theatre.apply(script.dataset())
    theatre.run(minutes=1)
    theatre.say("the store is up again")
    theatre.reports["Ingest"] = script.ingests
    theatre.run(minutes=2)


def deleted_while_training(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.dataset())
    theatre.run(seconds=30)
    theatre.apply(script.training_job())
    theatre.run(seconds=2)
    theatre.delete("TrainingJob", "fraud-first")
    theatre.run(minutes=5)


def suspended_and_resumed(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.dataset())
    theatre.run(seconds=30)
    theatre.apply(script.training_job(suspend=True))
    theatre.run(minutes=1)
    theatre.apply(script.training_job(suspend=False))
    theatre.run(minutes=1)


def queued_by_kueue(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.dataset())
    theatre.run(seconds=30)
    job = script.training_job()
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "science"}
    theatre.apply(job)
    theatre.run(minutes=5)
    theatre.admit()
    theatre.run(minutes=1)


def canary_inconclusive(theatre: Theatre) -> None:
    _in_service(theatre)
    service = script.service()
    service["spec"]["rollout"]["onInconclusive"] = "Rollback"
    theatre.apply(service)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(_newest(theatre), labelled=3)
    theatre.run(minutes=3)


def pinned_version(theatre: Theatre) -> None:
    _in_service(theatre)
    first = theatre.named("ModelVersion")[0]
    theatre.apply(script.service(model={"name": "fraud", "version": first}))
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(minutes=3)


STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        first_training,
        canary_promoted,
        canary_rolled_back_for_quality,
        canary_that_crashes,
        canary_without_labels_waits,
        canary_promoted_by_hand,
        canary_aborted_by_hand,
        drift_retrains_once,
        a_leak_is_not_a_tide,
        circuit_opens_after_rejected_versions,
        approval_by_a_person,
        training_that_runs_out_of_memory,
        a_source_that_comes_back,
        deleted_while_training,
        suspended_and_resumed,
        pinned_version,
        queued_by_kueue,
        canary_inconclusive,
    )
}


@pytest.mark.parametrize("name", STORIES)
def test_the_story_goes_as_told(name: str, request: pytest.FixtureRequest) -> None:
    theatre = Theatre()
    STORIES[name](theatre)
    told = "\n".join(theatre.lines) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if request.config.getoption("--write-golden"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(told)

    assert golden.read_text() == told


@pytest.mark.parametrize("name", STORIES)
def test_when_a_story_is_over_visits_write_nothing(name: str) -> None:
    theatre = Theatre()
    STORIES[name](theatre)
    before, at_work = theatre.writes, theatre.pending
    for key in list(theatre.objects):
        theatre.revisit(key)

    assert at_work or before == theatre.writes


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("seed", range(3))
def test_the_story_ends_the_same_with_controllers_in_another_order(name: str, seed: int) -> None:
    theatre = Theatre(shuffled=random.Random(seed))
    STORIES[name](theatre)

    assert told_ending(name) == ending(theatre)


@pytest.mark.parametrize("name", STORIES)
def test_the_story_ends_the_same_with_the_operator_restarted_before_every_visit(name: str) -> None:
    theatre = Theatre(restarts=True)
    STORIES[name](theatre)

    assert told_ending(name) == ending(theatre)


@functools.cache
def told_ending(name: str) -> dict[str, Any]:
    """How the story ends when nothing special happens."""
    theatre = Theatre()
    STORIES[name](theatre)
    return ending(theatre)


def ending(theatre: Theatre) -> dict[str, Any]:
    """What a user could tell apart: the objects, and what they say; not uids, times or the names made from them."""

    def conditions(manifest: dict[str, Any]) -> Any:
        said = (manifest.get("status") or {}).get("conditions") or ()
        return sorted((c["type"], c["status"], c["reason"]) for c in said)

    told: dict[str, Any] = {}
    for key, manifest in theatre.objects.items():
        if key.kind in {"Pod", "Job"}:
            continue
        told.setdefault(key.kind, []).append((_plain(key.name), conditions(manifest)))
    return {kind: sorted(entries) for kind, entries in told.items()}


def _plain(name: str) -> str:
    """A name without the digest that carries a uid of the pretend cluster."""
    return "-".join(part for part in name.split("-") if not (len(part) == 8 and set(part) <= set("0123456789abcdef")))


def _annotated(manifest: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {name: value}}}


def _newest(theatre: Theatre) -> str:
    versions = [manifest for key, manifest in theatre.objects.items() if key.kind == "ModelVersion"]
    if not versions:
        return ""
    return str(max(versions, key=lambda manifest: manifest["metadata"]["creationTimestamp"])["metadata"]["name"])
