"""Choose the revision of a Dataset of labels that a run reads."""

from __future__ import annotations

from tidemill.api import Dataset, InferenceService
from tidemill.api.feedback import FeedbackSource, PinnedLabels
from tidemill.plan.lookup import get_by_name
from tidemill.plan.world import World


class MissingLabelsError(Exception):
    """The Dataset of labels does not exist or has no revision."""


def pin(namespace: str, feedback: FeedbackSource, world: World) -> PinnedLabels | None:
    """Return the current revision of the Dataset of labels; None if there is no such Dataset; raises MissingLabelsError."""
    wanted = feedback.dataset
    if wanted is None:
        return None
    dataset = get_by_name(Dataset, world, namespace, wanted.name)
    if dataset is None:
        raise MissingLabelsError(f"Dataset {wanted.name!r} not found; create it, or correct spec.feedback.dataset")
    revision = dataset.status.revision
    if revision is None:
        ready = dataset.status.condition("Ready")
        because = f" ({ready.reason}: {ready.message})" if ready and ready.message else ""
        raise MissingLabelsError(f"Dataset {wanted.name!r} has no revision yet{because}")
    return PinnedLabels(**wanted.model_dump(), digest=revision.digest, uri=revision.uri, created_at=revision.created_at)


def of_service(namespace: str, name: str, world: World) -> PinnedLabels | None:
    """Return the revision that holds labels of the service named `name`; raises MissingLabelsError."""
    service = get_by_name(InferenceService, world, namespace, name)
    return None if service is None else pin(namespace, service.spec.feedback, world)
