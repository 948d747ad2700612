"""Track each retraining: read its outcome from its TrainingJob, its ModelVersion and the service, and keep it once it is over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from tidemill.api import DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.modelversion import Measured
from tidemill.api.monitorstatus import Counterfactual, RetrainingOutcome
from tidemill.api.trainingjob import Cause
from tidemill.children import names
from tidemill.contract.metrics import regression
from tidemill.plan.gates import first_metric, metric_order
from tidemill.plan.inferenceservice.verdicts import is_verdict

RUN_MISSING_TIMEOUT: Final = timedelta(seconds=120)
"""How long a retraining that was recorded may not be seen before it is taken to be deleted."""
LIVE: Final = frozenset({"Running", "Waiting"})
OVER: Final = frozenset({"Promoted", "Rejected", "Failed"})
KEPT: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def outcomes(
    monitor: DriftMonitor,
    runs: Sequence[TrainingJob],
    versions: Sequence[ModelVersion],
    service: InferenceService | None,
    now: datetime,
) -> tuple[RetrainingOutcome, ...]:
    """Return the outcome of each retraining, newest first; one that is over stays as recorded, whatever is deleted later."""
    by_name = {version.name: version for version in versions}
    recorded = {outcome.training_job: outcome for outcome in monitor.status.history}
    results = []
    for run in runs:
        earlier = recorded.pop(run.name, None)
        if earlier is None or earlier.outcome not in OVER:
            earlier = _with_fate(_recorded(run, earlier), by_name, service, now)
        results.append(earlier)
    for earlier in recorded.values():
        if earlier.outcome == "Running" and now - earlier.at > RUN_MISSING_TIMEOUT:
            # A run that was deleted before it had an outcome has failed; a new one may not be seen yet.
            earlier = earlier.model_copy(update={"outcome": "Failed", "ended_at": now.replace(microsecond=0)})
        results.append(_with_fate(earlier, by_name, service, now))
    results.sort(key=lambda outcome: (outcome.at, outcome.training_job), reverse=True)
    return tuple(results[:KEPT])


def live(history: Sequence[RetrainingOutcome]) -> RetrainingOutcome | None:
    """Return the newest retraining that is not over."""
    return next((outcome for outcome in history if outcome.outcome in LIVE), None)


def elsewhere(
    runs: Sequence[TrainingJob], versions: Sequence[ModelVersion], service: InferenceService, now: datetime
) -> RetrainingOutcome | None:
    """Return a retraining of the same model that another monitor ordered and that is not over."""
    by_name = {version.name: version for version in versions}
    results = [_with_fate(_recorded(run, None), by_name, service, now) for run in runs]
    return live(results)


def consecutive_rejected(history: Sequence[RetrainingOutcome], reset: datetime | None) -> int:
    """Count the retrainings in a row, newest first, that were rejected or failed; those before a reset are not counted."""
    count = 0
    for outcome in history:
        if outcome.outcome == "Promoted" or (reset is not None and outcome.at <= reset):
            break
        count += outcome.outcome in {"Rejected", "Failed"}
    return count


def cause_of(run: TrainingJob) -> Cause:
    """Return why the run exists, from the annotation that its creator set; it exists as soon as the run does."""
    text = run.metadata.annotations.get(names.CAUSE, "")
    if text and names.MONITOR in run.metadata.labels:
        try:
            return Cause.model_validate_json(text)
        except ValidationError:
            return Cause(kind=DriftMonitor.kind_name, name=run.metadata.labels[names.MONITOR])
    return Cause(kind="User")


def _recorded(run: TrainingJob, earlier: RetrainingOutcome | None) -> RetrainingOutcome:
    """Return the outcome that a run reports, with what was recorded of it before."""
    # Not from its status, which a run that has just been made does not have yet.
    cause = cause_of(run)
    base = earlier or RetrainingOutcome(
        training_job=run.name,
        outcome="Running",
        at=run.metadata.creation_timestamp or _EPOCH,
        cause=cause.trigger or "Drift",
        checks=cause.checks,
        since=cause.since,
    )
    outcome = "Failed" if run.status.is_true("Failed") else "Waiting" if run.status.is_true("Complete") else "Running"
    return base.model_copy(
        update={
            "model_version": run.status.model_version or base.model_version,
            "outcome": outcome,
            # The API server's clock counts once it has spoken.
            "at": run.metadata.creation_timestamp or base.at,
        }
    )


def _with_fate(
    outcome: RetrainingOutcome,
    versions: Mapping[str, ModelVersion],
    service: InferenceService | None,
    now: datetime,
) -> RetrainingOutcome:
    """Return the outcome with the fate of its version, its gain and its end."""
    version = versions.get(outcome.model_version)
    if outcome.outcome == "Waiting":
        outcome = outcome.model_copy(update={"outcome": _fate(outcome, version, versions, service)})
    if version is not None and not outcome.gain:
        outcome = outcome.model_copy(update={"gain": gain(version), "counterfactual": counterfactual(version)})
    if outcome.outcome in OVER and outcome.ended_at is None:
        outcome = outcome.model_copy(update={"ended_at": now.replace(microsecond=0)})
    return outcome


def _fate(
    outcome: RetrainingOutcome,
    version: ModelVersion | None,
    versions: Mapping[str, ModelVersion],
    service: InferenceService | None,
) -> str:
    """Return the fate of a published version; one that a newer version has overtaken is rejected."""
    stable = service.status.stable if service is not None else None
    if service is not None and stable is not None:
        if stable.version == outcome.model_version and service.status.rollout is None:
            return "Promoted"
        for ended in service.status.history:
            if ended.version == outcome.model_version and (ended.outcome != "RolledBack" or is_verdict(ended)):
                return "Promoted" if ended.outcome == "Promoted" else "Rejected"
        served = versions.get(stable.version)
        if version is not None and served is not None and _created_at(served) > _created_at(version):
            return "Rejected"
    return "Rejected" if version is not None and version.status.is_true("Stalled") else "Waiting"


def _created_at(version: ModelVersion) -> datetime:
    return version.metadata.creation_timestamp or _EPOCH


def gain(version: ModelVersion) -> dict[str, float]:
    """Return how much better the version is than its predecessor on the same recent labelled rows; greater is better.

    An error that fell is a gain above zero. Empty where there were no such rows.
    """
    measured = next(
        (evaluation for evaluation in version.spec.evaluation if evaluation.on == "RecentLabelled" and evaluation.rows),
        None,
    )
    if measured is None:
        return {}
    shared = _measured_for_both(measured)
    ordered = dict.fromkeys((*(name for name in metric_order(version) if name in shared), *sorted(shared)))
    return {name: round(-regression(name, measured.metrics[name], measured.stable[name]), 6) for name in [*ordered][:8]}


def _measured_for_both(measured: Measured) -> set[str]:
    """Return the metrics that are defined for this version and for the one in service."""
    both = set(measured.metrics) & set(measured.stable)
    return {name for name in both if math.isfinite(measured.metrics[name]) and math.isfinite(measured.stable[name])}


def counterfactual(version: ModelVersion) -> Counterfactual | None:
    """Return what the drift cost and the retraining gained: both versions on recent labelled rows that neither was trained on."""
    recent = next(
        (evaluation for evaluation in version.spec.evaluation if evaluation.on == "RecentLabelled" and evaluation.rows),
        None,
    )
    if recent is None:
        return None
    metric = first_metric(_measured_for_both(recent), metric_order(version))
    if metric is None:
        return None
    holdout = next((evaluation for evaluation in version.spec.evaluation if evaluation.on == "Holdout"), None)
    return Counterfactual(
        metric=metric,
        rows=recent.rows,
        expected=holdout.stable.get(metric) if holdout else None,
        before=recent.stable[metric],
        after=recent.metrics[metric],
    )
