"""Whole lives of the five kinds, told as text and compared with a golden file.

Every story is also played with the controllers in another order and with the operator restarted before every visit: it
must end the same. `pytest tests/stories --write-golden` writes the texts again; reading their difference is the review.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stories import monitoring, rollouts, surroundings, training, verdicts
from stories.fake_cluster import FakeCluster

GOLDEN = Path(__file__).parent / "golden"
Story = Callable[[FakeCluster], None]
STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        *training.STORIES,
        *rollouts.STORIES,
        *verdicts.STORIES,
        *surroundings.STORIES,
        *monitoring.STORIES,
    )
}


@pytest.mark.parametrize("name", STORIES)
def test_the_story_goes_as_told(name: str, request: pytest.FixtureRequest) -> None:
    cluster = FakeCluster()
    STORIES[name](cluster)
    transcript = "\n".join(cluster.lines) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if request.config.getoption("--write-golden"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(transcript)

    assert golden.read_text() == transcript


@pytest.mark.parametrize("name", STORIES)
def test_when_a_story_is_over_visits_write_nothing(name: str) -> None:
    cluster = FakeCluster()
    STORIES[name](cluster)
    before, at_work = cluster.writes, cluster.pending
    for key in list(cluster.objects):
        cluster.revisit(key)

    assert at_work or before == cluster.writes


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("seed", range(3))
def test_the_story_ends_the_same_with_controllers_in_another_order(name: str, seed: int) -> None:
    cluster = FakeCluster(shuffled=random.Random(seed))
    STORIES[name](cluster)

    assert golden_ending(name) == ending(cluster)


@pytest.mark.parametrize("name", STORIES)
def test_the_story_ends_the_same_with_the_operator_restarted_before_every_visit(name: str) -> None:
    cluster = FakeCluster(restarts=True)
    STORIES[name](cluster)

    assert golden_ending(name) == ending(cluster)


@functools.cache
def golden_ending(name: str) -> dict[str, Any]:
    """How the story ends when nothing special happens."""
    cluster = FakeCluster()
    STORIES[name](cluster)
    return ending(cluster)


def ending(cluster: FakeCluster) -> dict[str, Any]:
    """What a user could tell apart: the objects, and what they say; not uids, times or the names made from them."""

    def conditions(manifest: dict[str, Any]) -> Any:
        conditions = (manifest.get("status") or {}).get("conditions") or ()
        return sorted((c["type"], c["status"], c["reason"]) for c in conditions)

    reported: dict[str, Any] = {}
    for key, manifest in cluster.objects.items():
        if key.kind in {"Pod", "Job"}:
            continue
        reported.setdefault(key.kind, []).append((_plain(key.name), conditions(manifest)))
    return {kind: sorted(entries) for kind, entries in reported.items()}


def _plain(name: str) -> str:
    """A name without the digest that carries a uid of the pretend cluster."""
    return "-".join(part for part in name.split("-") if not (len(part) == 8 and set(part) <= set("0123456789abcdef")))
