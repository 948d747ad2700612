"""Stories of surroundings: a quota, a full node and a memory limit in each phase of a rollout say nothing about its version."""

from __future__ import annotations

from collections.abc import Callable

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


STORIES = tuple(_story(kind, phase) for kind in KINDS for phase in PHASES)
