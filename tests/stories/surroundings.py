"""Stories of surroundings: a quota, a full node and a memory limit in each phase of a rollout say nothing about its version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import newest, second_version

KINDS = ("quota", "full node", "out of memory")
PHASES = ("Starting", "step 1", "step 2", "Promoting", "RollingBack")


def _story(kind: str, phase: str) -> Callable[[FakeCluster], None]:
    """The trouble begins when the rollout reaches the phase, lasts for half an hour, and ends; so does the rollout, well."""

    def story(cluster: FakeCluster) -> None:
        if phase == "Starting":
            cluster.trouble = lambda pod: kind if "candidate" in pod["metadata"]["name"] else ""
        second_version(cluster, replicas=1, right=70 if phase == "RollingBack" else 97)
        second = newest(cluster)
        if phase != "Starting":
            _run_until(cluster, phase)
            cluster.say(f"trouble begins: {kind}")
            cluster.trouble = lambda _: kind
            if phase.startswith("step"):
                cluster.workloads.lose_pods("fraud-candidate")
        cluster.run(minutes=30)
        cluster.say("the trouble is over")
        cluster.trouble = lambda _: ""
        cluster.measurements = script.measures(second, right=97)
        cluster.run(minutes=5)
        status = cluster.get("InferenceService", "fraud")["status"]
        assert "rollout" not in status
        assert (second == status["stable"]["version"]) == (phase != "RollingBack")

    story.__name__ = f"{kind}_in_{phase}".replace(" ", "_").lower()
    return story


def _run_until(cluster: FakeCluster, phase: str) -> None:
    """Let time pass until the rollout is in `phase`."""
    for _ in range(600):
        rollout = cluster.get("InferenceService", "fraud")["status"].get("rollout") or {}
        if rollout.get("phase") == phase or (phase.startswith("step") and _step(rollout) == phase):
            return
        cluster.run(seconds=1)
    raise AssertionError(f"the rollout never came to {phase}")


def _step(rollout: dict[str, object]) -> str:
    return f"step {int(str(rollout['step'])) + 1}" if rollout.get("phase") == "Progressing" else ""


def _of_a_judge(kind: Literal["quota", "full node", "out of memory", "slow pull"]) -> Callable[[FakeCluster], None]:
    """The Job that judges a candidate finds no room, or too little memory: it does not judge the version, and runs again."""

    def story(cluster: FakeCluster) -> None:
        cluster.judge_trouble = kind
        second_version(cluster, replicas=1, analysis=script.judged(timeout="2m"))
        second = newest(cluster)
        _run_until(cluster, "step 1")
        cluster.run(seconds=30)
        (complete,) = (c for c in _status(cluster)["conditions"] if c["type"] == "RolloutComplete")
        assert "metric 'smoke' waits for its Job" in complete["message"], complete
        assert complete["reason"] == _status(cluster)["rollout"]["reason"] != "RollingOut"
        cluster.run(minutes=10)
        assert not _status(cluster)["rejected"]
        cluster.say("the trouble is over")
        cluster.judge_trouble = ""
        cluster.run(minutes=15)
        assert second == _status(cluster)["stable"]["version"]

    story.__name__ = f"a judge that meets {kind}".replace(" ", "_")
    return story


def a_judge_that_finds_no_room_until_the_deadline(cluster: FakeCluster) -> None:
    """The rollout ends at its deadline, and not with a verdict: it is tried again once there is room."""
    cluster.judge_trouble = "quota"
    second_version(cluster, replicas=1, analysis=script.judged(timeout="2m"), deadline="8m")
    second = newest(cluster)
    cluster.run(minutes=9)
    assert "Refused" == _status(cluster)["history"][0]["reason"]
    assert not _status(cluster)["rejected"]
    cluster.say("the trouble is over")
    cluster.judge_trouble = ""
    cluster.run(minutes=10)
    assert second == _status(cluster)["stable"]["version"]


def a_judge_whose_candidate_loses_its_pods(cluster: FakeCluster) -> None:
    """A Job that fails because the node of the candidate went away does not judge the version."""
    cluster.passes = lambda _: _candidate_answers(cluster)
    second_version(cluster, replicas=1, analysis=script.judged())
    cluster.run_seconds = 20.0
    second = newest(cluster)
    _run_until(cluster, "step 1")
    cluster.run(seconds=4)
    cluster.say("the node of the candidate goes away")
    cluster.trouble = lambda pod: "full node" if "candidate" in pod["metadata"]["name"] else ""
    cluster.workloads.lose_pods("fraud-candidate")
    cluster.run(minutes=2)
    cluster.trouble = lambda _: ""
    cluster.run(minutes=10)
    assert second == _status(cluster)["stable"]["version"]


def _candidate_answers(cluster: FakeCluster) -> bool:
    """Return whether the candidate has a ready pod."""
    return bool(cluster.get("Deployment", "fraud-candidate")["status"]["readyReplicas"])


def _status(cluster: FakeCluster) -> dict[str, Any]:
    status: dict[str, Any] = cluster.get("InferenceService", "fraud")["status"]
    return status


STORIES = (
    *(_story(kind, phase) for kind in KINDS for phase in PHASES),
    *(_story("slow pull", phase) for phase in ("Starting", "Promoting")),
    _of_a_judge("quota"),
    _of_a_judge("full node"),
    _of_a_judge("out of memory"),
    _of_a_judge("slow pull"),
    a_judge_that_finds_no_room_until_the_deadline,
    a_judge_whose_candidate_loses_its_pods,
)
