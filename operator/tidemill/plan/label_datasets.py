"""Choose the revision of a Dataset of labels that a run reads."""

from __future__ import annotations

from tidemill.api import InferenceService
from tidemill.api.feedback import FeedbackSource, PinnedLabels
from tidemill.plan.lookup import current_revision, get_by_name
from tidemill.plan.world import World


def pin(namespace: str, feedback: FeedbackSource, world: World) -> PinnedLabels | None:
    """Return the current revision of the Dataset of labels; None if `feedback` names none; raises MissingRevisionError."""
    wanted = feedback.dataset
    if wanted is None:
        return None
    revision = current_revision(namespace, wanted.name, world, "spec.feedback.dataset")
    return PinnedLabels(**wanted.model_dump(), digest=revision.digest, uri=revision.uri, created_at=revision.created_at)


def of_service(namespace: str, name: str, world: World) -> PinnedLabels | None:
    """Return the revision that holds labels of the service named `name`; raises MissingRevisionError."""
    service = get_by_name(InferenceService, world, namespace, name)
    return None if service is None else pin(namespace, service.spec.feedback, world)
