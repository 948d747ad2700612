"""A check run: read the reference and the window, judge, and publish the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tidemill.contract.layout import check_folder, window_name
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import Checked, CheckOutcome, RunReport
from tidemill.runtime.monitor import history
from tidemill.runtime.monitor.checks import external
from tidemill.runtime.monitor.checks.judges import BY_SIGNALS, evaluate
from tidemill.runtime.monitor.evidence import reference as version
from tidemill.runtime.monitor.evidence.collect import gather
from tidemill.runtime.monitor.evidence.evidence import Evidence
from tidemill.runtime.monitor.report import report
from tidemill.runtime.scoring.verdicts import worst
from tidemill.runtime.store.objects import ObjectStore


def run(order: CheckOrder, store: ObjectStore) -> RunReport:
    """Compare the order's window with its version, publish result and report, and return the outcome.

    Raises RunFailed where the store does not answer or the version's files are not what its digest says.
    """
    reference, reference_warnings = version.of_order(order, store)
    evidence, warnings = gather(order, reference, store)
    warnings = (*reference_warnings, *warnings)
    outcomes = tuple(
        external.judge(check, order, store) if check.type in BY_SIGNALS else evaluate(check, evidence)
        for check in order.checks
    )
    verdict = worst(outcome.verdict for outcome in outcomes)
    home = check_folder(order.namespace, order.monitor)
    folder = f"{home}/{window_name(order.end)}"
    result = to_json(order, evidence, outcomes, warnings)
    store.put(f"{folder}/result.json", result)
    past = history.read(store, home)
    page = report.of_check(order, evidence, outcomes, verdict, warnings, past.before(order.end)).encode()
    store.put(f"{folder}/report.html", page)
    known = past.with_run(order, outcomes, len(result) + len(page))
    history.write(store, home, known, history.ReportBounds.of(order))
    checked = Checked(
        samples=evidence.coverage.rows,
        labelled=evidence.labels.count if evidence.labels.counted else None,
        unknown_labels=evidence.labels.unknown if evidence.labels.counted else None,
        verdict=verdict,
        checks=outcomes,
        report_uri=store.uri_of(f"{folder}/report.html"),
    )
    return RunReport(checked=checked, warnings=warnings)


def to_json(
    order: CheckOrder, evidence: Evidence, outcomes: tuple[CheckOutcome, ...], warnings: tuple[str, ...]
) -> bytes:
    """Return all results, for programs."""
    verdict = worst(outcome.verdict for outcome in outcomes)
    scored = report.health_of(order, evidence, outcomes, verdict)
    return orjson.dumps(
        {
            "format": "tidemill.dev/check/v1",
            "order": order.to_wire(),
            "samples": evidence.coverage.rows,
            "answered": evidence.answers.rows,
            "labelled": evidence.labels.count if evidence.labels.counted else None,
            "unknownLabels": evidence.labels.unknown if evidence.labels.counted else None,
            "verdict": verdict,
            "checks": [outcome.to_wire() for outcome in outcomes],
            "columns": _statistics_of(evidence),
            "health": scored.to_wire() if scored else None,
            "warnings": warnings,
        },
        option=orjson.OPT_INDENT_2,
    )


def _statistics_of(evidence: Evidence) -> list[Mapping[str, Any]]:
    return [
        {
            "name": column.name,
            "rows": column.current.rows,
            "present": column.current.present,
            "statistics": dict(column.statistics),
        }
        for column in (*evidence.inputs.columns, *evidence.answers.columns)
    ]
