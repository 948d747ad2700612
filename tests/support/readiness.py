"""Who judges whether an object is ready, and the states that the planners put objects in: what tests of readiness share."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from lupa.lua51 import LuaRuntime

from stories import script
from stories.fake_cluster import OURS, FakeCluster
from stories.test_stories import STORIES
from tidemill.plan import Key, Manifest

GITOPS = Path(__file__).parents[2] / "manifests" / "gitops"
# What a person reads in Argo CD, and what kstatus calls it.
MEANS = {"Healthy": "Current", "Degraded": "Failed", "Progressing": "InProgress", "Suspended": "InProgress"}


@cache
def argo_cd() -> tuple[LuaRuntime, Any]:
    """Lua with the script as a function."""
    configuration = yaml.safe_load((GITOPS / "argocd" / "argocd-cm.yaml").read_text())
    customizations = yaml.safe_load(configuration["data"]["resource.customizations"])
    lua = LuaRuntime()
    return lua, lua.eval(f"function(obj) {customizations['tidemill.dev/*']['health.lua']} end")


def health(manifest: Manifest) -> tuple[str, str]:
    """Argo CD's verdict and its message."""
    lua, judge = argo_cd()
    result = judge(lua.table_from(manifest, recursive=True))
    return result["status"], result["message"]


def by_the_rule(manifest: Manifest) -> str:
    """The verdict of kstatus by its rule, written down once more: tests of the API server hold this against kstatus itself."""
    status = manifest.get("status") or {}
    if manifest["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", manifest["metadata"]["generation"]) != manifest["metadata"]["generation"]:
        return "InProgress"
    for condition in status.get("conditions", ()):
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return "InProgress" if condition["type"] == "Reconciling" else "Failed"
    ready = [condition["status"] for condition in status.get("conditions", ()) if condition["type"] == "Ready"]
    return "Current" if ready in ([], ["True"]) else "InProgress"


@dataclass
class Recorded(FakeCluster):
    """A theatre that keeps every state that an object of ours was ever in."""

    seen: list[Manifest] = field(default_factory=list)

    def _look(self, key: Key) -> None:
        super()._look(key)
        manifest = self.objects.get(key)
        if manifest is not None and key.kind in OURS:
            self.seen.append(copy.deepcopy(manifest))


@cache
def lived(name: str) -> tuple[Manifest, ...]:
    theatre = Recorded()
    STORIES[name](theatre)
    return tuple(theatre.seen)


OF_KIND = {
    "Dataset": script.dataset,
    "TrainingJob": script.training_job,
    "ModelVersion": script.model_version,
    "InferenceService": script.service,
    "DriftMonitor": script.monitor,
}


@dataclass(frozen=True)
class Row:
    """A state of a rollout: where a story shows it, and what those who wait for the service are told."""

    story: str
    phase: str
    text: str
    """A part of the message of RolloutComplete, or of RolledBack where no rollout is left."""
    ready: bool = True
    """Whether `kubectl wait --for=condition=Ready` is content; the version that was stable answers."""
    verdict: str = "InProgress"
    """The word of kstatus."""


ROLLOUTS = {
    "a candidate waits for room": Row("full_node_in_starting", "Starting", "cannot be scheduled"),
    "a candidate waits for a quota": Row("quota_in_step_1", "Paused", "is used up"),
    "a candidate waits for memory": Row("out_of_memory_in_step_2", "Paused", "was OOMKilled"),
    "a promotion finds no room": Row("full_node_in_promoting", "Promoting", "cannot be scheduled", ready=False),
    "a promotion is refused by a quota": Row(
        "a_promotion_that_finds_no_room_is_given_the_candidates", "Promoting", "is used up", ready=False
    ),
    "a Job that judges waits for room": Row("a_judge_that_meets_full_node", "Progressing", "waits for its Job"),
    "a Job that judges waits for a quota": Row("a_judge_that_meets_quota", "Progressing", "waits for its Job"),
    "a Job that judges is started again": Row("a_judge_that_meets_out_of_memory", "Progressing", "is started again at"),
    "a rollout is undone without a verdict": Row(
        "a_judge_that_finds_no_room_until_the_deadline", "RollingBack", "did not end within 8m"
    ),
    "a version waits for another try": Row(
        "a_judge_that_finds_no_room_until_the_deadline", "", "tried again at", verdict="Current"
    ),
}


def shown(row: Row) -> tuple[Manifest, ...]:
    """Return the services of the row's story that are in its state."""
    return tuple(manifest for manifest in lived(row.story) if _is_in(manifest, row))


def _is_in(manifest: Manifest, row: Row) -> bool:
    if manifest["kind"] != "InferenceService":
        return False
    status = manifest["status"]
    type_ = "RolloutComplete" if row.phase else "RolledBack"
    messages = [condition.get("message", "") for condition in status["conditions"] if condition["type"] == type_]
    return (status.get("rollout") or {}).get("phase", "") == row.phase and any(row.text in text for text in messages)


# What no version will ever do, whichever fields are done by now: it stalls every kind.
STATES = ("progressing", "ready", "failed", "suspended")


def state_of(manifest: Manifest) -> str:
    """In a word, how a person would call what the conditions say."""
    conditions = {condition["type"]: condition for condition in manifest["status"].get("conditions", ())}
    if manifest["spec"].get("suspend"):
        return "suspended"
    if "Stalled" in conditions:
        return "failed"
    return "ready" if conditions["Ready"]["status"] == "True" and "Reconciling" not in conditions else "progressing"


@cache
def states() -> dict[tuple[str, str], tuple[Manifest, ...]]:
    """For each kind and state the differing statuses that planners wrote while the stories played."""
    results: dict[tuple[str, str], dict[tuple[str, ...], Manifest]] = {}
    played = [manifest for name in STORIES for manifest in lived(name)]
    for manifest in [*played, *_suspended(), *_stalled()]:
        conditions = manifest["status"]["conditions"]
        shape = tuple(
            sorted(f"{condition['type']}={condition['status']}/{condition['reason']}" for condition in conditions)
        )
        results.setdefault((manifest["kind"], state_of(manifest)), {}).setdefault(shape, manifest)
    return {index: tuple(shapes.values()) for index, shapes in results.items()}


def _suspended() -> list[Manifest]:
    """Every kind, suspended from the start, and suspended in the midst of life."""
    seen: list[Manifest] = []
    for at_once in (True, False):
        theatre = _shop()
        for kind, make in OF_KIND.items():
            theatre.apply(make(**({"suspend": True} if at_once else {})))
            theatre.run(minutes=0 if at_once else 2)
            if not at_once and kind != "TrainingJob":
                theatre.apply(make(suspend=True))
                theatre.run(seconds=30)
                theatre.apply(make())
                theatre.run(seconds=30)
        theatre.run(minutes=1)
        seen += theatre.seen
    return [manifest for manifest in seen if manifest["spec"].get("suspend")]


def _stalled() -> list[Manifest]:
    """Every kind that can be brought to a stop for good."""
    theatre = _shop()
    theatre.apply(script.dataset(transform={"sql": "SELECT 1"}))
    theatre.apply(script.model_version(artifact={"uri": "models:/fraud", "digest": script.digest("x")}))
    theatre.apply(script.service(model={"name": "fraud", "version": "fraud-brought"}))
    theatre.run(minutes=2)
    return theatre.seen


def _shop() -> Recorded:
    return Recorded(reports={"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()})
