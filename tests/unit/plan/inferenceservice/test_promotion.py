"""Every phase has exits: a promotion that finds no room says so, makes room, and can be taken back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support import monitors as make
from tidemill.api import InferenceService, ModelVersion
from tidemill.api.inferenceservice import InferenceServiceStatus, RolloutStatus
from tidemill.children import names
from tidemill.plan.inferenceservice.lifecycle import ROOM_SECONDS, ROUTES_SETTLE_SECONDS, RolloutDecision, decide
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.selection import Selection

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
NO_ROOM = "0/1 nodes are available: 1 Insufficient cpu"
QUOTA = "exceeded quota: pods, requested: pods=1, used: pods=2, limited: pods=2"


def version(number: int) -> ModelVersion:
    return make.version(f"fraud-{number}", hour=number)


def deployment(of: str, *, refused: str = "") -> dict[str, Any]:
    order = json.dumps({"version": {"name": of}})
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": refused}] if refused else []
    return {
        "metadata": {"name": "d", "uid": "d", "generation": 2},
        "spec": {"replicas": 1, "template": {"metadata": {"annotations": {names.ORDER: order}}}},
        "status": {"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "conditions": conditions},
    }


def pod(of: str, *, ready: bool = True, problem: str = "", role: str = "stable") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if problem:
        conditions.append({"type": "PodScheduled", "status": "False", "message": problem})
    labels = {names.ROLE: role, names.MODEL_VERSION: of}
    return {"metadata": {"name": of, "labels": labels}, "status": {"conditions": conditions}}


def stuck(*, quota: bool = False) -> ServiceState:
    """Return a service whose stable Deployment has the new version, and no room for its pod."""
    new = () if quota else (pod("fraud-2", ready=False, problem=NO_ROOM),)
    pods = (pod("fraud-1"), *new, pod("fraud-2", role="candidate"))
    stable = deployment("fraud-2", refused=QUOTA if quota else "")
    return ServiceState(stable, deployment("fraud-2"), pods, (version(1), version(2), version(3)))


def visit(
    state: ServiceState,
    *,
    since: float = 5.0,
    weight: int = 100,
    selected: int = 2,
    deadline: str = "1h",
    **changes: Any,
) -> RolloutDecision:
    """Decide about a promotion of fraud-2 that has lasted for `since` seconds."""
    begun = NOW - timedelta(seconds=since)
    rollout = RolloutStatus(
        phase="Promoting",
        version="fraud-2",
        weight=weight,
        started_at=begun,
        step_started_at=begun,
        message=changes.get("message", ""),
    )
    service = InferenceService.model_validate(
        {
            "metadata": {
                "name": "fraud",
                "namespace": "shop",
                "uid": "u",
                "annotations": changes.get("annotations", {}),
            },
            "spec": {"model": {"name": "fraud", **changes.get("model", {})}, "rollout": {"deadline": deadline}},
        }
    )
    service = service.model_copy(update={"status": InferenceServiceStatus(rollout=rollout)})
    return decide(service, state, Selection(version(selected)), NOW, ())


@pytest.mark.parametrize(
    ("quota", "message"), [(True, "ResourceQuota 'pods' is used up"), (False, NO_ROOM)], ids=["quota", "full node"]
)
def test_a_promotion_without_room_says_so_and_gives_the_candidates_pod_up_for_it(quota: bool, message: str) -> None:
    state = stuck(quota=quota)

    first = visit(state)
    assert first.rollout is not None
    assert message in first.rollout.message
    assert (100, False) == (first.rollout.weight, first.retire_candidate)
    assert first.wake is not None

    without_traffic = visit(state, since=ROOM_SECONDS + 1)
    assert without_traffic.rollout is not None
    assert (0, False, NOW) == (
        without_traffic.rollout.weight,
        without_traffic.retire_candidate,
        without_traffic.rollout.step_started_at,
    )

    settling = visit(state, since=ROUTES_SETTLE_SECONDS - 1, weight=0)
    assert not settling.retire_candidate

    given_up = visit(state, since=ROUTES_SETTLE_SECONDS + 1, weight=0)
    assert given_up.retire_candidate
    assert given_up.serve is not None
    assert ("fraud-2", "Promoting") == (given_up.serve.name, given_up.rollout and given_up.rollout.phase)


def test_a_promotion_without_room_is_an_event_once() -> None:
    first = visit(stuck())
    assert first.rollout is not None
    again = visit(stuck(), message=first.rollout.message)

    assert ["PromotionWaits"] == [notice.reason for notice in first.notices]
    assert NO_ROOM in first.notices[0].message
    assert () == again.notices


EXITS: dict[str, tuple[dict[str, Any], str, str]] = {
    "abort": ({"annotations": {names.ABORT: "fraud-2"}}, "RolledBack", "Aborted"),
    "deadline": ({"since": 200.0, "deadline": "3m"}, "RolledBack", ""),
    "pin": ({"selected": 1, "model": {"version": "fraud-1"}}, "Superseded", "Withdrawn"),
    "a newer version": ({"selected": 3}, "Superseded", "Withdrawn"),
}


@pytest.mark.parametrize(("changes", "outcome", "reason"), EXITS.values(), ids=EXITS)
@pytest.mark.parametrize("quota", [True, False])
def test_a_stuck_promotion_returns_to_the_version_that_still_answers(
    changes: dict[str, Any], outcome: str, reason: str, quota: bool
) -> None:
    decision = visit(stuck(quota=quota), **changes)

    assert decision.serve is not None
    assert decision.rollout is not None
    assert decision.ended is not None
    assert ("fraud-1", "RollingBack", 0) == (decision.serve.name, decision.rollout.phase, decision.rollout.weight)
    # What is in the way is named, and does not count against the version.
    reason = reason or ("Refused" if quota else "Unschedulable")
    assert (outcome, reason) == (decision.ended.outcome, decision.ended.reason)
    assert [outcome] == [notice.reason for notice in decision.notices]


STARTED = {"running": {"startedAt": "2026-01-05T11:00:00Z"}}
UNREADY: dict[str, tuple[dict[str, Any] | None, str]] = {
    "its image is still being pulled": ({"waiting": {"reason": "ContainerCreating"}}, "Progressing"),
    "no node has reported of it": (None, "Progressing"),
    "its process runs and is not ready": (STARTED, "DeadlineExceeded"),
    "its process ended": ({"terminated": {"exitCode": 1, "reason": "Error"}}, "DeadlineExceeded"),
}


@pytest.mark.parametrize("case", UNREADY)
def test_at_the_deadline_of_a_promotion_a_pod_that_never_started_does_not_judge_the_version(case: str) -> None:
    container, reason = UNREADY[case]
    new = pod("fraud-2", ready=False)
    if container is not None:
        new["status"]["containerStatuses"] = [{"name": "server", "state": container}]
    pods = (pod("fraud-1"), new, pod("fraud-2", role="candidate"))
    state = ServiceState(deployment("fraud-2"), deployment("fraud-2"), pods, (version(1), version(2)))

    ended = visit(state, since=200.0, deadline="3m").ended

    assert ended is not None
    assert ("RolledBack", reason) == (ended.outcome, ended.reason)
    assert ended.message.startswith("the rollout did not end within 3m")


def test_a_promotion_that_goes_well_is_not_interrupted_by_a_newer_version() -> None:
    pods = (pod("fraud-1"), pod("fraud-2", ready=False), pod("fraud-2", role="candidate"))
    state = ServiceState(deployment("fraud-2"), deployment("fraud-2"), pods, (version(1), version(2), version(3)))

    decision = visit(state, selected=3)

    assert decision.ended is None
    assert decision.serve is not None
    assert "fraud-2" == decision.serve.name


def test_a_promotion_without_any_old_pod_left_is_brought_to_its_end() -> None:
    pods = (pod("fraud-2"), pod("fraud-2", role="candidate"))
    state = ServiceState(deployment("fraud-2"), deployment("fraud-2"), pods, (version(1), version(2)))

    decision = visit(state, annotations={names.ABORT: "fraud-2"})

    assert decision.ended is None or "Promoted" == decision.ended.outcome
    assert decision.serve is not None
    assert "fraud-2" == decision.serve.name


def test_an_abort_before_the_stable_pods_are_replaced_keeps_them() -> None:
    pods = (pod("fraud-1"), pod("fraud-2", role="candidate"))
    state = ServiceState(deployment("fraud-1"), deployment("fraud-2"), pods, (version(1), version(2)))

    decision = visit(state, since=1, annotations={names.ABORT: "fraud-2"})

    assert decision.serve is not None
    assert decision.rollout is not None
    assert ("fraud-1", "RollingBack", 0) == (decision.serve.name, decision.rollout.phase, decision.rollout.weight)
