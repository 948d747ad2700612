"""Whole lives of the five kinds, told as text and compared with a golden file.

Every story is also played with the controllers in another order and with the operator restarted before every visit: it
must end the same. `pytest tests/stories --write-golden` writes the texts anew; reading their difference is the review.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import replace
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


def refreshed_by_schedule(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor(retraining=_policy(schedule="4 9 * * *")))
    theatre.run(minutes=3, seconds=30)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.run(minutes=4)


def new_data_retrains(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor(retraining=_policy(onDataChange=True)))
    theatre.run(minutes=2)
    theatre.say("the lake has more rows")
    theatre.reports["Ingest"] = script.ingests_anew
    theatre.apply(script.dataset(source={"uri": "s3://lake/payments-2.parquet"}))
    theatre.run(seconds=30)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.run(minutes=4)


def asked_for_by_hand(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor())
    theatre.run(minutes=2)
    theatre.apply(_annotated(script.monitor(), "tidemill.dev/retrain", "2026-01-05T09:02:30Z"))
    theatre.run(seconds=45)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.run(minutes=4)


def checked_on_demand_counts_no_hits(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor(interval="10m"))
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=10)
    for minute in (12, 13, 14):
        theatre.apply(_annotated(script.monitor(interval="10m"), "tidemill.dev/check", f"2026-01-05T09:{minute}:00Z"))
        theatre.run(minutes=1, seconds=30)


def two_monitors_retrain_once(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor())
    other = script.monitor()
    other["metadata"] = {"name": "fraud-too"}
    theatre.apply(other)
    theatre.run(minutes=1)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=3, seconds=30)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=4)


def observing_does_everything_but_retrain(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor(retraining=_policy(mode="Observe")))
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=12)


def a_schedule_that_never_fires(theatre: Theatre) -> None:
    _in_service(theatre)
    monitor = script.monitor()
    del monitor["spec"]["interval"]
    monitor["spec"]["schedule"] = "0 0 30 2 *"
    theatre.apply(monitor)
    theatre.run(minutes=30)
    theatre.apply(script.monitor())
    theatre.run(minutes=1)


def a_gap_is_not_an_end_of_drift(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor(retraining=_policy(trigger={"consecutive": 3})))
    theatre.run(minutes=1)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2)
    theatre.say("nobody asks for two windows")
    theatre.reports["Check"] = script.checks("NoData", "NoData", samples=0, labelled=0)
    theatre.run(minutes=2)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=1, seconds=30)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=3)


def compared_with_a_dataset(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.apply(script.monitor(reference={"type": "Dataset", "dataset": {"name": "yardstick"}}))
    theatre.run(minutes=2)
    yardstick = {**script.dataset(), "metadata": {"name": "yardstick"}}
    theatre.apply(yardstick)
    theatre.run(minutes=2)
    theatre.say("the yardstick has another revision")
    theatre.reports["Ingest"] = script.ingests_anew
    yardstick["spec"] = {"source": {"uri": "s3://lake/yardstick-2.parquet"}}
    theatre.apply(yardstick)
    theatre.run(minutes=2)


def others_are_told(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.reports["Notify"] = script.notifies
    theatre.apply(
        script.monitor(
            notify=[
                {"name": "chat", "webhook": {"url": "https://chat.example.com/x", "format": "Slack"}},
                {"name": "audit", "webhook": {"url": "https://audit.example.com/x"}, "events": ["Fired", "Recovered"]},
            ]
        )
    )
    theatre.run(minutes=2)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2, seconds=30)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=4)


def a_receiver_that_is_down_holds_nothing_up(theatre: Theatre) -> None:
    _in_service(theatre)
    theatre.reports["Notify"] = script.cannot_notify
    theatre.apply(
        script.monitor(
            notify=[{"name": "chat", "webhook": {"url": "https://chat.example.com/x"}, "events": ["Fired"]}],
            retraining=_policy(mode="Off"),
        )
    )
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=30)


def another_system_calls_in(theatre: Theatre) -> None:
    _in_service(theatre)
    outside = {"name": "outside", "type": "External", "source": "Alertmanager", "secretRef": {"name": "alerts"}}
    watched = script.monitor()
    watched["spec"]["checks"] = [*watched["spec"]["checks"], outside]
    theatre.apply(watched)
    theatre.run(minutes=1, seconds=30)
    theatre.say("nobody calls any more, and the check is taken out")
    theatre.apply(script.monitor())
    theatre.run(minutes=1, seconds=30)


def a_service_that_is_not_ours_is_watched(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Check": script.checks("Passing")}
    theatre.apply(script.dataset())
    theatre.apply(
        script.monitor(
            target={"cloudEvents": {"service": "sklearn-iris", "columns": ["a", "b"]}},
            reference={"type": "Dataset", "dataset": {"name": "payments"}},
            retraining=None,
        )
    )
    theatre.run(minutes=3)
    theatre.say("what it is asked has moved")
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2)
    theatre.delete("DriftMonitor", "fraud")
    theatre.run(minutes=1)


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


def answers_become_a_dataset(theatre: Theatre) -> None:
    answered = script.dataset(
        source={"predictions": {"inferenceServiceRef": {"name": "fraud"}, "window": "1h"}}, refresh={"interval": "2m"}
    )
    answered["metadata"]["name"] = "answered"
    theatre.apply(answered)
    theatre.run(seconds=30)
    theatre.reports |= {"Ingest": script.ingests_unlabelled, "Train": script.trains()}
    for manifest in (script.dataset(), script.training_job(), script.service()):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.say("the first labels come back")
    theatre.reports["Ingest"] = script.ingests
    theatre.run(minutes=2)
    theatre.say("more rows have labels")
    theatre.reports["Ingest"] = script.ingests_anew
    theatre.run(minutes=2)
    theatre.delete("InferenceService", "fraud")
    theatre.run(minutes=5)


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


def _second_version(theatre: Theatre, right: int = 97, **rollout: Any) -> dict[str, Any]:
    """A service with this rollout, and another version that has just been trained."""
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    service = script.rolled_out(**rollout)
    for manifest in (script.dataset(), script.training_job(), service):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(_newest(theatre), right=right)
    return service


def shadow_promoted(theatre: Theatre) -> None:
    _second_version(theatre, strategy="Shadow", shadow={"percent": 50, "duration": "60s"})
    theatre.run(minutes=3)


def shadow_rolled_back_before_it_answers_anybody(theatre: Theatre) -> None:
    _second_version(theatre, right=70, strategy="Shadow", shadow={"duration": "60s"})
    theatre.run(minutes=3)


def shadow_then_canary(theatre: Theatre) -> None:
    _second_version(theatre, shadow={"duration": "30s"})
    theatre.run(minutes=3)


def blue_green_promoted(theatre: Theatre) -> None:
    _second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="2m")
    theatre.run(minutes=5)


def blue_green_that_fails_after_the_switch_is_undone_at_once(theatre: Theatre) -> None:
    _second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    theatre.run(minutes=1)
    theatre.say("the new version begins to fail")
    theatre.measurements = script.measures(_newest(theatre), errors=100)
    theatre.run(minutes=2)


def blue_green_and_back_by_git_revert(theatre: Theatre) -> None:
    service = _second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    theatre.run(minutes=1)
    first = next(name for name in theatre.named("ModelVersion") if name != _newest(theatre))
    pinned = {**service["spec"], "model": {"name": "fraud", "version": first}}
    theatre.apply({**service, "spec": pinned})
    theatre.run(minutes=8)


def a_newer_version_while_the_previous_one_is_kept_warm(theatre: Theatre) -> None:
    _second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    theatre.run(minutes=1)
    theatre.apply(script.training_job("fraud-third"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.run(minutes=8)


def canary_that_a_person_lets_go_on(theatre: Theatre) -> None:
    service = _second_version(theatre, steps=[{"weight": 25}, {"weight": 50, "pause": "30s"}])
    theatre.run(minutes=300)
    theatre.apply(_annotated(service, "tidemill.dev/promote", f"{_newest(theatre)}/1"))
    theatre.run(minutes=3)


def canary_that_a_person_holds(theatre: Theatre) -> None:
    service = _second_version(theatre)
    theatre.run(seconds=20)
    theatre.apply(_annotated(service, "tidemill.dev/pause", _newest(theatre)))
    theatre.run(minutes=10)
    theatre.apply(_annotated(service, "tidemill.dev/pause", ""))
    theatre.run(minutes=3)


def canary_held_by_a_person_is_still_judged(theatre: Theatre) -> None:
    service = _second_version(theatre)
    theatre.run(seconds=20)
    theatre.apply(_annotated(service, "tidemill.dev/pause", _newest(theatre)))
    theatre.run(minutes=2)
    theatre.measurements = script.measures(_newest(theatre), right=70)
    theatre.run(minutes=2)


def promoted_only_by_a_person(theatre: Theatre) -> None:
    service = _second_version(theatre, autoPromote=False)
    theatre.run(minutes=10)
    theatre.apply(_annotated(service, "tidemill.dev/promote", _newest(theatre)))
    theatre.run(minutes=2)


def judged_by_a_job_that_succeeds(theatre: Theatre) -> None:
    _second_version(theatre, analysis=script.SMOKE)
    theatre.run(minutes=3)


def judged_by_a_job_that_fails(theatre: Theatre) -> None:
    theatre.passes = lambda job: False  # noqa: ARG005
    _second_version(theatre, analysis=script.SMOKE)
    theatre.run(minutes=3)


def prometheus_that_does_not_answer_pauses(theatre: Theatre) -> None:
    _second_version(theatre, analysis=script.QUERIED)
    theatre.measurements = script.queried(None, "nothing answers at http://prometheus:9090")
    theatre.run(minutes=3)
    theatre.measurements = script.queried(0.01)
    theatre.run(minutes=3)


def prometheus_that_knows_better(theatre: Theatre) -> None:
    _second_version(theatre, analysis=script.QUERIED)
    theatre.measurements = script.queried(0.2)
    theatre.run(minutes=3)


def split_at_the_gateway(theatre: Theatre) -> None:
    theatre.installation = replace(theatre.installation, gateway="On")
    service = _second_version(theatre)
    service["spec"]["traffic"] = {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}
    theatre.apply(service)
    theatre.run(minutes=3)
    service["spec"].pop("traffic")
    theatre.apply(service)
    theatre.run(minutes=1)


def a_gateway_where_there_is_none(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    traffic = {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}
    for manifest in (script.dataset(), script.training_job(), script.service(traffic=traffic)):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.apply(script.service())
    theatre.run(minutes=1)


def scaled_by_the_load(theatre: Theatre) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    service = script.service(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    service["spec"].pop("replicas")
    for manifest in (script.dataset(), script.training_job(), service):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.autoscale("fraud-stable", 5)
    theatre.run(minutes=1)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(_newest(theatre), right=97)
    theatre.run(minutes=3)
    assert theatre.get("Deployment", "fraud-stable")["spec"]["replicas"] == 5


def recreated(theatre: Theatre) -> None:
    _second_version(theatre, strategy="Recreate")
    theatre.run(minutes=2)


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
        refreshed_by_schedule,
        new_data_retrains,
        asked_for_by_hand,
        checked_on_demand_counts_no_hits,
        two_monitors_retrain_once,
        observing_does_everything_but_retrain,
        a_schedule_that_never_fires,
        a_gap_is_not_an_end_of_drift,
        compared_with_a_dataset,
        others_are_told,
        a_receiver_that_is_down_holds_nothing_up,
        another_system_calls_in,
        a_service_that_is_not_ours_is_watched,
        approval_by_a_person,
        training_that_runs_out_of_memory,
        a_source_that_comes_back,
        answers_become_a_dataset,
        deleted_while_training,
        suspended_and_resumed,
        pinned_version,
        shadow_promoted,
        shadow_rolled_back_before_it_answers_anybody,
        shadow_then_canary,
        blue_green_promoted,
        blue_green_that_fails_after_the_switch_is_undone_at_once,
        blue_green_and_back_by_git_revert,
        a_newer_version_while_the_previous_one_is_kept_warm,
        canary_that_a_person_lets_go_on,
        canary_that_a_person_holds,
        canary_held_by_a_person_is_still_judged,
        promoted_only_by_a_person,
        judged_by_a_job_that_succeeds,
        judged_by_a_job_that_fails,
        prometheus_that_does_not_answer_pauses,
        prometheus_that_knows_better,
        recreated,
        split_at_the_gateway,
        a_gateway_where_there_is_none,
        scaled_by_the_load,
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


def _policy(**changes: Any) -> dict[str, Any]:
    return {"template": {"trainingJob": "fraud-first"}, "minimumInterval": "10m", **changes}


def _annotated(manifest: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {name: value}}}


def _newest(theatre: Theatre) -> str:
    versions = [manifest for key, manifest in theatre.objects.items() if key.kind == "ModelVersion"]
    if not versions:
        return ""
    return str(max(versions, key=lambda manifest: manifest["metadata"]["creationTimestamp"])["metadata"]["name"])
