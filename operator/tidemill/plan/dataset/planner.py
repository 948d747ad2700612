"""Plan a Dataset: one ingest run for each change of its spec and for each refresh; the newest good revision stays in use.

The rows of a service's log are read in a window that ends when the run is ordered. The end is not part of the order's
identity: a second visit finds the Job by its name, and a run that is repeated later reads what has arrived since.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tidemill.api import Dataset
from tidemill.api.conditions import PendingCondition, Reason, false, true, unknown
from tidemill.api.dataset import Attempt, DatasetStatus, Refresh, Revision
from tidemill.api.durations import seconds
from tidemill.children import jobs, names
from tidemill.children.installation import Installation
from tidemill.contract.numbers import quantity
from tidemill.contract.orders import IngestOrder, digest_of
from tidemill.contract.reports import Ingested
from tidemill.plan import unsupported
from tidemill.plan.conditions import with_conditions
from tidemill.plan.dataset import answered, parents, scored
from tidemill.plan.dataset.parents import Unusable
from tidemill.plan.requests import requested_at
from tidemill.plan.runs.attempts import MAX_BACKOFF_SECONDS, Progress, advance, notices_of, outdated
from tidemill.plan.runs.schedules import NeverFiresError, UnusableScheduleError, newest_tick, next_tick
from tidemill.plan.types import Notice, Plan
from tidemill.plan.world import World

DEADLINE_SECONDS = 3600
"""How long one ingest run may take."""
TTL_SECONDS = 3600
"""How long a finished Job is kept."""

MISMATCHES = frozenset({Reason.SCHEMA_MISMATCH, Reason.TARGET_MISSING, Reason.TARGET_UNUSABLE, Reason.NOT_NUMERIC})
"""The rows were read, and their columns are not what was declared."""


def plan(dataset: Dataset, world: World, installation: Installation, now: datetime) -> Plan:
    """Keep the newest good revision, and read the source again when it is due."""
    status = dataset.status
    if refused := unsupported.refusal(dataset):
        return Plan(with_conditions(dataset, status, [*refused], now), notices=unsupported.notices(status, refused))
    if dataset.spec.suspend:
        conditions = [
            *_about_revision(status, Reason.SUSPENDED, "spec.suspend is true; set it to false to read the source again")
        ]
        return Plan(with_conditions(dataset, status, conditions, now))
    try:
        until_allowed = _until_allowed(dataset, now)
        tick, until_next = _refresh(dataset, now, until_allowed)
        period = _period(dataset.spec.refresh, now)
    except UnusableScheduleError as unusable:
        reason = Reason.SCHEDULE_NEVER_FIRES if isinstance(unusable, NeverFiresError) else Reason.INVALID_SPEC
        return Plan(with_conditions(dataset, status, _unusable(dataset, reason, f"spec.refresh.{unusable}"), now))
    if until_allowed is not None and _is_as_read(dataset):
        return Plan(with_conditions(dataset, status, _fetched(status), now), wake=until_allowed)
    made_from = parents.of(dataset, world)
    if isinstance(made_from, Unusable):
        return _wait_for(dataset, made_from, now)
    predicted = scored.order(dataset.namespace, wanted, world) if (wanted := dataset.spec.source.scored) else None
    if isinstance(predicted, Unusable):
        return _wait_for(dataset, predicted, now)
    order = _order(dataset, tick, installation).model_copy(update={"parents": made_from, "scored": predicted})
    # What the new revision is compared with is not part of the order's identity: it changes when the run succeeds. The
    # revisions of other Datasets are, where the Dataset follows them.
    ignored: dict[str, object] = {"previous": ""}
    if not dataset.spec.refresh.on_upstream_change:
        ignored |= {"parents": None, "scored": None}
    digest = digest_of(order.model_copy(update=ignored))
    at = datetime.fromtimestamp(tick, UTC) if tick else None
    terms = jobs.terms(dataset.spec.resources, DEADLINE_SECONDS, TTL_SECONDS)
    # Where the source is read every minute, a failed read is not repeated later than the next one would be.
    longest = period or MAX_BACKOFF_SECONDS
    progress = advance(
        dataset, order.task, digest, status.attempt, world, now, at=at, terms=terms, longest_pause=longest
    )
    if progress.order_job and dataset.spec.source.predictions is not None:
        summary = answered.order(dataset.namespace, dataset.spec.source.predictions, world, now)
        if isinstance(summary, str):
            return Plan(
                with_conditions(dataset, status, _unfetched(dataset, Reason.DEPENDENCY_NOT_READY, summary), now)
            )
        order = order.model_copy(update={"answered": summary})
    status = status.model_copy(update={"attempt": progress.attempt})
    notices: tuple[Notice, ...] = ()
    if progress.just_ended and progress.report and progress.report.ingested:
        status, notices = _publish(dataset, status, progress.report.ingested, progress.report.warnings, now)
    else:
        notices = notices_of(progress)
    job = jobs.run(
        dataset,
        order,
        installation,
        attempt=progress.attempt.number,
        digest=digest,
        resources=dataset.spec.resources,
        deadline=DEADLINE_SECONDS,
        ttl=TTL_SECONDS,
        credentials=dataset.spec.credentials.secret_ref.name if dataset.spec.credentials else "",
        claim=dataset.spec.source.claim,
        pod_labels={names.AZURE_IDENTITY: "true"} if (dataset.spec.source.uri or "").startswith("az://") else None,
    )
    wakes = [wake for wake in (progress.wake, until_next, until_allowed) if wake is not None]
    conditions = _conditions(dataset, status, progress)
    return Plan(
        with_conditions(dataset, status, conditions, now),
        ensure=(job,) if progress.order_job else (),
        retire=outdated(job, progress),
        notices=notices,
        wake=min(wakes, default=None),
    )


def _until_allowed(dataset: Dataset, now: datetime) -> float | None:
    """Return the seconds until spec.refresh.rateLimit allows another read; None if it does now."""
    limit, attempt = dataset.spec.refresh.rate_limit, dataset.status.attempt
    if limit is None or attempt is None or attempt.finished_at is None:
        return None
    left = attempt.finished_at.timestamp() + seconds(limit) - now.timestamp()
    return left if left > 0 else None


def _refresh(dataset: Dataset, now: datetime, until_allowed: float | None) -> tuple[int, float | None]:
    """Return the refresh that is due, in seconds since the epoch (0 for the first), and the seconds until the next."""
    refresh, attempt = dataset.spec.refresh, dataset.status.attempt
    current = int(attempt.at.timestamp()) if attempt and attempt.at else 0
    if attempt is not None and attempt.outcome == "Running":
        return current, None
    if until_allowed is not None:
        return current, until_allowed
    requested = requested_at(dataset.metadata.annotations, names.REFRESH, now)
    if requested is not None and requested.timestamp() > current:
        return int(requested.timestamp()), None
    if attempt is None:
        return current, None
    if refresh.schedule is not None:
        return _scheduled(refresh.schedule, attempt, now)
    period = _period(refresh, now)
    if period is None:
        return current, None
    due = (attempt.finished_at.timestamp() if attempt.finished_at else 0.0) + period
    if attempt.outcome == "Succeeded" and now.timestamp() >= due:
        return int(now.timestamp() // period * period), None
    return current, max(due - now.timestamp(), 0.0) if attempt.outcome == "Succeeded" else None


def _scheduled(schedule: str, attempt: Attempt, now: datetime) -> tuple[int, float | None]:
    """Return the same for a cron schedule: its newest time, if the source has not been read since."""
    current = int(attempt.at.timestamp()) if attempt.at else 0
    if attempt.outcome == "Failed" and attempt.retryable:
        # The failed read is repeated as it is, so that its failure stays reported until a read succeeds.
        return current, None
    # A read that was repeated read the source as it was later than at its time.
    covered = attempt.at if attempt.at and attempt.number == 1 else attempt.finished_at
    tick = newest_tick(schedule, now)
    if covered is None or tick > covered:
        return int(tick.timestamp()), None
    return current, (next_tick(schedule, now) - now).total_seconds()


def _period(refresh: Refresh, now: datetime) -> float | None:
    """Return the seconds between two reads; None if the source is read once."""
    if refresh.schedule is not None:
        return (next_tick(refresh.schedule, now) - newest_tick(refresh.schedule, now)).total_seconds()
    return max(seconds(refresh.interval), 1.0) if refresh.interval is not None else None


def _wait_for(dataset: Dataset, missing: Unusable, now: datetime) -> Plan:
    """Wait for the objects that a Dataset is made from, or for a change of its spec."""
    conditions = (
        _unusable(dataset, Reason.INVALID_SPEC, missing.message)
        if missing.hopeless
        else _unfetched(dataset, Reason.DEPENDENCY_NOT_READY, missing.message)
    )
    return Plan(with_conditions(dataset, dataset.status, conditions, now))


def _is_as_read(dataset: Dataset) -> bool:
    """Return whether the last read succeeded and the spec is still the one that was read."""
    attempt, ready = dataset.status.attempt, dataset.status.condition("Ready")
    succeeded = attempt is not None and attempt.outcome == "Succeeded"
    return succeeded and ready is not None and ready.observed_generation == dataset.metadata.generation


def _order(dataset: Dataset, tick: int, installation: Installation) -> IngestOrder:
    spec = dataset.spec
    on_the_web = (spec.source.uri or "").startswith("https://")
    return IngestOrder(
        namespace=dataset.namespace,
        dataset=dataset.name,
        source=spec.source,
        format=spec.format,
        columns=spec.columns,
        evolution=spec.evolution,
        splits=spec.splits,
        expectations=spec.expectations,
        previous=dataset.status.revision.uri if dataset.status.revision else "",
        credentials=spec.credentials is not None,
        allow_private=True if on_the_web and installation.allow_private_sources else None,
        report=None if spec.report.enabled else False,
        sql=spec.transform.sql if spec.transform else None,
        tick=tick,
    )


def _publish(
    dataset: Dataset, status: DatasetStatus, ingested: Ingested, warnings: tuple[str, ...], now: datetime
) -> tuple[DatasetStatus, tuple[Notice, ...]]:
    """Make the reported revision the current one; the same content makes no new revision."""
    current = status.revision
    if current and current.digest == ingested.digest:
        same = current.model_copy(update={"parents": ingested.parents})
        return status.model_copy(update={"revision": same, "warnings": warnings}), ()
    revision = Revision(**ingested.model_dump(), created_at=now.replace(microsecond=0))
    earlier = (current, *status.revisions) if current else status.revisions
    status = status.model_copy(
        update={
            "revision": revision,
            "revisions": earlier[: dataset.spec.revision_history_limit - 1],
            "warnings": tuple(warning[:1024] for warning in warnings[:32]),
        }
    )
    return status, (Notice("RevisionPublished", f"{_size(revision)}, {revision.digest[:19]}"),)


def _size(revision: Revision) -> str:
    return f"{quantity(revision.rows, 'row')}, {quantity(revision.columns, 'column')}"


def _conditions(dataset: Dataset, status: DatasetStatus, progress: Progress) -> list[PendingCondition]:
    failure, revision = progress.failure, status.revision
    if failure is None and progress.run.phase == "Succeeded":
        return _fetched(status)
    failed_before = dataset.status.condition("Fetched") if progress.attempt.number > 1 else None
    if failure is None and failed_before is not None and not progress.run.over:
        # During a retry the failure stays reported: only the end of the run can tell whether it is gone.
        message = progress.run.message if progress.run.blocked else f"attempt {progress.attempt.number} is running"
        return [
            *_repeated(dataset, {"Ready", "Fetched", "SchemaValid", "QualityPassed"}),
            true("Reconciling", Reason.RETRYING, message),
        ]
    if failure is None:
        message = progress.run.message or "reading the source"
        reason = progress.run.reason
        return [*_about_revision(status, reason, message), true("Reconciling", reason, message)]
    kept = f"; revision {revision.digest[:19]} stays in use" if revision else ""
    message = failure.message + kept
    conditions = [false("Fetched", failure.reason, message)]
    if failure.reason in MISMATCHES:
        conditions = [true("Fetched", Reason.SUCCEEDED), false("SchemaValid", failure.reason, message)]
    if failure.reason == Reason.QUALITY_FAILED:
        fitting = [true(type_, Reason.SUCCEEDED) for type_ in ("Fetched", "SchemaValid")]
        conditions = [*fitting, false("QualityPassed", failure.reason, message)]
    if failure.retryable:
        conditions.append(true("Reconciling", Reason.RETRYING, "the source is read again until it is valid"))
    else:
        conditions.append(true("Stalled", failure.reason, message))
    return [_still_ready(dataset, failure.reason, message), *conditions]


def _fetched(status: DatasetStatus) -> list[PendingCondition]:
    """Return the conditions after a read that succeeded."""
    passed = (true(type_, Reason.SUCCEEDED) for type_ in ("Fetched", "SchemaValid", "QualityPassed"))
    return [*_about_revision(status), *passed]


def _unfetched(dataset: Dataset, reason: Reason, message: str) -> list[PendingCondition]:
    """Return the conditions while the source of the rows does not exist yet."""
    revision = dataset.status.revision
    message += f"; revision {revision.digest[:19]} stays in use" if revision else ""
    return [
        _still_ready(dataset, reason, message),
        false("Fetched", reason, message),
        true("Reconciling", reason, message),
    ]


def _unusable(dataset: Dataset, reason: Reason, message: str) -> list[PendingCondition]:
    """Return the conditions while the spec cannot be carried out."""
    revision = dataset.status.revision
    message += f"; revision {revision.digest[:19]} stays in use" if revision else ""
    return [false("Ready", reason, message), true("Stalled", reason, message)]


def _still_ready(dataset: Dataset, reason: Reason, message: str) -> PendingCondition:
    """Return Ready: a Dataset with a revision stays ready although its source fails."""
    was_ready = dataset.status.condition("Ready")
    spec_was_good = (
        was_ready is not None
        and was_ready.status == "True"
        and was_ready.observed_generation == dataset.metadata.generation
    )
    if spec_was_good and dataset.status.revision:
        # A source that vanished later does not take the revision away.
        return true("Ready", Reason.SUCCEEDED, message)
    return false("Ready", reason, message)


def _repeated(dataset: Dataset, types: set[str]) -> list[PendingCondition]:
    """Return the present conditions of these types, to be written again."""
    return [
        PendingCondition(
            type=condition.type, status=condition.status, reason=condition.reason, message=condition.message
        )
        for condition in dataset.status.conditions
        if condition.type in types
    ]


def _about_revision(
    status: DatasetStatus, reason: Reason = Reason.SUCCEEDED, message: str = ""
) -> list[PendingCondition]:
    if status.revision is None:
        if reason == Reason.SUSPENDED:
            return [false("Ready", reason, message)]
        return [unknown("Ready", reason, message)]
    summary = f"revision {status.revision.digest[:19]}: {_size(status.revision)}"
    if reason == Reason.SUSPENDED:
        return [true("Ready", reason, f"{summary}; the source is not read: {message}")]
    if reason != Reason.SUCCEEDED:
        return [unknown("Ready", reason, message)]
    return [true("Ready", Reason.SUCCEEDED, summary)]
