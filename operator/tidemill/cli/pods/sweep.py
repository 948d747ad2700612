"""`tidemill sweep`: the sweeper of the object store, as its container runs it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer


def sweep(
    operator: Annotated[str, typer.Option(help="Base URL of the operator's metrics Service.")],
    release: Annotated[str, typer.Option(help="Name of the release, as namespace/name.")],
    grace: Annotated[str, typer.Option(help="Time for which data of deleted objects is kept; empty for good.")] = "",
    only_user: Annotated[bool, typer.Option(help="No other release uses the store.")] = False,
    volume: Annotated[Path | None, typer.Option(help="Folder where the volume of the store is mounted.")] = None,
    port: Annotated[int, typer.Option(help="Port for metrics.")] = 7071,
) -> None:
    """Run the sweeper: measure the object store, and delete data of deleted objects."""
    from tidemill.api.durations import delta
    from tidemill.runtime.retention import server
    from tidemill.runtime.worker.runs import LOG_FORMAT

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        kept = delta(grace) if grace else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--grace") from None
    server.serve(server.Options(operator.rstrip("/"), release, only_user, kept, volume, port))
