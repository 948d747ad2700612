"""`tidemill work`: the warm worker of a monitor, as its pod runs it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tidemill.contract.orders import ORDER_PATH


def work(
    order: Annotated[Path, typer.Option(help="Order of the worker, as JSON.")] = Path(ORDER_PATH),
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
) -> None:
    """Run the warm worker of a DriftMonitor: execute its checks on request."""
    from tidemill.runtime.worker import runs, worker

    logging.basicConfig(level=logging.INFO, format=runs.LOG_FORMAT)
    worker.serve(order, port=port)
