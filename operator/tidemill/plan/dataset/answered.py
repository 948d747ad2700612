"""Order the part of a service's log that a Dataset reads: a window that ends now, with the columns of the version in service."""

from __future__ import annotations

from datetime import datetime

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.durations import delta
from tidemill.api.sources import PredictionsSource
from tidemill.contract.orders import AnsweredOrder, TimeRange
from tidemill.contract.serving import VersionOrder
from tidemill.plan import label_datasets
from tidemill.plan.lookup import MissingRevisionError, get_by_name
from tidemill.plan.world import World


def order(namespace: str, source: PredictionsSource, world: World, now: datetime) -> AnsweredOrder | str:
    """Return what to read, or a message about what is missing."""
    name = source.inference_service_ref.name
    service = get_by_name(InferenceService, world, namespace, name)
    if service is None:
        return f"InferenceService {name!r} not found; create it to read its log"
    stable = service.status.stable
    version = get_by_name(ModelVersion, world, namespace, stable.version) if stable else None
    if stable is None or version is None:
        missing = f"version {stable.version!r} was deleted" if stable else "no version is served yet"
        return (
            f"the columns of InferenceService {name!r} are not known: {missing}; "
            "approve a version of its model to read its log"
        )
    try:
        pinned = label_datasets.pin(namespace, service.spec.feedback, world)
    except MissingRevisionError as missing:
        return f"the labels of InferenceService {name!r} are not known: {missing}"
    end = now.replace(microsecond=0)
    artifact = version.spec.artifact
    return AnsweredOrder(
        window=TimeRange(start=end - delta(source.window), end=end),
        version=VersionOrder(name=version.name, uri=artifact.uri, digest=artifact.digest),
        labels=pinned,
    )
