"""What a Dataset reads of a service's log: a window that ends now, with the columns of the version in service."""

from __future__ import annotations

from datetime import datetime

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.durations import delta
from tidemill.api.sources import PredictionsSource
from tidemill.contract.orders import AnsweredOrder, TimeRange
from tidemill.contract.serving import VersionOrder
from tidemill.plan.lookup import get_by_name
from tidemill.plan.world import World


def order(namespace: str, source: PredictionsSource, world: World, now: datetime) -> AnsweredOrder | str:
    """What to read, or in words what is missing and what to do about it."""
    name = source.inference_service_ref.name
    service = get_by_name(InferenceService, world, namespace, name)
    if service is None:
        return f"there is no InferenceService {name!r} in this namespace; create it and its log is read by itself"
    stable = service.status.stable
    version = get_by_name(ModelVersion, world, namespace, stable.version) if stable else None
    if stable is None or version is None:
        missing = f"its version {stable.version!r} is gone" if stable else "it serves no version yet"
        return (
            f"InferenceService {name!r} cannot say what its rows are made of: {missing}; "
            "have a version approved for it and its log is read by itself"
        )
    end = now.replace(microsecond=0)
    artifact = version.spec.artifact
    return AnsweredOrder(
        window=TimeRange(start=end - delta(source.window), end=end),
        version=VersionOrder(name=version.name, uri=artifact.uri, digest=artifact.digest),
    )
