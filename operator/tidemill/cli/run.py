"""`tidemill run`: what every workload pod does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidemill.contract.orders import ORDER_PATH
from tidemill.contract.reports import REPORT_PATH


def run(
    order: Annotated[Path, typer.Option(help="The order, as JSON.")] = Path(ORDER_PATH),
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path(REPORT_PATH),
) -> None:
    """Carry out an order and write its report."""
    from tidemill.runtime.worker import run as runtime_run

    raise SystemExit(runtime_run.run(order, report_path=report))
