"""A window knows when its rows were served, whether it read them or pods counted them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.runtime.log.layout import SLOT
from tidemill.runtime.monitor.evidence.coverage import SLOTS, CoverageCounter
from tidemill.runtime.monitor.evidence.evidence import Coverage

START = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
END = START + timedelta(hours=24)


def rows(*hours: float) -> pa.Table:
    times = [START + timedelta(hours=hour) for hour in hours]
    return pa.table({LogColumn.TIME: pa.array(times, pa.timestamp("us", tz="UTC"))})


def served(*hours: float) -> CoverageCounter:
    counter = CoverageCounter(START, END)
    counter.add(rows(*hours))
    return counter


def test_rows_are_counted_and_the_newest_is_known() -> None:
    assert Coverage(3, START + timedelta(hours=3.5)) == served(1, 3.5, 2).coverage()
    assert Coverage(0, None) == CoverageCounter(START, END).coverage()


def test_what_pods_counted_adds_up_with_what_was_read() -> None:
    counter = served(1)
    later = START + timedelta(hours=5)
    slot = int(later.timestamp()) // SLOT * SLOT

    counter.add_counts(10, int(later.timestamp()) * 1_000_000, {slot: 10})

    assert Coverage(11, later) == counter.coverage()


def test_a_result_does_not_change_with_later_rows() -> None:
    counter = served(1)
    before = counter.coverage()

    counter.add(rows(2))

    assert (1, 2) == (before.rows, counter.coverage().rows)


def test_a_quarter_of_the_window_without_rows_is_reported() -> None:
    everywhere = [hour / 20 for hour in range(480)]

    assert "" == served(*everywhere).gap()
    assert (
        "no rows were served from 2026-03-01 06:00 to 14:00; drift in that time is not known"
        == served(*(hour for hour in everywhere if not 6 <= hour < 14)).gap()
    )
    assert "" == served(*(hour for hour in everywhere if not 6 <= hour < 10)).gap(), "shorter than a quarter"


def test_few_rows_have_no_gap() -> None:
    assert "" == served(*range(SLOTS // 2)).gap()
    assert "" == CoverageCounter(START, END).gap()
