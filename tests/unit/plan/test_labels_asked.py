"""Whether a check run looks for labels, which only the rows of the log can tell."""

from __future__ import annotations

import pytest

from support import monitors as make
from tidemill.plan.driftmonitor.planner import needs_labels

WITHOUT = {"name": "inputs", "type": "FeatureDrift", "failing": 0.2}
CASES = {
    "a check of inputs asks for no labels": (WITHOUT, False),
    "a check of performance does": (
        {"name": "quality", "type": "Performance", "metric": "accuracy", "minimum": 0.9},
        True,
    ),
    "lateness of labels does": ({"name": "late", "type": "Timeliness", "maximumLag": "1h"}, True),
    "lateness of predictions does not": (
        {"name": "late", "type": "Timeliness", "maximumLag": "1h", "subject": "Predictions"},
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_labels_are_looked_for_where_a_check_rests_on_them(case: str) -> None:
    check, asked = CASES[case]
    monitor = make.monitor(checks=[check])
    monitor = monitor.model_copy(update={"spec": monitor.spec.model_copy(update={"retraining": None})})

    assert asked == needs_labels(monitor)


def test_labels_are_looked_for_where_a_retraining_waits_for_enough_of_them() -> None:
    assert needs_labels(make.monitor(checks=[WITHOUT]))
