"""Whether stable pods follow the routing tables that were written for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import annotated, in_service, newest
from tidemill.api import InferenceService
from tidemill.children import names
from tidemill.contract.serving import Measurements, Routes, VersionOrder
from tidemill.plan.inferenceservice.followed import RoutesFollowed, compare
from tidemill.plan.inferenceservice.observed import ServiceState

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
CANDIDATE = VersionOrder(name="fraud-2", uri="s3://b/m", digest="sha256:" + "2" * 64)
HALF = Routes(weight=50, candidate=CANDIDATE, candidate_url="http://c", peers=("http://a",))
FIFTH = HALF.model_copy(update={"weight": 20})
NOTHING = Routes()


def pod(name: str, written: Routes | None, *, ready: bool = True) -> dict[str, Any]:
    annotations = (
        {} if written is None else {names.ROUTES: written.model_dump_json(by_alias=True, exclude_defaults=True)}
    )
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {names.ROLE: "stable"}, "annotations": annotations},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def service(
    condition: str = "", *, since: float = 0.0, step: float | None = None, reason: str = "Reconciling"
) -> InferenceService:
    """A service whose step began `step` seconds ago, and whose condition has had this status for `since` seconds."""
    status: dict[str, Any] = {}
    if step is not None:
        began = (NOW - timedelta(seconds=step)).isoformat()
        status["rollout"] = {"phase": "Progressing", "version": "fraud-2", "startedAt": began, "stepStartedAt": began}
    if condition:
        transition = (NOW - timedelta(seconds=since)).isoformat()
        status["conditions"] = [
            {"type": "RoutesStale", "status": condition, "reason": reason, "lastTransitionTime": transition}
        ]
    return InferenceService.model_validate(
        {"metadata": {"name": "fraud", "namespace": "shop"}, "spec": {"model": {"name": "fraud"}}, "status": status}
    )


def seen(seen_by: InferenceService, written: Routes | None, followed: Routes | None, **more: Any) -> RoutesFollowed:
    state = ServiceState(None, None, (pod("a", written), pod("b", written)), ())
    answers = (Measurements(pod="a", routes=followed, **more), Measurements(pod="b", routes=written))
    return compare(seen_by, state, answers, NOW)


def statuses(result: RoutesFollowed) -> list[tuple[str, str]]:
    return [(condition.status, condition.reason) for condition in result.conditions]


@pytest.mark.parametrize(
    ("written", "followed"),
    [
        (HALF, HALF),
        (HALF, HALF.model_copy(update={"peers": ("http://b",)})),
        (NOTHING, NOTHING),
        (None, NOTHING),
        (NOTHING, Routes(peers=("http://b",))),
        (HALF, None),
    ],
    ids=["the same", "other peers", "nothing", "nothing written", "peers alone", "a pod that does not know"],
)
def test_nothing_is_said_of_pods_that_follow(written: Routes | None, followed: Routes | None) -> None:
    assert RoutesFollowed() == seen(service(step=100), written, followed)


def test_a_pod_has_some_seconds_to_follow_before_anything_is_said() -> None:
    result = seen(service(step=1), HALF, NOTHING)

    assert ([], 3.0) == (statuses(result), result.wake)


def test_a_difference_is_unknown_first_and_then_true_and_reported_once() -> None:
    first = seen(service(step=5), HALF, NOTHING)
    later = seen(service("Unknown", since=10, step=15), HALF, NOTHING)
    beyond = seen(service("Unknown", since=26, step=31), HALF, NOTHING)
    after = seen(service("True", since=100, step=200, reason="RoutesNotFollowed"), HALF, NOTHING)

    assert [[("Unknown", "Reconciling")]] * 2 == [statuses(first), statuses(later)]
    assert [[("True", "RoutesNotFollowed")]] * 2 == [statuses(beyond), statuses(after)]
    assert [0, 0, 1, 0] == [len(result.notices) for result in (first, later, beyond, after)]
    assert all(result.wake for result in (first, later, beyond, after))


def test_a_table_that_was_rolled_back_is_looked_at_when_the_rollout_is_over_too() -> None:
    result = seen(service("Unknown", since=60), NOTHING, HALF, routes_problem="the routing table is not understood")

    assert [("True", "RoutesNotFollowed")] == statuses(result)
    assert (
        "pod a sends 50% of requests to fraud-2, but no request to a candidate is written (the routing table is not understood);"
        " see the log of the pod, and delete the pod if this does not end"
    ) == result.conditions[0].message


@pytest.mark.parametrize("change", ["weight", "shadow", "compare", "candidate_url"])
def test_each_part_of_the_table_that_decides_about_requests_counts(change: str) -> None:
    other = {"weight": 20, "shadow": 10, "compare": True, "candidate_url": "http://d"}[change]

    assert statuses(seen(service(step=100), HALF, HALF.model_copy(update={change: other})))


def test_what_was_said_stays_while_no_pod_answers_and_ends_when_all_follow() -> None:
    before = service("True", since=100, reason="RoutesNotFollowed")
    state = ServiceState(None, None, (pod("a", HALF),), ())

    silent = compare(before, state, (), NOW)
    followed = compare(before, state, (Measurements(pod="a", routes=HALF),), NOW)
    gone = compare(before, ServiceState(None, None, (pod("a", HALF, ready=False),), ()), (), NOW)

    assert [[("True", "RoutesNotFollowed")], [], []] == [statuses(result) for result in (silent, followed, gone)]


def test_a_frozen_pod_is_told_on_its_service_and_is_forgotten_once_it_follows() -> None:
    cluster = FakeCluster()
    in_service(cluster)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=20)
    frozen: dict[str, Routes] = {}

    def measured() -> tuple[Measurements, ...]:
        pods = [
            made
            for made in cluster.objects.values()
            if made["kind"] == "Pod" and made["metadata"]["labels"].get(names.ROLE) == "stable"
        ]
        return tuple(
            Measurements(
                pod=made["metadata"]["name"],
                routes=frozen.get(
                    made["metadata"]["name"],
                    Routes.model_validate_json(made["metadata"].get("annotations", {}).get(names.ROUTES, "{}")),
                ),
            )
            for made in pods
        )

    cluster.measurements = measured
    frozen |= {answer.pod: answer.routes for answer in measured()[:1] if answer.routes}
    cluster.apply(annotated(script.service(), "tidemill.dev/abort", newest(cluster)))
    cluster.run(minutes=1)
    stale = [condition for condition in conditions(cluster) if condition["type"] == "RoutesStale"]
    frozen.clear()
    cluster.run(minutes=1)

    assert [("True", "RoutesNotFollowed")] == [(condition["status"], condition["reason"]) for condition in stale]
    assert "RoutesStale" not in {condition["type"] for condition in conditions(cluster)}
    assert any("RoutesNotFollowed" in line for line in cluster.lines)


def conditions(cluster: FakeCluster) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = cluster.get("InferenceService", "fraud")["status"]["conditions"]
    return result
