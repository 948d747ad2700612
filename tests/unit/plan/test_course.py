"""The course of a rollout, where a crash came between two writes of one visit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tidemill.api import API_VERSION, InferenceService, ModelVersion
from tidemill.api.inferenceservice import InferenceServiceStatus
from tidemill.children import names
from tidemill.plan.inferenceservice.lifecycle import decide
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.selection import select

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
QUARANTINE = "ann: trained on leaked labels"


def version(name: str, hour: int, **annotations: str) -> ModelVersion:
    return ModelVersion.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "ModelVersion",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "creationTimestamp": f"2026-01-05T0{hour}:00:00Z",
                "annotations": annotations,
            },
            "spec": {"modelName": "fraud", "artifact": {"uri": "s3://b/m", "digest": "sha256:" + str(hour) * 64}},
            "status": {"conditions": [condition("Ready", "True", "Approved")]},
        }
    )


def condition(type_: str, status: str, reason: str) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "lastTransitionTime": "2026-01-05T08:00:00Z"}


def service(candidate: str) -> InferenceService:
    """A service in the middle of a rollout of `candidate`."""
    rollout = {
        "phase": "Progressing",
        "version": candidate,
        "weight": 25,
        "startedAt": "2026-01-05T08:59:00Z",
        "stepStartedAt": "2026-01-05T08:59:00Z",
    }
    return InferenceService.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "InferenceService",
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u"},
            "spec": {"model": {"name": "fraud"}},
            "status": {"rollout": rollout},
        }
    )


def at_rest(**status: Any) -> InferenceService:
    """A service without a rollout."""
    return service("").model_copy(update={"status": InferenceServiceStatus.model_validate(status)})


def deployment(of: str) -> dict[str, Any]:
    return {"metadata": {"name": "fraud", "labels": {names.MODEL_VERSION: of}}, "spec": {"replicas": 1}}


def seen(*versions: ModelVersion) -> ServiceState:
    return ServiceState(deployment("v1"), deployment("v3"), (), versions)


def test_a_candidate_that_a_person_quarantines_is_rolled_back_with_the_name_and_the_reason() -> None:
    marked = version("v3", 3, **{names.QUARANTINE: QUARANTINE})
    sight = seen(version("v1", 1), marked)

    course = decide(service("v3"), sight, select(service("v3"), sight, NOW), NOW, ())

    assert course.ended is not None
    assert ("RolledBack", "Quarantined", "quarantined by ann: trained on leaked labels") == (
        course.ended.outcome,
        course.ended.reason,
        course.ended.message,
    )
    assert ["RolledBack"] == [notice.reason for notice in course.notices]


def test_an_older_version_does_not_supersede_one_that_is_quarantined() -> None:
    marked = version("v3", 3, **{names.QUARANTINE: QUARANTINE})
    sight = seen(version("v1", 1), version("v2", 2), marked)

    course = decide(service("v3"), sight, select(service("v3"), sight, NOW), NOW, ())

    assert course.ended is not None
    assert "RolledBack" == course.ended.outcome


def test_an_abort_is_heard_while_the_service_is_suspended() -> None:
    sight = seen(version("v1", 1), version("v3", 3))
    live = service("v3")
    aborted = live.model_copy(
        update={
            "metadata": live.metadata.model_copy(update={"annotations": {names.ABORT: "v3"}}),
            "spec": live.spec.model_copy(update={"suspend": True}),
        }
    )

    course = decide(aborted, sight, select(aborted, sight, NOW), NOW, ())

    assert course.ended is not None
    assert ("RolledBack", "Aborted") == (course.ended.outcome, course.ended.reason)


def test_a_suspended_rollout_says_its_share_and_the_wait_does_not_count_for_the_deadline() -> None:
    sight = seen(version("v1", 1), version("v3", 3))
    live = service("v3")
    suspended = live.model_copy(update={"spec": live.spec.model_copy(update={"suspend": True})})

    held = decide(suspended, sight, select(suspended, sight, NOW), NOW, ()).rollout

    assert held is not None
    assert "held at 25% of requests; set spec.suspend to false to go on" == held.message
    assert ("Suspended", 25, NOW) == (held.reason, held.weight, held.waits_since)
    resumed = live.model_copy(update={"status": InferenceServiceStatus(rollout=held)})
    later = NOW + timedelta(hours=24)
    after = decide(resumed, sight, select(resumed, sight, later), later, ())
    assert after.ended is None
    assert after.rollout is not None
    assert "Suspended" != after.rollout.reason


def test_a_switched_candidate_without_pods_is_superseded_rather_than_promoted() -> None:
    sight = seen(version("v1", 1), version("v3", 3), version("v4", 4))
    live = service("v3")
    assert live.status.rollout is not None
    switched = live.status.rollout.model_copy(update={"phase": "Switched", "weight": 100})
    lost = live.model_copy(update={"status": InferenceServiceStatus(rollout=switched)})

    course = decide(lost, sight, select(lost, sight, NOW), NOW, ())

    assert course.ended is not None
    assert "Superseded" == course.ended.outcome


def test_a_newer_version_supersedes_the_candidate_and_both_are_told() -> None:
    sight = seen(version("v1", 1), version("v3", 3), version("v4", 4))

    course = decide(service("v3"), sight, select(service("v3"), sight, NOW), NOW, ())

    events = [(notice.reason, notice.message) for notice in course.notices]
    assert [("Superseded", "v3: v4 is newer"), ("RolloutStarted", "v4 replaces v1")] == events


def test_a_candidate_that_is_no_longer_wanted_is_withdrawn() -> None:
    sight = seen(version("v1", 1))

    course = decide(service("v3"), sight, select(service("v3"), sight, NOW), NOW, ())

    assert course.ended is not None
    assert ("Superseded", "Withdrawn") == (course.ended.outcome, course.ended.reason)
    assert ["Superseded"] == [notice.reason for notice in course.notices]


def test_a_promotion_that_was_recorded_is_not_recorded_again_when_its_candidate_is_still_there() -> None:
    promoted = {"version": "v3", "outcome": "Promoted", "startedAt": "2026-01-05T08:00:00Z", "at": NOW.isoformat()}
    sight = ServiceState(deployment("v3"), deployment("v3"), (), (version("v1", 1), version("v3", 3)))
    after = at_rest(history=[promoted])

    course = decide(after, sight, select(after, sight, NOW), NOW, ())

    assert (None, None, True) == (course.ended, course.rollout, course.retire_candidate)


def test_a_promotion_whose_status_was_lost_is_carried_on() -> None:
    sight = ServiceState(deployment("v3"), deployment("v3"), (), (version("v1", 1), version("v3", 3)))

    course = decide(at_rest(), sight, select(at_rest(), sight, NOW), NOW, ())

    assert course.rollout is not None
    assert ("Promoting", "v3") == (course.rollout.phase, course.rollout.version)


def test_a_service_of_a_candidate_whose_deployment_is_gone_is_removed_too() -> None:
    sight = ServiceState(deployment("v3"), None, (), (version("v3", 3),))

    assert decide(at_rest(), sight, select(at_rest(), sight, NOW), NOW, ()).retire_candidate


def deployed_at(of: str, moment: str) -> dict[str, Any]:
    made = deployment(of)
    return {**made, "metadata": {**made["metadata"], "creationTimestamp": moment}}


def test_a_candidate_that_no_status_speaks_of_stays_until_everything_must_have_been_seen() -> None:
    service = at_rest(stable={"version": "v1", "digest": "sha256:" + "1" * 64})
    just_made = ServiceState(deployment("v1"), deployed_at("v3", "2026-01-05T08:59:50Z"), (), (version("v1", 1),))
    of_old = replace(just_made, candidate=deployed_at("v3", "2026-01-05T08:59:20Z"))

    first = decide(service, just_made, select(service, just_made, NOW), NOW, ())
    later = decide(service, of_old, select(service, of_old, NOW), NOW, ())

    assert (False, 20.0) == (first.retire_candidate, first.wake)
    assert (True, None) == (later.retire_candidate, later.wake)


def test_a_candidate_whose_end_is_on_record_goes_at_once() -> None:
    ended = {
        "version": "v3",
        "outcome": "RolledBack",
        "startedAt": "2026-01-05T08:58:00Z",
        "at": "2026-01-05T08:59:55Z",
    }
    service = at_rest(stable={"version": "v1", "digest": "sha256:" + "1" * 64}, history=[ended])
    sight = ServiceState(deployment("v1"), deployed_at("v3", "2026-01-05T08:59:50Z"), (), (version("v1", 1),))

    assert decide(service, sight, select(service, sight, NOW), NOW, ()).retire_candidate
