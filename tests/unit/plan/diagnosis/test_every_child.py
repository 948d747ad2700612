"""Each child that Tidemill runs, times each reason for which its pod does not run: told on the object, with the remedy."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from stories import script
from stories.fake_cluster import INSTALLATION, FakeCluster
from stories.openings import in_service, second_version
from tidemill import plan
from tidemill.children import names
from tidemill.plan import Key, Manifest, World
from tidemill.plan.types import ObservedEvents

QUOTA = 'pods "x-abcde" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
EXTERNAL = {"name": "outside", "type": "External", "source": "Alertmanager", "secretRef": {"name": "alerts"}}


class Child(NamedTuple):
    """A Job or a Deployment, and the condition of its owner that tells of it."""

    owner: Key
    kind: str
    component: str
    condition: str
    role: str = ""


CHILDREN = {
    "ingest": Child(Key("Dataset", "shop", "payments"), "Job", "ingest", "Ready"),
    "training": Child(Key("TrainingJob", "shop", "fraud-first"), "Job", "train", "Ready"),
    "check": Child(Key("DriftMonitor", "shop", "fraud"), "Job", "check", "Ready"),
    "receiver": Child(Key("DriftMonitor", "shop", "fraud"), "Deployment", "receiver", "ReceiverReady"),
    "worker": Child(Key("DriftMonitor", "shop", "fraud"), "Deployment", "worker", "WorkerReady"),
    "stable": Child(Key("InferenceService", "shop", "fraud"), "Deployment", "server", "Ready", "stable"),
    "candidate": Child(
        Key("InferenceService", "shop", "fraud"), "Deployment", "server", "RolloutComplete", "candidate"
    ),
}


def pod(**status: Any) -> dict[str, Any]:
    return {"phase": "Pending", **status}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(containerStatuses=[{"name": "workload", "image": "i:1", "restartCount": 0, "state": state, **more}])


NO_ROOM = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No victims.",
}
MOUNT = {"reason": "FailedMount", "message": 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'}
PULL = {"reason": "Pulling", "message": 'Pulling image "registry.example.com/server:1"'}
SCHEDULED = {"reason": "Scheduled", "message": "Successfully assigned"}
PROBLEMS: dict[str, tuple[dict[str, Any], tuple[Manifest, ...], str]] = {
    "no node": (
        pod(conditions=[NO_ROOM]),
        (),
        "1 Insufficient cpu; lower spec.resources.requests, free a node, or add one",
    ),
    "image": (waiting("ErrImagePull"), (), "cannot pull image i:1 (ErrImagePull); check the image values of the chart"),
    "image again": (waiting("ImagePullBackOff"), (), "cannot pull image i:1 (ImagePullBackOff); check the image"),
    "image name": (waiting("InvalidImageName"), (), "cannot pull image i:1 (InvalidImageName); check the image"),
    "configuration": (
        waiting("CreateContainerConfigError", 'configmap "keys" not found'),
        (),
        'the container cannot start: configmap "keys" not found; create what is missing',
    ),
    "mount": (
        waiting("ContainerCreating"),
        (MOUNT, SCHEDULED),
        'a volume cannot be mounted: volume "keys": secret "keys" not found; create what is missing',
    ),
    "slow pull": (
        waiting("ContainerCreating"),
        (PULL, SCHEDULED),
        'pulling image "registry.example.com/server:1"; wait, or check the network and the registry',
    ),
    "network": (
        waiting("ContainerCreating"),
        ({"reason": "FailedCreatePodSandBox", "message": "no address left"},),
        "the node cannot prepare the pod: no address left; check its container runtime and network",
    ),
    "eviction": (
        {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
        (),
        "the pod was evicted: The node was low on resource: memory; free memory or disk space",
    ),
    "memory": (
        waiting("CrashLoopBackOff", lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
        (),
        "the container was OOMKilled; ",
    ),
}


def scene(child: Child) -> tuple[World, FakeCluster, Manifest]:
    """Return a world in which the child runs without a pod."""
    cluster = FakeCluster(run_seconds=2.0)
    if child.role == "candidate":
        second_version(cluster, replicas=1)
        service = copy.deepcopy(cluster.world.get(*child.owner))
        assert service is not None
        service["status"]["rollout"]["phase"] = "Starting"
        cluster.world.put(service)
    elif child.component in {"ingest", "train"}:
        cluster.run_seconds = 10_000.0 if child.component == "ingest" else 2.0
        cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
        cluster.apply(script.dataset())
        cluster.run(seconds=10)
        if child.component == "train":
            cluster.run_seconds = 10_000.0
            cluster.apply(script.training_job())
            cluster.run(seconds=1)
    else:
        in_service(cluster)
        if child.owner.kind == "DriftMonitor":
            cluster.run_seconds = 10_000.0 if child.component == "check" else 2.0
            made = script.monitor(**({"execution": "WarmWorker"} if child.component == "worker" else {}))
            if child.component == "receiver":
                made["spec"]["checks"] = [*made["spec"]["checks"], EXTERNAL]
            cluster.apply(made)
            cluster.run(minutes=1, seconds=10)
    world = cluster.world
    uid = world.get(*child.owner)["metadata"]["uid"]  # type: ignore[index]
    problem = [
        manifest
        for manifest in world.labelled(child.kind, "shop", names.OWNER_UID, uid)
        if manifest["metadata"]["labels"][names.COMPONENT] == child.component
        and (child.role in ("", manifest["metadata"]["labels"].get(names.ROLE)))
    ]
    controller = copy.deepcopy(problem[-1])
    for other in world.labelled("Pod", "shop", names.OWNER_UID, uid):
        labels = other["metadata"]["labels"]
        if labels[names.COMPONENT] == child.component and child.role in ("", labels.get(names.ROLE)):
            world.remove(plan.key_of(other))
    if child.kind == "Deployment":
        controller["status"] = {"observedGeneration": controller["metadata"]["generation"]}
    world.put(controller)
    return world, cluster, controller


def reported(
    child: Child, world: World, cluster: FakeCluster, events: dict[str, tuple[Manifest, ...]]
) -> tuple[str, str]:
    """Return the reason and the message of the condition half a minute later, with the Events that were asked for."""
    now = cluster.now + timedelta(seconds=29)
    question = plan.questions(child.owner, world, now)
    asked = question.events if question else ()
    answers = tuple(ObservedEvents(query.uid, events.get(query.uid, ())) for query in asked)
    decided = plan.visit(child.owner, world, INSTALLATION, now, answers)
    assert decided is not None
    condition = decided.status.condition(child.condition)
    assert condition is not None and condition.status != "True"
    assert decided.wake is not None or not asked, "what is stuck is looked at again"
    return condition.reason, condition.message


@pytest.mark.parametrize("name", CHILDREN)
def test_a_pod_that_may_not_be_created_is_told(name: str) -> None:
    child = CHILDREN[name]
    world, cluster, controller = scene(child)
    events: dict[str, tuple[Manifest, ...]] = {}
    if child.kind == "Job":
        events[controller["metadata"]["uid"]] = ({"reason": "FailedCreate", "message": f"Error creating: {QUOTA}"},)
    else:
        refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": QUOTA}
        controller["status"]["conditions"] = [refused]
        world.put(controller)

    reason, message = reported(child, world, cluster, events)

    assert "no pod can be created: ResourceQuota 'small' is used up" in message
    assert "; raise the quota" in message
    assert child.kind == "Deployment" or reason == "Refused"


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", CHILDREN)
def test_a_pod_that_does_not_start_is_told(name: str, problem: str) -> None:
    child, (status, seen, expected) = CHILDREN[name], PROBLEMS[problem]
    if child.kind == "Job" and problem == "memory":
        pytest.skip("a Job's pod is not started again: its end is a failed run, in test_job_state")
    world, cluster, controller = scene(child)
    # The Job counts its failed pod; a Deployment replaces it.
    if child.kind == "Job" and status["phase"] == "Failed":
        failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "reached"}
        world.put({**controller, "status": {"conditions": [failed]}})
    metadata = {
        "name": "p",
        "namespace": "shop",
        "uid": "uid-p",
        "creationTimestamp": cluster.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "labels": controller["spec"]["template"]["metadata"]["labels"],
        "ownerReferences": [{"kind": child.kind, "name": "x", "uid": controller["metadata"]["uid"]}],
    }
    world.put({"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "n", "containers": []}, "status": status})

    _, message = reported(child, world, cluster, {"uid-p": seen})

    assert expected in message


def test_events_are_read_only_where_something_does_not_start() -> None:
    child = CHILDREN["training"]
    world, cluster, controller = scene(child)

    assert plan.questions(child.owner, world, cluster.now) is None
    late = plan.questions(child.owner, world, cluster.now + timedelta(seconds=6))
    assert late is not None
    assert [controller["metadata"]["uid"]] == [query.uid for query in late.events]

    suspended = {**controller, "spec": {**controller["spec"], "suspend": True}}
    world.put(suspended)
    assert plan.questions(child.owner, world, cluster.now + timedelta(minutes=1)) is None


def test_what_the_events_said_is_kept_when_they_cannot_be_read_and_when_the_job_is_over() -> None:
    cluster = FakeCluster(run_seconds=10_000.0, reports={"Ingest": script.ingests})
    cluster.apply(script.dataset())
    cluster.run(seconds=1)
    [job] = [key for key in cluster.objects if key.kind == "Job"]
    for key in [key for key in cluster.objects if key.kind == "Pod"]:
        cluster.remove(key)
    uid = cluster.objects[job]["metadata"]["uid"]
    cluster.events[uid] = ({"reason": "FailedCreate", "message": f"Error creating: {QUOTA}"},)
    cluster.run(seconds=25)
    before = message_of(cluster)

    world = cluster.world
    now = cluster.now + timedelta(seconds=25)
    unread = plan.visit(Key("Dataset", "shop", "payments"), world, INSTALLATION, now, ())
    deadline = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    cluster.objects[job] = {**cluster.objects[job], "status": {"conditions": [deadline]}}
    cluster.nudge(cluster.objects[job])
    cluster.run(seconds=1)

    assert "ResourceQuota 'small' is used up" in before
    ready = unread.status.condition("Ready") if unread is not None else None
    assert ready is not None and before == ready.message
    assert f"the pod did not start before the deadline: {before}" == message_of(cluster)
    assert any("! Dataset payments: Refused: no pod can be created" in line for line in cluster.lines)


def message_of(cluster: FakeCluster) -> str:
    conditions = cluster.get("Dataset", "payments")["status"]["conditions"]
    return str(next(condition["message"] for condition in conditions if condition["type"] == "Ready"))
