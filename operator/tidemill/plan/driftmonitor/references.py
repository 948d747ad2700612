"""Choose what windows are compared with: the served version's profile, a Dataset's revision, or earlier windows of the log."""

from __future__ import annotations

from datetime import datetime

from tidemill.api import Dataset, DriftMonitor, ModelVersion
from tidemill.api.dataset import Revision
from tidemill.api.monitorstatus import DriftMonitorStatus, Reference
from tidemill.children import serving
from tidemill.contract.orders import OUTSIDE_DIGEST, ReferenceOrder, TimeRange
from tidemill.contract.serving import VersionOrder
from tidemill.plan.driftmonitor import windows
from tidemill.plan.lookup import get_by_name
from tidemill.plan.world import World


class MissingReferenceError(Exception):
    """The Dataset or the revision to compare with does not exist."""


def pin(monitor: DriftMonitor, version: ModelVersion | None) -> VersionOrder:
    """Return the watched version; a placeholder for an external service."""
    if version is not None:
        return serving.pin(version)
    events = monitor.spec.target.cloud_events
    return VersionOrder(name=(events.service if events else "") or "outside", uri="", digest=OUTSIDE_DIGEST)


def rebase(
    monitor: DriftMonitor, version: VersionOrder, revision: Revision | None, now: datetime
) -> DriftMonitorStatus:
    """Return the status with the present reference; counts of another reference are reset."""
    status, digest = monitor.status, version.digest
    dataset_digest = revision.digest if revision else ""
    before = status.reference
    if before is not None and before.digest == digest and before.dataset_digest == dataset_digest:
        return status
    # Another revision to compare with says nothing about the version: its rows go on counting.
    since = before.since if before is not None and before.digest == digest else now.replace(microsecond=0)
    reference = Reference(version=version.name, digest=digest, since=since, dataset_digest=dataset_digest)
    return status.model_copy(update={"reference": reference, "checks": (), "last_run": None, "attempt": None})


def revision_of(monitor: DriftMonitor, world: World) -> Revision | None:
    """Return the revision that is the reference, or None if the reference is not a Dataset; raises MissingReferenceError."""
    wanted = monitor.spec.reference.dataset
    if wanted is None:
        return None
    dataset = get_by_name(Dataset, world, monitor.namespace, wanted.name)
    if dataset is None:
        raise MissingReferenceError(f"Dataset {wanted.name!r} not found; create it, or correct spec.reference.dataset")
    current: Revision | None = dataset.status.revision
    if wanted.revision == "Latest":
        if current is None:
            raise MissingReferenceError(
                f"Dataset {wanted.name!r} has no revision yet; the first check follows its first revision"
            )
        return current
    known: list[Revision] = [*([current] if current else []), *dataset.status.revisions]
    revision = next((revision for revision in known if revision.digest == wanted.revision), None)
    if revision is None:
        raise MissingReferenceError(
            f"Dataset {wanted.name!r} has no revision {wanted.revision}; take one of its status.revisions, or Latest"
        )
    return revision


def order(monitor: DriftMonitor, window: TimeRange, revision: Revision | None) -> ReferenceOrder | None:
    """The reference for an order; None where it is the version's own profile."""
    if revision is not None:
        return ReferenceOrder(dataset_uri=revision.uri, dataset_digest=revision.digest)
    ranges = windows.earlier(monitor, window)
    return ReferenceOrder(ranges=ranges) if ranges else None
