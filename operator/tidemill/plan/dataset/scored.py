"""Choose what a Dataset of predictions is made from: the revision to predict, and the version that predicts."""

from __future__ import annotations

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.sources import ScoredSource
from tidemill.contract.orders import ScoredOrder
from tidemill.contract.serving import VersionOrder
from tidemill.plan.dataset import parents
from tidemill.plan.dataset.parents import Unusable
from tidemill.plan.lookup import get_by_name
from tidemill.plan.world import World


def order(namespace: str, source: ScoredSource, world: World) -> ScoredOrder | Unusable:
    """Return what to predict and with what, or what is missing."""
    rows = parents.current(namespace, source.dataset, world, "spec.source.scored.dataset")
    if isinstance(rows, Unusable):
        return rows
    version = _version(namespace, source, world)
    if isinstance(version, Unusable):
        return version
    ready = version.status.condition("Ready")
    if ready is None or ready.status != "True":
        because = f" ({ready.reason}: {ready.message})" if ready and ready.message else ""
        return Unusable(f"ModelVersion {version.name!r} may not be used yet{because}")
    artifact = version.spec.artifact
    return ScoredOrder(rows=rows, version=VersionOrder(name=version.name, uri=artifact.uri, digest=artifact.digest))


def _version(namespace: str, source: ScoredSource, world: World) -> ModelVersion | Unusable:
    name = source.model_version or ""
    if source.inference_service is not None:
        service = get_by_name(InferenceService, world, namespace, source.inference_service)
        if service is None:
            return Unusable(
                f"InferenceService {source.inference_service!r} not found; create it, or correct spec.source.scored.inferenceService"
            )
        if service.status.stable is None:
            return Unusable(f"InferenceService {source.inference_service!r} serves no version yet")
        name = service.status.stable.version
    version = get_by_name(ModelVersion, world, namespace, name)
    if version is None:
        return Unusable(f"ModelVersion {name!r} not found; correct spec.source.scored")
    return version
