"""What holds a retraining back, and what does not."""

from typing import Any

import pytest

from support import monitors as make
from support.monitors import ago
from tidemill.api.retraining import RetrainingCause
from tidemill.plan.driftmonitor.retraining.guards import GUARDS, holds
from tidemill.plan.driftmonitor.retraining.guards import in_budget as count

HELD: dict[str, tuple[str, dict[str, Any]]] = {
    "a data-quality check that fails": ("DataQuality", {"checks": (make.check(), make.check("DataQuality"))}),
    "labels or rows that stay away": ("DataLate", {"checks": (make.check(), make.check("Timeliness"))}),
    "too few rows": ("TooFewSamples", {"last_run": make.run(samples=3)}),
    "too few labels": ("TooFewLabels", {"last_run": make.run(labelled=3)}),
    "labels that are not classes": ("LabelsUnknown", {"last_run": make.run(labelled=400, unknown_labels=21)}),
    "a rollout in progress": ("RolloutInProgress", {"service": make.service(rollout="fraud-2")}),
    "a version that is about to be rolled out": ("RolloutInProgress", {"newest_version": "fraud-2"}),
    "a retraining that runs": ("RetrainingActive", {"history": (make.past("Running"),)}),
    "a version that waits for approval": ("RetrainingActive", {"history": (make.past("Waiting"),)}),
    "a retraining of another monitor": ("RetrainingActive", {"elsewhere": make.past("Running", "other-retrain-1")}),
    "a monitor whose turn it is": ("RetrainingActive", {"yields_to": "another"}),
    "a retraining an hour ago": ("CoolingDown", {"history": (make.past("Promoted", at=ago(hours=1)),)}),
    "a budget that is spent": (
        "BudgetSpent",
        {"history": tuple(make.past("Promoted", str(i), at=ago(days=2 + i)) for i in range(4))},
    ),
    "three versions in a row that were not taken": (
        "CircuitOpen",
        {"history": tuple(make.past("Rejected", str(i), at=ago(days=2 + i)) for i in range(3))},
    ),
    "a template that is gone": ("DependencyNotReady", {"template": None}),
    "nothing to tune": ("InvalidSpec", {"monitor": make.monitor(retraining={"strategy": "Retune"})}),
    "mode Off": ("RetrainingOff", {"monitor": make.monitor(retraining={"mode": "Off"})}),
}
PACE = {"CoolingDown", "BudgetSpent"}


def reasons(cause: RetrainingCause = "Drift", **changes: Any) -> list[str]:
    return [str(hold.reason) for hold in holds(make.retraining_input(**changes), cause)]


def test_nothing_holds_back_what_is_clear() -> None:
    assert [] == [reason for cause in GUARDS for reason in reasons(cause)]


@pytest.mark.parametrize("name", HELD)
def test_a_retraining_for_drift_is_held_back_by(name: str) -> None:
    reason, changes = HELD[name]

    assert [reason] == reasons("Drift", **changes)


@pytest.mark.parametrize("name", HELD)
def test_what_a_person_asks_for_is_held_back_by_dangers_and_not_by_pace(name: str) -> None:
    reason, changes = HELD[name]
    passes = PACE | {"DataLate", "TooFewSamples", "TooFewLabels"}

    assert ([] if reason in passes else [reason]) == reasons("Manual", **changes)


@pytest.mark.parametrize("cause", ["Schedule", "DataChange"])
@pytest.mark.parametrize("name", HELD)
def test_a_refresh_keeps_the_pace_but_needs_no_full_window(name: str, cause: RetrainingCause) -> None:
    reason, changes = HELD[name]
    passes = {"DataLate", "TooFewSamples", "TooFewLabels"}

    assert ([] if reason in passes else [reason]) == reasons(cause, **changes)


@pytest.mark.parametrize("cause", ["Schedule", "DataChange", "Manual"])
def test_learning_from_served_rows_alone_needs_labels_whatever_asks(cause: RetrainingCause) -> None:
    replacing = {"template": {"trainingJob": "fraud-first", "data": {"combine": "Replace"}}}

    assert ["TooFewLabels"] == reasons(cause, monitor=make.monitor(retraining=replacing), last_run=make.run(labelled=1))


def test_a_few_labels_that_are_not_classes_hold_nothing_back() -> None:
    assert [] == reasons("Drift", last_run=make.run(labelled=400, unknown_labels=20))


def test_a_spent_budget_says_when_it_has_room_again() -> None:
    history = tuple(make.past("Promoted", str(i), at=ago(days=5 * (i + 1))) for i in range(5))

    hold = holds(make.retraining_input(history=history))[0]

    assert ("BudgetSpent", ago(days=20 - 30)) == (hold.reason, hold.until)


def test_a_reset_closes_the_circuit_for_what_was_before_it() -> None:
    history = tuple(make.past("Rejected", str(i), at=ago(days=2 + i)) for i in range(3))
    reset = {"tidemill.dev/reset-circuit": ago(hours=1).isoformat()}

    assert [] == reasons(history=history, monitor=make.monitor(annotations=reset))


@pytest.mark.parametrize("text", ["", "yes", "2026-13-45", "2026-01-05T11:00:00"])
def test_a_reset_that_is_no_moment_resets_nothing(text: str) -> None:
    history = tuple(make.past("Rejected", str(i), at=ago(days=2 + i)) for i in range(3))

    assert ["CircuitOpen"] == reasons(
        history=history, monitor=make.monitor(annotations={"tidemill.dev/reset-circuit": text})
    )


def test_what_was_only_observed_does_not_pace_what_is_done() -> None:
    history = (make.past("Observed", at=ago(hours=1)), make.past("Promoted", at=ago(days=5)))
    observing, acting = make.monitor(retraining={"mode": "Observe"}), make.monitor()

    assert [] == reasons(history=history, monitor=acting)
    assert ["CoolingDown"] == reasons(history=history, monitor=observing)
    assert (1, 1) == tuple(
        count(status.spec.retraining, history, make.NOW)  # type: ignore[arg-type]
        for status in (acting, observing)
    )


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ("Running", "r is running; another monitor ordered it"),
        ("Waiting", "r published fraud-2, which is not promoted or rejected yet; another monitor ordered it"),
    ],
)
def test_a_retraining_of_another_monitor_is_told_as_it_is(outcome: str, message: str) -> None:
    other = make.past(outcome, modelVersion="fraud-2")

    assert [message] == [hold.message for hold in holds(make.retraining_input(elsewhere=other))]


@pytest.mark.parametrize(("mode", "ordered"), [("Act", "was ordered"), ("Observe", "would have been ordered")])
def test_a_cooldown_in_observe_mode_does_not_claim_that_a_retraining_was_ordered(mode: str, ordered: str) -> None:
    watched = make.monitor(retraining={"mode": mode})
    last = make.past("Observed" if mode == "Observe" else "Promoted", at=ago(hours=1))

    (hold,) = holds(make.retraining_input(monitor=watched, history=(last,)))

    assert hold.message.startswith(f"the last retraining {ordered} less than ")
