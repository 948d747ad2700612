"""`tidemill work`: the warm worker of a monitor, as its pod runs it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tidemill.contract.orders import ORDER_PATH


def work(
    order: Annotated[Path, typer.Option(help="The order of the worker, as JSON.")] = Path(ORDER_PATH),
    port: Annotated[int, typer.Option(help="Where to listen.")] = 8080,
) -> None:
    """Carry out the checks of a DriftMonitor as they are asked for."""
    from tidemill.runtime.worker import runs, worker

    logging.basicConfig(level=logging.INFO, format=runs.LOG_FORMAT)
    worker.serve(order, port=port)
