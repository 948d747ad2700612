"""Serving a model without a cluster: from a folder or a URI, on a laptop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tidemill.runtime.serve import prefork
from tidemill.runtime.serve.handlers import bentoml_service
from tidemill.runtime.serve.server import ServerSettings, Worker, serve
from tidemill.runtime.serve.version.loading import Loaded
from tidemill.runtime.serve.version.model import Identity
from tidemill.runtime.serve.version.sources import open_store, source_at

DRAIN_SECONDS: Final = 1.0
"""Seconds for which a process that was told to stop still answers connected clients."""


def serve_model(where: str, *, name: str, version: str, host: str, port: int, workers: int, log: str) -> None:
    """Serve the model in the folder or at the URI `where` until told to stop; rows and labels are logged below `log`.

    Where the files there are replaced by another version's, that version is served once it has given its golden answers.
    Several workers share the memory of the model that they begin with.

    An `s3://` URI is read with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and `AWS_ENDPOINT_URL`.
    Raises FileNotFoundError where there is no such folder; RunFailed, or ChildProcessError with several workers, where
    there is no such model.
    """
    source = source_at(where)
    settings = ServerSettings.from_environment(
        host=host, port=port, drain_seconds=DRAIN_SECONDS, drains_connections=True, retries=False
    )
    if workers == 1:
        shared, digest = None, source.digest()
    else:
        digest, shared = source.load_shared()
        if settings.bentoml:
            bentoml_service.prepare()
        prefork.share()
    model = name or source.path.parent.name or "model"
    identity = Identity(
        namespace="local",
        service=model,
        model=model,
        version=version or source.path.name,
        digest=digest,
        role="Stable",
    )

    def attempt() -> Loaded:
        return shared or source.load(digest)

    def newer(served: str) -> tuple[str, Loaded] | None:
        now = source.digest()
        return None if now == served else (now, source.load(now))

    def work(settings: ServerSettings) -> None:
        serve(identity, attempt, settings, log_to=lambda _: open_store(log) if log else None, newer=newer)

    if workers == 1:
        work(settings)
        return
    with TemporaryDirectory(prefix="tidemill-workers-") as folder:
        prefork.run(
            workers,
            host,
            port,
            lambda listen, index: work(replace(settings, listen=listen, worker=Worker(Path(folder), index, workers))),
        )
