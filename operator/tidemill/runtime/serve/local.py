"""Serving a model without a cluster: from a folder or a URI, on a laptop."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tidemill.runtime import manifest as manifests
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.serve import service
from tidemill.runtime.serve import workers as processes
from tidemill.runtime.serve.loading import Loaded, from_folder, from_store
from tidemill.runtime.serve.model import Identity
from tidemill.runtime.serve.server import Settings, serve

if TYPE_CHECKING:
    from tidemill.runtime.objects import Store

logger = logging.getLogger(__name__)

NO_DIGEST = "sha256:" + "0" * 64
"""Stands for a folder without a manifest, whose content nobody named."""


def serve_model(where: str, *, name: str, version: str, host: str, port: int, workers: int, log: str) -> None:
    """Serve the model in the folder or at the URI `where` until told to stop; rows and labels are logged below `log`.

    Where the files there are replaced by another version's, that version is served once it has given its golden answers.

    An `s3://` URI is read with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and `AWS_ENDPOINT_URL`.
    Raises FileNotFoundError where there is no such folder.
    """
    parts = urlsplit(where)
    if parts.scheme in ("", "file"):
        folder = Path(unquote(parts.path) if parts.scheme else where).resolve()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"there is no folder {folder}; give the one that holds signature.json and model.onnx or model.skops"
            )
        path, digest = folder, _digest_of(folder)

        def attempt() -> Loaded:
            return from_folder(folder)

        def newer(served: str) -> tuple[str, Loaded] | None:
            now = _digest_of(folder)
            return None if now == served else (now, from_folder(folder))

    else:
        path = Path(parts.path)
        store = _open(f"{parts.scheme}://{parts.netloc}")
        uri = where.rstrip("/")

        def digest_now() -> str:
            return manifests.digest_of(store.get(f"{store.key_of(uri)}/{manifests.FILE}"))

        digest = digest_now()
        folder = None

        def attempt() -> Loaded:
            return from_store(lambda: store, uri, digest)

        def newer(served: str) -> tuple[str, Loaded] | None:
            now = digest_now()
            return None if now == served else (now, from_store(lambda: store, uri, now))

    model = name or path.parent.name or "model"
    identity = Identity(
        namespace="local", service=model, model=model, version=version or path.name, digest=digest, role="Stable"
    )
    settings = Settings.from_environment(host=host, port=port, drain_seconds=0.0)

    def work(listen: socket.socket | None) -> None:
        serve(
            identity,
            attempt,
            replace(settings, listen=listen),
            log_to=lambda _: _open(log) if log else None,
            newer=newer,
        )

    if workers == 1:
        work(None)
        return
    if folder is not None:
        # The store's own threads would not come along, so only a model on disk is loaded before the processes part.
        try:
            loaded = attempt()
        except RunFailed as error:
            logger.warning("each process loads the model by itself: %s", error)
        else:
            attempt = partial(_first, loaded)
        if settings.bentoml:
            service.prepare()
        processes.share()
    processes.run(workers, host, port, work)


def _first(loaded: Loaded) -> Loaded:
    return loaded


def _digest_of(folder: Path) -> str:
    file = folder / manifests.FILE
    return manifests.digest_of(file.read_bytes()) if file.is_file() else NO_DIGEST


def _open(uri: str) -> Store:
    from tidemill.runtime.objects import Store

    return Store.open(
        uri,
        endpoint=os.environ.get("AWS_ENDPOINT_URL", ""),
        region=os.environ.get("AWS_REGION", ""),
        access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    )
