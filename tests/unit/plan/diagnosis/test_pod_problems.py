"""One diagnosis of pods: what keeps them from starting or staying up, as a message with a remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from tidemill.api.conditions import Reason
from tidemill.plan.diagnosis import POD_CREATION_SECONDS, deployment_problem, pod_problem
from tidemill.plan.runs.attempts import PATIENT
from tidemill.plan.runs.job_state import diagnose

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
STARTED = {"metadata": {"name": "t1"}, "spec": {}, "status": {"startTime": "2026-01-05T11:59:00Z"}}
QUOTA = 'pods "iris-x" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=2, limited: pods=2'
NO_ROOM = "0/1 nodes are available: 1 Insufficient cpu"
REMEDY = "lower spec.resources.requests, free a node, or add one"


def pod(**status: Any) -> dict[str, Any]:
    containers = [{"name": "server", "resources": {"limits": {"memory": "60Mi"}}}]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers}, "status": status}


def container(state: dict[str, Any], last: dict[str, Any] | None = None, restarts: int = 0) -> dict[str, Any]:
    status = {"name": "server", "image": "s:1", "restartCount": restarts, "state": state, "lastState": last or {}}
    return pod(containerStatuses=[status])


def unschedulable(message: str = NO_ROOM) -> dict[str, Any]:
    full_message = f"{message}. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    return pod(
        conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": full_message}]
    )


BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container=server"}}
PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "no node has room": (unschedulable(), f"the pod cannot be scheduled: {NO_ROOM}; {REMEDY}"),
    "the image cannot be pulled": (
        container({"waiting": {"reason": "ImagePullBackOff", "message": "x"}}),
        "cannot pull image s:1 (ImagePullBackOff); check the image values of the chart",
    ),
    "out of memory, seen between two restarts": (
        container(BACK_OFF, {"terminated": {"reason": "OOMKilled", "exitCode": 137}}, 3),
        "the container was OOMKilled 3 times; raise spec.resources.limits.memory (now 60Mi)",
    ),
    "out of memory, seen at once": (
        container({"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
        "the container was OOMKilled; raise spec.resources.limits.memory (now 60Mi)",
    ),
    "out of memory, without a limit": (
        {**container({"terminated": {"reason": "OOMKilled", "exitCode": 137}}), "spec": {"containers": []}},
        "the container was OOMKilled; it has no memory limit, so its node ran out of memory; free some, or set"
        " spec.resources.requests.memory to get a larger node",
    ),
    "a crash": (
        container(BACK_OFF, {"terminated": {"reason": "Error", "exitCode": 1, "message": "no such bucket\n"}}, 2),
        "the container crashed 2 times with Error (exit code 1): no such bucket; check its logs",
    ),
    "a missing key of a Secret": (
        container({"waiting": {"reason": "CreateContainerConfigError", "message": "secret not found"}}),
        "the container cannot start: secret not found; create what is missing",
    ),
    "evicted": (
        pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory. "),
        "the pod was evicted: The node was low on resource: memory; "
        "free memory or disk space of the node, or raise spec.resources.requests",
    ),
    "refused by its node": (
        pod(phase="Failed", reason="OutOfcpu", message="Pod was rejected: Node didn't have enough resource: cpu"),
        "the node refused the pod (OutOfcpu): Pod was rejected: Node didn't have enough resource: cpu; free a node, or add one",
    ),
    "disrupted": (
        pod(
            phase="Failed",
            conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
        ),
        "the pod was disrupted (PreemptionByScheduler): the pod was removed from its node",
    ),
    "an image name that cannot be": (
        container({"waiting": {"reason": "InvalidImageName", "message": "x"}}),
        "cannot pull image s:1 (InvalidImageName); check the image values of the chart",
    ),
    "held back by a gate": (
        pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
        "a scheduling gate holds the pod back; remove it, or wait for its controller",
    ),
    "starting": (container({"waiting": {"reason": "ContainerCreating"}}), ""),
    "running again": (
        container({"running": {}}, {"terminated": {"reason": "OOMKilled", "exitCode": 137}}, 1),
        "",
    ),
    "nothing reported yet": (pod(), ""),
}


@pytest.mark.parametrize(("result", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_pod_has_one_problem_with_its_remedy(result: dict[str, Any], expected: str) -> None:
    assert expected == pod_problem(result)


def condition(type_: str, status: str, message: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": type_, "status": status, "reason": "R", "message": message}]}}


def test_a_deployment_tells_of_pods_that_may_not_be_created() -> None:
    limit = "maximum memory usage per Container is 600Mi, but limit is 1Gi"
    late = 'ReplicaSet "x" has timed out progressing'

    refused = f"no pod can be created: a LimitRange refuses the pod: {limit}; change spec.resources, or the LimitRange"
    assert refused == deployment_problem(condition("ReplicaFailure", "True", limit), [])
    assert f"the pods do not become ready: {late}" == deployment_problem(condition("Progressing", "False", late), [])
    assert "cannot be scheduled" in deployment_problem(condition("Progressing", "False", late), [unschedulable()])
    assert "" == deployment_problem(condition("Progressing", "True", ""), [pod()])
    assert "" == deployment_problem(None, [])


def test_a_job_whose_pod_is_never_created_says_where_the_reason_is() -> None:
    early = diagnose({**STARTED, "status": {"startTime": "2026-01-05T11:59:55Z"}}, [], NOW)
    late = diagnose(STARTED, [], NOW)

    assert ("Waiting", False, "the pod is starting") == (early.phase, early.blocked, early.message)
    assert ("Waiting", True) == (late.phase, late.blocked)
    assert "kubectl describe job t1" in late.message
    assert not diagnose({**STARTED, "spec": {"suspend": True}}, [], NOW).blocked


DEADLINE = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}


def test_a_pod_that_never_ran_did_not_take_too_long() -> None:
    job = {**STARTED, "status": {**STARTED["status"], "conditions": [DEADLINE]}}  # type: ignore[dict-item]

    gone = diagnose(job, [], NOW, f"the pod cannot be scheduled: {NO_ROOM}")
    there = diagnose(job, [unschedulable()], NOW)
    ran = diagnose(job, [], NOW)

    for run in (gone, there):
        assert run.failure is not None
        assert (Reason.UNSCHEDULABLE, True) == (run.failure.reason, run.failure.retryable)
        assert NO_ROOM in run.failure.message
    assert ran.failure is not None
    assert (Reason.DEADLINE_EXCEEDED, False) == (ran.failure.reason, ran.failure.retryable)
    assert Reason.UNSCHEDULABLE in PATIENT


def test_a_run_without_a_pod_is_told_within_half_a_minute_and_tried_again_after_its_deadline() -> None:
    """A quota lets no pod in: the Job has none, and ends by its deadline."""
    cluster = FakeCluster(run_seconds=10_000, reports={"Ingest": script.ingests, "Train": script.trains()})
    cluster.apply(script.dataset())
    cluster.run(seconds=1)
    [first] = cluster.named("Job")
    for key in [key for key in cluster.objects if key.kind == "Pod"]:
        cluster.remove(key)
    cluster.run(seconds=POD_CREATION_SECONDS + 5)
    ready = ready_of(cluster)

    assert ("Unknown", "Refused") == (ready["status"], ready["reason"])
    assert (
        f"no pod was created; a quota, a LimitRange or an admission rule may refuse it: see the Events of kubectl describe job {first}"
        == ready["message"]
    )

    key = next(key for key in cluster.objects if key.kind == "Job")
    cluster.objects[key] = {**cluster.objects[key], "status": {"conditions": [DEADLINE]}}
    cluster.nudge(cluster.objects[key])
    cluster.run(seconds=1)
    ready = ready_of(cluster)

    assert "Unschedulable" == ready["reason"]
    assert "did not start before the deadline: no pod was created" in ready["message"]

    cluster.run(minutes=1)
    assert 2 == len(cluster.named("Job"))


def ready_of(cluster: FakeCluster) -> dict[str, Any]:
    conditions = cluster.get("Dataset", "payments")["status"]["conditions"]
    return next(condition for condition in conditions if condition["type"] == "Ready")


def test_the_limit_of_a_message_is_that_of_the_container_that_was_killed() -> None:
    killed = container({"terminated": {"reason": "OOMKilled", "exitCode": 137}})
    killed["spec"]["containers"].insert(0, {"name": "sidecar", "resources": {"limits": {"memory": "1Gi"}}})

    assert "(now 60Mi)" in pod_problem(killed)
    assert timedelta(seconds=POD_CREATION_SECONDS) < timedelta(seconds=30)
