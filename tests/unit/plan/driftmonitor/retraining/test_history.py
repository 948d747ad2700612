"""What became of retrainings, and what they gained."""

from datetime import UTC, datetime, timedelta
from typing import Any

from support import monitors as make
from support.monitors import NOW, ago
from tidemill.api import TrainingJob
from tidemill.api.monitorstatus import RetrainingOutcome
from tidemill.plan.driftmonitor.retraining.history import consecutive_rejected, counterfactual, gain, outcomes

MEASURED = [
    {"rowSet": "Holdout", "rows": 200, "metrics": {"accuracy": 0.97}, "stable": {"accuracy": 0.98}},
    {
        "rowSet": "RecentLabelled",
        "rows": 60,
        "metrics": {"accuracy": 0.95, "log_loss": 0.2},
        "stable": {"accuracy": 0.80, "log_loss": 0.7},
    },
]


def job(condition: str = "", version: str = "") -> TrainingJob:
    run = make.training_job("r", labels={"tidemill.dev/monitor": "fraud"})
    conditions = (
        [{"type": condition, "status": "True", "reason": "Done", "lastTransitionTime": NOW}] if condition else []
    )
    status = type(run.status).model_validate({"conditions": conditions, "modelVersion": version})
    return run.model_copy(update={"status": status})


def outcome_of(
    *, runs: tuple[TrainingJob, ...] = (), history: tuple[RetrainingOutcome, ...] = (), **world: Any
) -> RetrainingOutcome:
    monitor = make.monitor()
    monitor = monitor.model_copy(update={"status": monitor.status.model_copy(update={"history": history})})
    versions = world.get("versions", (make.version("fraud-2", hour=10),))
    return outcomes(monitor, runs, versions, world.get("service", make.service()), NOW)[0]


def ended(version: str, outcome: str) -> dict[str, Any]:
    return {"version": version, "outcome": outcome, "startedAt": ago(hours=1), "at": NOW}


def test_a_run_that_is_not_over_is_running() -> None:
    assert "Running" == outcome_of(runs=(job(),)).outcome


def test_a_run_whose_maker_crashed_before_recording_it_says_itself_why_it_is_there() -> None:
    cause = (
        '{"kind":"DriftMonitor","name":"fraud","checks":["inputs"],"trigger":"Drift","since":"2026-01-01T11:00:00Z"}'
    )
    made = make.training_job("r", labels={"tidemill.dev/monitor": "fraud"}, annotations={"tidemill.dev/cause": cause})

    result = outcome_of(runs=(made,))

    assert ("Drift", ("inputs",), datetime(2026, 1, 1, 11, tzinfo=UTC)) == (result.cause, result.checks, result.since)


def test_a_failed_run_failed_and_says_when() -> None:
    result = outcome_of(runs=(job("Failed"),))

    assert ("Failed", NOW) == (result.outcome, result.ended_at)


def test_a_version_is_waited_for_until_the_service_has_decided() -> None:
    made = (job("Complete", "fraud-2"),)

    assert "Waiting" == outcome_of(runs=made).outcome
    assert "Promoted" == outcome_of(runs=made, service=make.service(stable="fraud-2")).outcome
    assert "Rejected" == outcome_of(runs=made, service=make.service(history=(ended("fraud-2", "RolledBack"),))).outcome


def test_a_version_that_a_newer_one_overtook_is_not_waited_for_for_ever() -> None:
    made = (job("Complete", "fraud-2"),)
    newer = (make.version("fraud-2", hour=10), make.version("fraud-3", hour=11))

    assert "Rejected" == outcome_of(runs=made, versions=newer, service=make.service(stable="fraud-3")).outcome
    assert "Rejected" == outcome_of(runs=made, service=make.service(history=(ended("fraud-2", "Superseded"),))).outcome


def test_what_is_over_stays_so_when_everything_else_is_forgotten() -> None:
    promoted = make.past("Promoted", modelVersion="fraud-2", endedAt=ago(hours=5))

    assert promoted == outcome_of(history=(promoted,), versions=(), service=make.service(stable="fraud-9"))
    assert promoted == outcome_of(runs=(job("Complete", "fraud-2"),), history=(promoted,), service=make.service())


def test_a_run_that_somebody_deleted_failed_but_one_not_seen_yet_did_not() -> None:
    assert "Failed" == outcome_of(history=(make.past("Running", at=ago(minutes=5)),)).outcome
    assert "Running" == outcome_of(history=(make.past("Running", at=ago(seconds=30)),)).outcome


def test_a_gain_is_measured_on_the_same_recent_rows_and_an_error_that_fell_is_one() -> None:
    version = make.version(evaluation=MEASURED)

    assert {"accuracy": 0.15, "log_loss": 0.5} == gain(version)
    assert {} == gain(make.version(evaluation=MEASURED[:1]))


def test_a_counterfactual_tells_what_the_drift_cost_and_what_the_retraining_gained() -> None:
    result = counterfactual(make.version(evaluation=MEASURED))

    assert result is not None
    assert ("accuracy", 60, 0.98, 0.80, 0.95) == (
        result.metric,
        result.rows,
        result.expected,
        result.before,
        result.after,
    )


def test_gain_and_counterfactual_are_recorded_with_the_outcome() -> None:
    made = make.version("fraud-2", hour=10, evaluation=MEASURED)
    result = outcome_of(runs=(job("Complete", "fraud-2"),), versions=(made,))

    assert 0.15 == result.gain["accuracy"]
    assert result.counterfactual is not None


def test_rejections_are_counted_back_to_the_last_promotion_or_reset() -> None:
    history = tuple(
        make.past(outcome, str(index), at=NOW - timedelta(days=index + 1))
        for index, outcome in enumerate(("Rejected", "Failed", "Observed", "Promoted", "Rejected"))
    )

    assert 2 == consecutive_rejected(history, None)
    assert 1 == consecutive_rejected(history, ago(days=2))


def test_an_outcome_counts_from_the_api_servers_clock_once_it_has_spoken() -> None:
    recorded = make.past("Running", at=NOW)

    assert datetime(2026, 1, 5, 10, tzinfo=UTC) == outcome_of(runs=(job(),), history=(recorded,)).at
