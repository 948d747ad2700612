"""The closed loop on real pods, without drift, with drift, and with a broken sensor."""

from pathlib import Path

import pytest

from demo import defect, drift, ending
from support import untouched
from support.environment import LOOP, Environment
from support.life import Life, shape
from tidemill.api.conditions import Reason

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
OWN_NAMESPACE = LOOP


def test_the_loop_closes_by_itself(loop: Life) -> None:
    assert [stage.title for stage in (*drift.STAGES, *defect.STAGES)] == [played.stage.title for played in loop.played]


def test_the_new_version_is_right_about_shifted_rows_that_nobody_learnt_from(loop: Life) -> None:
    assert loop.story.before is not None and loop.story.after is not None
    assert loop.story.after.accuracy >= loop.story.before.accuracy + drift.FALL


def test_no_request_fails_and_every_answer_names_the_bytes_that_gave_it(loop: Life) -> None:
    ending.settle(loop.story)


def test_one_shift_is_answered_with_one_retraining_and_none_follows_the_promotion(loop: Life) -> None:
    monitor = loop.story.monitor
    assert monitor is not None

    assert len(loop.story.retrainings()) == 1
    assert [outcome.outcome for outcome in monitor.status.history] == ["Promoted"]


def test_bad_data_does_not_retrain_although_the_cooldown_is_over(loop: Life) -> None:
    monitor = loop.story.monitor
    assert monitor is not None and monitor.status.last_run is not None

    assert Reason.DATA_QUALITY in monitor.status.retraining.blocked
    assert monitor.status.retraining.next_eligible is not None
    assert monitor.status.retraining.next_eligible < monitor.status.last_run.end
    assert len(loop.story.retrainings()) == 1


def test_the_end_state_has_one_of_everything(loop: Life) -> None:
    assert shape(loop.story) == {
        "revisions": 1,
        "runs": [("biopsies", "first", 1), ("retraining", "second", 1)],
        "versions": [("first", ""), ("second", "Stable")],
        "jobs": [("ingest", "biopsies"), ("train", "biopsies"), ("train", "retraining")],
        "deployments": ["biopsies-stable"],
        "services": ["biopsies"],
        "rollouts": [("second", "Promoted")],
    }


def test_what_was_applied_is_unchanged_at_the_end(loop: Life, environment: Environment) -> None:
    assert untouched.touched(environment.api, loop.story.namespace) == []
    assert untouched.applying_again(environment.cluster, loop.story.namespace, drift.SAMPLE) == {"unchanged"}


def test_every_report_is_a_page_in_the_store(loop: Life, tmp_path: Path) -> None:
    pages = ending.fetch_reports(loop.story, tmp_path)

    assert set(pages) == {
        "the data",
        "the first training",
        "no drift",
        "the drift",
        "the retraining",
        "the broken sensor",
    }
    assert all(page.read_text().lower().startswith("<!doctype html>") for page in pages.values())
