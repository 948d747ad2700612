"""Serving a model without a cluster: from a folder or a URI, on a laptop."""

from __future__ import annotations

import socket
from dataclasses import replace

from tidemill.runtime.serve import prefork as processes
from tidemill.runtime.serve.handlers import bentoml_service
from tidemill.runtime.serve.server import ServerSettings, serve
from tidemill.runtime.serve.version.loading import Loaded
from tidemill.runtime.serve.version.model import Identity
from tidemill.runtime.serve.version.sources import open_store, place


def serve_model(where: str, *, name: str, version: str, host: str, port: int, workers: int, log: str) -> None:
    """Serve the model in the folder or at the URI `where` until told to stop; rows and labels are logged below `log`.

    Where the files there are replaced by another version's, that version is served once it has given its golden answers.
    Several workers share the memory of the model that they begin with.

    An `s3://` URI is read with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and `AWS_ENDPOINT_URL`.
    Raises FileNotFoundError where there is no such folder; RunFailed, or ChildProcessError with several workers, where
    there is no such model.
    """
    found = place(where)
    settings = ServerSettings.from_environment(host=host, port=port, drain_seconds=0.0)
    if workers == 1:
        shared, digest = None, found.digest()
    else:
        digest, shared = found.load_shared()
        if settings.bentoml:
            bentoml_service.prepare()
        processes.share()
    model = name or found.path.parent.name or "model"
    identity = Identity(
        namespace="local",
        service=model,
        model=model,
        version=version or found.path.name,
        digest=digest,
        role="Stable",
    )

    def attempt() -> Loaded:
        return shared or found.load(digest)

    def newer(served: str) -> tuple[str, Loaded] | None:
        now = found.digest()
        return None if now == served else (now, found.load(now))

    def work(listen: socket.socket | None) -> None:
        serve(
            identity,
            attempt,
            replace(settings, listen=listen),
            log_to=lambda _: open_store(log) if log else None,
            newer=newer,
        )

    if workers == 1:
        work(None)
    else:
        processes.run(workers, host, port, work)
