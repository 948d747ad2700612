"""What asks for a retraining, and that each trigger asks once."""

from typing import Any

import pytest

from support import monitors as make
from support.monitors import NOW, ago
from tidemill.plan.driftmonitor.retraining.triggers import firing, onset, triggers


def asked(**changes: Any) -> list[str]:
    return [trigger.cause for trigger in triggers(make.quiet_input(**changes))]


def drifting(**changes: Any) -> dict[str, Any]:
    return {"last_run": make.run(), "checks": (make.check(),), **changes}


def test_nothing_asks_while_nothing_happened() -> None:
    assert [] == asked()


def test_a_drift_asks_once_it_has_lasted() -> None:
    assert ["Drift"] == asked(**drifting())
    assert [] == asked(**drifting(checks=(make.check(hits=1),)))


@pytest.mark.parametrize("type_", ["DataQuality", "Timeliness"])
def test_unsound_data_never_asks(type_: str) -> None:
    assert [] == asked(**drifting(checks=(make.check(type_, hits=9),)))


def test_a_warning_never_asks_however_often_it_comes() -> None:
    assert [] == asked(**drifting(checks=(make.check(verdict="Warning", hits=9),)))


@pytest.mark.parametrize("type_", ["Performance", "Fairness", "External", "ConceptDrift", "DomainClassifier"])
def test_every_other_check_can_ask(type_: str) -> None:
    assert ["Drift"] == asked(**drifting(checks=(make.check(type_),)))


def test_all_means_every_check_that_may_ask() -> None:
    both = (make.check(), make.check("Performance", verdict="Passing", hits=0))
    policy = make.monitor(retraining={"trigger": {"failing": "All"}}).spec.retraining
    assert policy is not None

    assert () == firing(policy, both)
    assert 1 == len(firing(policy, both[:1]))


def test_a_trigger_can_name_the_checks_that_ask() -> None:
    watched = make.monitor(retraining={"trigger": {"checks": ["performance"]}})

    assert [] == asked(**drifting(monitor=watched))
    assert ["Drift"] == asked(**drifting(monitor=watched, checks=(make.check(), make.check("Performance"))))


def test_the_tide_came_in_after_the_last_window_that_did_not_fail() -> None:
    checks = (make.check(failing_since=ago(hours=3)), make.check("Performance", failing_since=ago(hours=5)))

    assert ago(hours=5) == onset(checks, make.run())


def test_a_new_revision_asks_where_it_should() -> None:
    watched = make.monitor(retraining={"onDataChange": True})

    assert ["DataChange"] == asked(monitor=watched, dataset=make.dataset("b"))
    assert [] == asked(monitor=watched, dataset=make.dataset("a"))
    assert [] == asked(dataset=make.dataset("b"))


def test_a_tick_asks_until_something_was_made_since() -> None:
    watched = make.monitor(retraining={"schedule": "0 6 * * *"})

    assert ["Schedule"] == asked(monitor=watched)
    assert [] == asked(monitor=watched, history=(make.past("Failed", at=ago(hours=1)),))
    assert ["Schedule"] == asked(monitor=watched, history=(make.past("Failed", at=ago(hours=7)),))


def test_a_version_promoted_since_the_tick_is_fresh_enough() -> None:
    watched = make.monitor(retraining={"schedule": "0 6 * * *"})
    promoted = make.quiet_input().reference.model_copy(update={"since": ago(hours=2)})

    assert [] == asked(monitor=watched, reference=promoted)


def test_a_person_asks_with_a_moment() -> None:
    annotations = {"tidemill.dev/retrain": ago(minutes=5).isoformat()}

    assert ["Manual"] == asked(monitor=make.monitor(annotations=annotations))


def test_a_request_that_was_answered_does_not_ask_again_for_the_version_that_came_of_it() -> None:
    watched = make.monitor(annotations={"tidemill.dev/retrain": ago(minutes=5).isoformat()})
    answered = (make.past("Promoted", at=ago(minutes=4), cause="Manual"),)
    reference = make.quiet_input().reference.model_copy(
        update={"digest": "sha256:" + "e" * 64, "since": ago(minutes=1)}
    )

    assert [] == asked(monitor=watched, history=answered, reference=reference)


@pytest.mark.parametrize("text", ["now", "", "2026-01-05T11:00:00", ago(days=2).isoformat(), ago(hours=-1).isoformat()])
def test_a_request_without_a_moment_or_long_ago_or_ahead_asks_for_nothing(text: str) -> None:
    assert [] == asked(monitor=make.monitor(annotations={"tidemill.dev/retrain": text}))


def test_an_occasion_that_has_its_retraining_asks_no_more() -> None:
    first = triggers(make.quiet_input(**drifting()))[0]

    assert [] == asked(**drifting(history=(make.past("Rejected", first.name, at=NOW),)))


def test_a_person_goes_first_then_drift_then_data_then_the_clock() -> None:
    watched = make.monitor(
        annotations={"tidemill.dev/retrain": ago(minutes=5).isoformat()},
        retraining={"schedule": "0 6 * * *", "onDataChange": True},
    )

    assert ["Manual", "Drift", "DataChange", "Schedule"] == asked(
        **drifting(monitor=watched, dataset=make.dataset("b"))
    )


def test_occasions_have_names_of_their_own() -> None:
    watched = make.monitor(
        annotations={"tidemill.dev/retrain": ago(minutes=5).isoformat()},
        retraining={"schedule": "0 6 * * *", "onDataChange": True},
    )
    result = triggers(make.quiet_input(**drifting(monitor=watched, dataset=make.dataset("b"))))

    assert 4 == len({trigger.name for trigger in result})
