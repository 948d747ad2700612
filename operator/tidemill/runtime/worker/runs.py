"""The runs of a warm worker: one at a time, each in a process forked from one that has imported everything.

What a run takes of memory goes with its process, and a run that takes too long can be ended.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import REPORT_LIMIT

logger = logging.getLogger(__name__)

WARM: Final = "tidemill.runtime.worker.warm"
LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Busy(Exception):
    """Another run is under way."""


class WorkerRun:
    """One order, carried out by a process of its own."""

    def __init__(self, name: str, order: CheckOrder) -> None:
        self.name, self.order = name, order
        self.report = b""
        """What a check Job would have left as its termination message, once the run is over."""
        self.problem = ""
        """Why it is over and there is no report."""
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the run, but no longer than this; answers whether it is over."""
        return self._over.wait(seconds)

    def attend(self, process: BaseProcess, reports: Connection, deadline: float) -> None:
        """See the run to its end, which is `deadline` seconds from now at the latest."""
        try:
            if reports.poll(deadline):
                self.report = reports.recv_bytes(REPORT_LIMIT)
            else:
                self.problem = f"the check took more than {deadline:g} s and was ended"
        except (EOFError, OSError):
            process.join(1.0)
            self.problem = (
                f"the check's process ended without a report (exit code {process.exitcode});"
                " where that is -9, raise spec.resources.limits.memory"
            )
        finally:
            process.kill()
            process.join()
            reports.close()
            self._over.set()
        if self.problem:
            logger.error("%s: %s", self.name, self.problem)


class Runs:
    """Starts runs, and remembers the newest: a second request for it gets the same run."""

    def __init__(self, store_path: Path, deadline: float) -> None:
        self._store_path, self._deadline = store_path, deadline
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([WARM])
        self._one_at_a_time = threading.Lock()
        self._newest: WorkerRun | None = None
        self._process: BaseProcess | None = None
        self._stopped = False
        self.is_warm = False

    def warm_up(self) -> None:
        """Have everything imported; a run that begins now begins at once."""
        process = self._context.Process(target=_nothing, daemon=True)
        process.start()
        process.join()
        self.is_warm = True

    def ask(self, name: str, order: CheckOrder) -> WorkerRun:
        """The run of this name, begun now where it was not before; raises Busy while another is under way."""
        with self._one_at_a_time:
            newest = self._newest
            if newest is not None and newest.name == name and newest.order.identity == order.identity:
                return newest
            if self._stopped or (newest is not None and not newest.is_over):
                raise Busy(newest.name if newest is not None else "the worker is about to stop")
            run = self._newest = WorkerRun(name, order)
            reports, sender = self._context.Pipe(duplex=False)
            arguments = (sender, order.model_dump_json(by_alias=True, exclude_none=True), str(self._store_path))
            self._process = self._context.Process(target=_carry_out, args=arguments, daemon=True)
            self._process.start()
            sender.close()
            attending = threading.Thread(
                target=run.attend, args=(self._process, reports, self._deadline), name=name, daemon=True
            )
            attending.start()
            return run

    def stop(self) -> None:
        """End the run under way, and begin none any more; who asked for it asks another."""
        with self._one_at_a_time:
            self._stopped = True
            if self._newest is None or self._newest.is_over or self._process is None:
                return
            self._process.kill()
        self._newest.wait(5.0)


def _nothing() -> None:
    """What the first fork is for: it comes when everything has been imported."""


def _carry_out(sender: Connection, order: str, store_path: str) -> None:
    """Exactly what a check Job does."""
    from tidemill.runtime.worker.run import report_on

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    report = report_on(CheckOrder.model_validate_json(order), Path(store_path))
    sender.send_bytes(report.to_message().encode())
    sender.close()
