"""The result of a run, kept with its version: a second run of the same order returns it instead of training again."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from tidemill.api.base import WireModel
from tidemill.contract.orders import TrainOrder, digest_of
from tidemill.contract.reports import Trained
from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model import artifact
from tidemill.runtime.model.files import VersionFiles, published_digest
from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)


class Finished(WireModel):
    """The result of a run, kept with the version so that a second run of the same order can return it."""

    order: str
    """Digest of the order."""
    trained: Trained
    """Without where it lies and what its digest is: the file cannot know."""
    warnings: tuple[str, ...] = ()


def find(order: TrainOrder, store: ObjectStore, folder: str) -> tuple[Trained, tuple[str, ...]] | None:
    """Return the result of an earlier run of this order that got as far as publishing, but whose report was lost."""
    uri = store.uri_of(folder)
    try:
        digest = published_digest(uri, store)
    except FileNotFoundError:
        return None
    kept = VersionFiles(uri, digest, store, remedy="delete that folder and train again").read(artifact.TRAINED_FILE)
    try:
        finished = Finished.model_validate_json(kept)
    except ValidationError as error:
        raise ArtifactCorrupt(
            f"{uri} was published by another release: {error.errors()[0]['msg']}; delete that folder"
        ) from error
    if finished.order != digest_of(order):
        raise ArtifactCorrupt(
            f"{uri} holds the version of another run; delete that folder, or start a run of another name"
        )
    logger.info("%s was published before; nothing is trained again", uri)
    return located(finished.trained, uri, digest), finished.warnings


def located(trained: Trained, uri: str, digest: str) -> Trained:
    """The answer with where its version lies."""
    return trained.model_copy(update={"uri": uri, "digest": digest, "report_uri": f"{uri}/{artifact.REPORT_FILE}"})
