"""`tidemill run`: the command of every workload pod."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidemill.contract.orders import ORDER_PATH
from tidemill.contract.reports import REPORT_PATH


def run(
    order: Annotated[Path, typer.Option(help="Order, as JSON.")] = Path(ORDER_PATH),
    report: Annotated[Path, typer.Option(help="Report to write.")] = Path(REPORT_PATH),
) -> None:
    """Execute an order and write its report."""
    from tidemill.runtime.worker import run as runtime_run

    raise SystemExit(runtime_run.run(order, report_path=report))
