"""Whether the process still does what it is for."""

from __future__ import annotations

from dataclasses import replace

from tidemill.engine.health import Signs, failures, unready

WELL = Signs(synced=True, stale_watches=(), oldest_waiting=1.0, since_resync=100.0, resync_period=300.0)


def test_a_process_that_works_is_well_and_ready() -> None:
    assert (failures(WELL), unready(WELL)) == ([], [])


def test_every_sign_of_illness_is_named() -> None:
    ill = replace(WELL, stale_watches=("Pod",), oldest_waiting=301.0, since_resync=901.0)

    assert failures(ill) == [
        "the watch of Pod has not delivered a change for 180 s",
        "an object has waited to be reconciled for 301 s",
        "the last resync was 901 s ago",
    ]


def test_waiting_for_the_kinds_is_no_illness_but_not_being_ready() -> None:
    waiting = replace(WELL, synced=False, since_resync=None, waiting_for="the API server does not serve datasets")

    assert failures(waiting) == []
    assert unready(waiting) == ["the API server does not serve datasets"]


def test_standing_by_is_being_ready() -> None:
    assert unready(replace(WELL, synced=False, since_resync=None, is_standby=True)) == []


def test_a_process_that_has_not_listed_everything_is_not_ready() -> None:
    assert unready(replace(WELL, synced=False)) == ["the first list of all objects has not ended yet"]
