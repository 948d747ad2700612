"""One order carried out: read it, do it, and leave a report that says what came of it, whatever came of it."""

from __future__ import annotations

import logging
import tempfile
import traceback
from pathlib import Path

from pydantic import ValidationError

from tidemill.api.conditions import Reason
from tidemill.contract.orders import (
    CREDENTIALS_PATH,
    ORDER_PATH,
    AnyOrder,
    CheckOrder,
    IngestOrder,
    NotifyOrder,
    TrainOrder,
    run_order,
)
from tidemill.contract.reports import REPORT_PATH, Failure, RunReport
from tidemill.contract.serving import STORE_PATH
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.process.threads import bound_threads

# What each order needs is imported when it is known to be needed: scikit-learn takes longer to import than an ingest run takes.

logger = logging.getLogger(__name__)


def run(
    order_path: str | Path = ORDER_PATH,
    *,
    report_path: str | Path = REPORT_PATH,
    store_path: str | Path = STORE_PATH,
    credentials_path: str | Path = CREDENTIALS_PATH,
) -> int:
    """Carry out the order in `order_path` and write the report to `report_path`; 0 means that it succeeded."""
    bound_threads()
    report = _report(Path(order_path), Path(store_path), Path(credentials_path))
    Path(report_path).write_text(report.to_message())
    if report.failure:
        logger.error("%s: %s", report.failure.reason, report.failure.message)
        return 1
    return 0


def _report(order_path: Path, store_path: Path, credentials_path: Path) -> RunReport:
    try:
        order = run_order.validate_json(order_path.read_bytes())
    except OSError as error:
        return _failed(Reason.INTERNAL_ERROR, f"cannot read the order at {order_path}: {error}", retryable=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _failed(
            Reason.INVALID_SPEC,
            f"the order does not say what to do: {where}: {first['msg']}; operator and image may be of different releases",
        )
    return report_on(order, store_path, credentials_path)


def report_on(order: AnyOrder, store_path: Path, credentials_path: Path = Path(CREDENTIALS_PATH)) -> RunReport:
    """Do what `order` says and tell what came of it; never an exception."""
    try:
        return carry_out(order, store_path, credentials_path)
    except RunFailed as error:
        return RunReport(failure=error.to_failure())
    except MemoryError:
        return _failed(
            Reason.OUT_OF_MEMORY, "the run needs more memory than there is; raise spec.resources.limits.memory"
        )
    except Exception as error:  # the last line of defence: whatever happens, the operator is told
        logger.exception("the run failed in a way that was not foreseen")
        frame = traceback.extract_tb(error.__traceback__)[-1]
        error_text = traceback.format_exception_only(error)[-1].strip()
        return _failed(
            Reason.INTERNAL_ERROR,
            f"{error_text} ({Path(frame.filename).name}, line {frame.lineno}); this is a fault of Tidemill, please report it",
            retryable=True,
        )


def carry_out(order: AnyOrder, store_path: Path, credentials_path: Path = Path(CREDENTIALS_PATH)) -> RunReport:
    """Do what `order` says, with the store whose Secret is mounted at `store_path`; raises RunFailed."""
    if isinstance(order, NotifyOrder):
        # The only order that needs no store.
        from tidemill.runtime.notify import notify

        return RunReport(notified=notify(order, credentials_path))
    from tidemill.runtime.store.objects import ObjectStore

    store = ObjectStore.from_files(store_path, namespace=order.namespace)
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        scratch = Path(folder)
        match order:
            case IngestOrder():
                from tidemill.runtime.ingest.job import ingest

                ingested, warnings = ingest(order, store, scratch, credentials=credentials_path)
                return RunReport(ingested=ingested, warnings=warnings)
            case TrainOrder():
                from tidemill.runtime.train.job import train

                trained, warnings = train(order, store, scratch)
                return RunReport(trained=trained, warnings=warnings)
            case CheckOrder():
                from tidemill.runtime.monitor import job

                return job.run(order, store)


def _failed(reason: Reason, message: str, *, retryable: bool = False) -> RunReport:
    return RunReport(failure=Failure(reason=reason, message=message, retryable=retryable))
