"""Getting the version that an order names: from the store, verified, and answering its golden rows."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tidemill.runtime.failures import RunFailed
from tidemill.runtime.model.files import check_folder
from tidemill.runtime.model.predictor import Predictor, load
from tidemill.runtime.serve.version.open_files import OpenFiles
from tidemill.runtime.serve.version.readiness import State

if TYPE_CHECKING:
    from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

MIN_RETRY_SECONDS: Final = 0.5
MAX_RETRY_SECONDS: Final = 15.0


class Loaded(NamedTuple):
    """A version that answers, the store it came from (None for a plain folder), and its files."""

    predictor: Predictor
    store: ObjectStore | None
    files: OpenFiles


def from_store(open_store: Callable[[], ObjectStore], uri: str, digest: str) -> Loaded:
    """The version at `uri`, if its bytes are those that `digest` names. Raises RunFailed."""
    store = open_store()
    folder = Path(tempfile.mkdtemp(prefix="tidemill-model-"))
    try:
        store.fetch(uri, digest, folder)
        return Loaded(load(folder), store, OpenFiles(folder))
    finally:
        # What is held open stays; the other files would only take room.
        shutil.rmtree(folder, ignore_errors=True)


def from_folder(folder: Path) -> Loaded:
    """The version in a folder, whose files are checked where it has a manifest. Raises RunFailed."""
    check_folder(folder)
    return Loaded(load(folder), None, OpenFiles(folder))


async def until_loaded(attempt: Callable[[], Loaded], state: State) -> Loaded:
    """Return the result of `attempt`, repeated with growing pauses for as long as it fails; `state` says why meanwhile."""
    pause = MIN_RETRY_SECONDS
    while True:
        try:
            return await asyncio.to_thread(attempt)
        except RunFailed as error:
            state.waits(str(error.reason), error.message)
            logger.warning("%s: %s", error.reason, error.message)
        except Exception as error:  # a bug of ours must be seen, not crash-looped
            state.waits("InternalError", f"{type(error).__name__}: {error}")
            logger.exception("the model cannot be loaded")
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))
        pause = min(pause * 2, MAX_RETRY_SECONDS)
