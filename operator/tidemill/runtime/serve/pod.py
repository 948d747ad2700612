"""A pod's order, as the operator wrote it."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.contract.serving import ServeOrder
from tidemill.runtime.serve.http.bodies import BODY_SECONDS, Bounds
from tidemill.runtime.serve.server import ServerSettings, serve
from tidemill.runtime.serve.version.loading import from_store
from tidemill.runtime.serve.version.model import Identity
from tidemill.runtime.store.objects import ObjectStore


def carry_out(order_file: Path, *, host: str, port: int, routes: Path, store: Path) -> None:
    """Serve the version that the order in `order_file` names, with the store whose credentials lie in `store`."""
    order = ServeOrder.model_validate_json(order_file.read_bytes())
    version = order.version
    identity = Identity(
        namespace=order.namespace,
        service=order.service,
        model=order.model,
        version=version.name,
        digest=version.digest,
        role=order.role,
    )
    settings = ServerSettings.from_environment(
        host=host,
        port=port,
        log_percent=order.log_percent,
        retention_seconds=order.retention_seconds,
        redact=order.redact,
        version_uri=version.uri,
        events_url=order.events_url,
        batch_rows=order.batch_rows,
        bounds=Bounds(
            body_bytes=order.max_body_bytes,
            timeout=order.timeout_seconds,
            body_seconds=float(os.environ.get("TIDEMILL_BODY_SECONDS", BODY_SECONDS)),
        ),
    )
    serve(
        identity,
        lambda: from_store(
            lambda: ObjectStore.from_files(store, namespace=order.namespace), version.uri, version.digest
        ),
        settings,
        routes=routes,
        log_to=lambda loaded: loaded.store,
    )
