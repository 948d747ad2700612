"""What a column may lose before it is said."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tidemill.runtime.monitor.statistics.completeness import Completeness, completeness
from tidemill.runtime.profile import ColumnProfile, ProfiledColumn, profile_table
from tidemill.runtime.scoring.verdicts import Threshold


def numbers(present: int, *, missing: int = 0, invalid: int = 0, infinite: int = 0) -> ColumnProfile:
    texts = ["7"] * present + [None] * missing + ["x"] * invalid + ["inf"] * infinite
    table = pa.table({"a": pa.array(texts, pa.string())})
    edges = profile_table(pa.table({"a": [7.0, 8.0]}), [ProfiledColumn("a", "Numerical")])
    (column,) = profile_table(table, [ProfiledColumn("a", "Numerical")], edges).columns
    return column


CASES = {
    "as before": (numbers(1000, missing=30), numbers(500, missing=15), "Passing", ""),
    "all missing": (numbers(1000), numbers(0, missing=500), "Failing", "100.0% of the values are missing"),
    "95 % missing": (numbers(1000), numbers(25, missing=475), "Failing", "95.0% of the values are missing"),
    "30 % missing": (numbers(1000), numbers(350, missing=150), "Warning", "30.0% of the values are missing"),
    "10 % missing": (numbers(1000), numbers(450, missing=50), "Passing", ""),
    "text for numbers": (numbers(1000), numbers(0, invalid=500), "Failing", "100.0% of the values are not numbers"),
    "infinite": (numbers(1000), numbers(0, infinite=500), "Failing", "100.0% of the values are infinite"),
    "both": (numbers(1000), numbers(0, missing=250, invalid=250), "Failing", "missing (0.0% in the reference); 50.0%"),
    "found again": (numbers(50, missing=950), numbers(500), "Warning", "0.0% of the values are missing (95.0%"),
    "chance": (numbers(900, missing=100), numbers(15, missing=5), "Passing", ""),
    "two rows": (numbers(1000), numbers(0, missing=2), "NoData", "has no values"),
    "no rows": (numbers(1000), numbers(0), "NoData", "has no rows"),
    "nothing to lose": (numbers(0, missing=1000), numbers(0, missing=500), "NoData", "no values in the reference"),
}


@pytest.mark.parametrize(("before", "now", "verdict", "reason"), CASES.values(), ids=CASES.keys())
def test_what_a_column_lost_has_a_verdict(before: ColumnProfile, now: ColumnProfile, verdict: str, reason: str) -> None:
    result = completeness(before, now)

    assert result.verdict == verdict
    assert reason in result.reason and bool(reason) == bool(result.reason)


def test_a_column_that_is_gone_fails() -> None:
    assert completeness(numbers(5), None) == Completeness("Failing", "is absent")


def test_the_bounds_are_an_argument_and_reaching_one_counts() -> None:
    before, now = numbers(1000), numbers(700, missing=300)

    assert completeness(before, now, Threshold(0.3, 0.4)).verdict == "Warning"
    assert completeness(before, now, Threshold(0.2, 0.3)).verdict == "Failing"
