"""What to patch in a status, and how it says that a plan could not be carried out."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.api.conditions import Status, merge_conditions, true
from tidemill.api.dataset import Attempt
from tidemill.api.trainingjob import TrainingJobStatus
from tidemill.engine.statuses import invalid, merge_patch, with_failure

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def applied(target: Any, patch: Any) -> Any:
    """RFC 7386, word for word: what a server does with a merge patch."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


# A merge patch cannot say null, and a status never holds one.
VALUES = st.recursive(
    st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)
STATUSES = st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3)


@given(live=st.none() | STATUSES, wanted=STATUSES)
def test_a_patched_status_is_exactly_as_wanted(live: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    before = copy.deepcopy(live)

    patch = merge_patch(live, wanted)

    assert wanted == applied(live, patch)
    assert before == live


@given(status=STATUSES)
def test_a_status_that_is_as_wanted_needs_no_patch(status: dict[str, Any]) -> None:
    assert merge_patch(status, status) == {}


def test_an_empty_structure_is_kept_apart_from_none() -> None:
    assert merge_patch({}, {"retraining": {}}) == {"retraining": {}}


def test_a_hindered_plan_is_not_ready_and_stalled_and_keeps_what_else_was_true() -> None:
    conditions = [true("Ready", "Succeeded"), true("Reconciling", "Progressing"), true("Approved", "Approved")]
    before = Status(conditions=merge_conditions((), conditions, generation=3, now=NOW))

    status = with_failure(before, "NameConflict", "rename it", generation=4, now=NOW)

    assert {condition.type: condition.status for condition in status.conditions} == {
        "Ready": "False",
        "Stalled": "True",
        "Approved": "True",
    }
    assert status.observed_generation == 4


def test_a_hindered_plan_records_nothing_that_it_wanted_to_do() -> None:
    before = TrainingJobStatus(attempt=Attempt(order="a", number=1, outcome="Running"))

    status = with_failure(before, "Refused", "no quota is left", generation=1, now=NOW)

    assert before.to_wire() == {**status.to_wire(), "conditions": [], "observedGeneration": -1}


def test_saying_the_same_hindrance_again_changes_nothing() -> None:
    before = Status(conditions=merge_conditions((), [true("Ready", "Succeeded")], generation=3, now=NOW))
    once = with_failure(before, "NameConflict", "rename it", generation=3, now=NOW)

    again = with_failure(once, "NameConflict", "rename it", generation=3, now=LATER)

    assert merge_patch(once.to_wire(), again.to_wire()) == {}


def test_an_object_that_cannot_be_read_is_told_so_once() -> None:
    live: dict[str, Any] = {"metadata": {"generation": 2}, "spec": {"source": 5}}
    live["status"] = invalid(live, "InvalidSpec", "spec.source: not a mapping", NOW)

    assert live["status"] == invalid(live, "InvalidSpec", "spec.source: not a mapping", LATER)
    assert [condition["reason"] for condition in live["status"]["conditions"]] == ["InvalidSpec", "InvalidSpec"]
    assert live["status"]["observedGeneration"] == 2


def test_a_status_that_is_itself_broken_is_no_obstacle() -> None:
    for broken in (
        None,
        "text",
        {"conditions": "text"},
        {"conditions": ["text", {"type": "Ready", "lastTransitionTime": 5}]},
    ):
        status = invalid({"metadata": {}, "status": broken}, "InvalidSpec", "it is broken", NOW)

        assert [condition["lastTransitionTime"] for condition in status["conditions"]] == ["2026-01-02T03:04:05Z"] * 2


def test_a_whole_number_that_comes_back_without_its_point_is_the_same_number() -> None:
    """The API server writes 1.0 as 1; a score of 1.0 must not be written again and again for that."""
    assert merge_patch({"score": 1, "metrics": {"r2": 0}}, {"score": 1.0, "metrics": {"r2": 0.0}}) == {}
    assert merge_patch({"score": 1, "retryable": 0}, {"score": 2.0, "retryable": False}) == {
        "score": 2.0,
        "retryable": False,
    }
