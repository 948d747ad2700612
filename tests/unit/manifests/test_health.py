"""Argo CD and kstatus tell the same of every object, at every moment of every story.

The script runs in Lua 5.1, as in Argo CD, on the statuses that the planners write while the stories play.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from stories.test_stories import STORIES
from stories.theatre import OURS, Theatre
from tidemill.api import KINDS
from tidemill.plan import Key, Manifest

GITOPS = Path(__file__).parents[3] / "manifests" / "gitops"
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
    found = judge(lua.table_from(manifest, recursive=True))
    return found["status"], found["message"]


def kstatus(manifest: Manifest) -> str:
    """The verdict of kstatus, as kubectl, Flux and Helm come to it."""
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
class Recorded(Theatre):
    """A theatre that keeps every state that an object of ours was ever in."""

    seen: list[Manifest] = field(default_factory=list)

    def _look(self, key: Key) -> None:
        super()._look(key)
        found = self.objects.get(key)
        if found is not None and key.kind in OURS:
            self.seen.append(copy.deepcopy(found))


@cache
def lived(name: str) -> tuple[Manifest, ...]:
    theatre = Recorded()
    STORIES[name](theatre)
    return tuple(theatre.seen)


def of(kind: str, status: Manifest | None = None, **metadata: Any) -> Manifest:
    return {
        "kind": kind,
        "metadata": {"name": "fraud", "generation": 1, **metadata},
        "spec": {},
        "status": status or {"observedGeneration": -1},
    }


@pytest.mark.parametrize("name", STORIES)
def test_argo_cd_says_what_kstatus_says(name: str) -> None:
    for manifest in lived(name):
        verdict, message = health(manifest)
        assert kstatus(manifest) == MEANS[verdict], (manifest["kind"], manifest["status"], message)


@pytest.mark.parametrize("name", STORIES)
def test_every_verdict_is_explained(name: str) -> None:
    for manifest in lived(name):
        _, message = health(manifest)
        assert not message.endswith(": "), manifest["status"]


@pytest.mark.parametrize("name", STORIES)
def test_nothing_is_both_under_way_and_stuck(name: str) -> None:
    for manifest in lived(name):
        true = {one["type"] for one in manifest["status"]["conditions"] if one["status"] == "True"}
        assert not {"Reconciling", "Stalled"} <= true, manifest


def test_the_stories_show_every_verdict() -> None:
    shown = {health(manifest)[0] for name in STORIES for manifest in lived(name)}

    assert MEANS.keys() == shown


@pytest.mark.parametrize("kind", [kind.kind_name for kind in KINDS])
def test_a_new_object_is_not_healthy_yet(kind: str) -> None:
    assert ("Progressing", "InProgress") == (health(of(kind))[0], kstatus(of(kind)))


@pytest.mark.parametrize("kind", [kind.kind_name for kind in KINDS])
def test_an_object_that_leaves_is_not_healthy_any_more(kind: str) -> None:
    ready = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded"}]}
    leaving = of(kind, ready, deletionTimestamp="2026-01-01T00:00:00Z")

    assert "Healthy" == health(of(kind, ready))[0]
    assert ("Progressing", "Terminating") == (health(leaving)[0], kstatus(leaving))


def test_a_changed_spec_is_not_healthy_until_it_was_seen() -> None:
    ready = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded"}]}

    assert "Progressing" == health(of("Dataset", ready, generation=2))[0]


def test_a_version_that_waits_for_a_person_is_suspended_and_not_sick() -> None:
    waiting = [
        manifest
        for manifest in lived("approval_by_a_person")
        if manifest["kind"] == "ModelVersion" and "AwaitingApproval" in str(manifest["status"])
    ]

    assert {"Suspended"} == {health(manifest)[0] for manifest in waiting}
