"""`tidemill receive`: the receiver of a monitor, as its pod runs it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tidemill.contract.orders import ORDER_PATH


def receive(
    order: Annotated[Path, typer.Option(help="Order of the receiver, as JSON.")] = Path(ORDER_PATH),
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
) -> None:
    """Run the webhook receiver for a DriftMonitor's External checks."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from tidemill.runtime.receive.server import serve

    serve(order, port=port)
