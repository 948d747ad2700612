"""Argo CD and kstatus tell the same of every object, at every moment of every story.

The script runs in Lua 5.1, as in Argo CD, on the statuses that the planners write while the stories play.
"""

from __future__ import annotations

from typing import Any

import pytest

from stories.test_stories import STORIES
from support.readiness import MEANS, ROLLOUTS, health, lived, shown
from support.readiness import by_the_rule as kstatus
from tidemill.api import KINDS
from tidemill.plan import Manifest


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
        true = {condition["type"] for condition in manifest["status"]["conditions"] if condition["status"] == "True"}
        assert not {"Reconciling", "Stalled"} <= true, manifest


@pytest.mark.parametrize("case", ROLLOUTS)
def test_a_rollout_that_waits_is_under_way_and_not_sick(case: str) -> None:
    row = ROLLOUTS[case]
    seen = shown(row)

    assert seen
    for manifest in seen:
        conditions = {condition["type"]: condition["status"] for condition in manifest["status"]["conditions"]}
        assert (row.verdict, row.verdict) == (kstatus(manifest), MEANS[health(manifest)[0]])
        assert (row.ready, "Stalled" in conditions) == (conditions["Ready"] == "True", False)


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
