"""`tidemill take`: take the file of `kubectl tidemill upload`, as the pod of the upload runs it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tidemill.contract.orders import ORDER_PATH
from tidemill.contract.serving import STORE_PATH


def take(
    order: Annotated[Path, typer.Option(help="Order of the upload, as JSON.")] = Path(ORDER_PATH),
    store: Annotated[Path, typer.Option(help="Folder with the store's URI and credentials.")] = Path(STORE_PATH),
) -> None:
    """Take the file of an upload, in parts."""
    from tidemill.runtime.failures import RunFailed
    from tidemill.runtime.ingest.uploads.server import serve
    from tidemill.runtime.worker.runs import LOG_FORMAT

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        serve(order, store)
    except RunFailed as failure:
        # The command shows the last line of the log.
        typer.echo(failure.message, err=True)
        raise typer.Exit(1) from None
