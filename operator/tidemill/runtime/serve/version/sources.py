"""Sources of a model that is served without a cluster: a folder, or the URI of a store."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

from tidemill.runtime.model.files import folder_digest, published_digest
from tidemill.runtime.model.predictor import COMPILED_FILE, MODEL_FILE, SIGNATURE_FILE, load
from tidemill.runtime.serve import prefork
from tidemill.runtime.serve.version.loading import Loaded, from_folder, from_store
from tidemill.runtime.serve.version.open_files import OpenFiles

if TYPE_CHECKING:
    from tidemill.runtime.store.objects import ObjectStore

NO_DIGEST: Final = "sha256:" + "0" * 64
"""The digest of a folder without a manifest."""

NEEDED: Final = f"the folder that holds {SIGNATURE_FILE} and {COMPILED_FILE} or {MODEL_FILE}"


class ModelSource(Protocol):
    """A folder or a URI that holds a model."""

    path: Path
    """The path; its last part is the version's name, the one above it the model's."""

    def digest(self) -> str:
        """Return the digest of what is there now; of several processes, only those that serve may ask. Raises RunFailed."""

    def load(self, digest: str) -> Loaded:
        """The version of this digest. Raises RunFailed."""

    def load_shared(self) -> tuple[str, Loaded]:
        """Return the digest and the model, loaded so that this process can be forked; raises RunFailed or ChildProcessError."""


class Folder:
    """A folder, with or without a manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        if not self.path.is_dir():
            raise FileNotFoundError(f"there is no folder {self.path}; give {NEEDED}")
        if not (self.path / SIGNATURE_FILE).is_file():
            raise FileNotFoundError(f"there is no model in {self.path}; give {NEEDED}")

    def digest(self) -> str:
        """Return the digest of the manifest, NO_DIGEST where there is none."""
        return folder_digest(self.path) or NO_DIGEST

    def load(self, digest: str) -> Loaded:
        """Return what is there now, whatever its digest."""
        return from_folder(self.path)

    def load_shared(self) -> tuple[str, Loaded]:
        """A folder is read without threads."""
        return self.digest(), from_folder(self.path)


class Uri:
    """A published folder in a store."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self.path = Path(parts.path)
        self._uri = uri.rstrip("/")
        self._root = f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def _store(self) -> ObjectStore:
        return open_store(self._root)

    def digest(self) -> str:
        """That of the manifest."""
        return published_digest(self._uri, self._store)

    def load(self, digest: str) -> Loaded:
        """The version, fetched."""
        return from_store(lambda: self._store, self._uri, digest)

    def load_shared(self) -> tuple[str, Loaded]:
        """The version, fetched by a process of its own: the threads of a store do not come along into one that is forked."""
        folder = Path(tempfile.mkdtemp(prefix="tidemill-model-"))

        def fetch() -> bytes:
            digest = self.digest()
            self._store.fetch(self._uri, digest, folder)
            return digest.encode()

        try:
            return prefork.apart(fetch).decode(), Loaded(load(folder), None, OpenFiles(folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def source_at(where: str) -> ModelSource:
    """Return a folder by its path or as `file://`, anything else as the URI of a store; raises FileNotFoundError where there is no such folder."""
    parts = urlsplit(where)
    if parts.scheme in ("", "file"):
        return Folder(Path(unquote(parts.path) if parts.scheme else where))
    return Uri(where)


def open_store(uri: str) -> ObjectStore:
    """A store with the credentials of the environment, by the names that AWS's tools know."""
    from tidemill.runtime.store.objects import ObjectStore

    return ObjectStore.open(
        uri,
        endpoint=os.environ.get("AWS_ENDPOINT_URL", ""),
        region=os.environ.get("AWS_REGION", ""),
        access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    )
