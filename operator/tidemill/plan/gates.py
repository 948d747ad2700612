"""Judge a version by its gates: bounds on the metrics that were measured when it was trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tidemill.api import ModelVersion
from tidemill.api.modelversion import Gate, GateResult, Measured
from tidemill.children import names
from tidemill.contract.metrics import USUAL_METRICS, regression
from tidemill.contract.numbers import quantity


def metric_order(version: ModelVersion) -> tuple[str, ...]:
    """Return the metrics of a version, the one to show first: as asked for, then those of its gates, then the usual ones.

    The order of a map means nothing: the API server sorts its keys.
    """
    asked = version.metadata.annotations.get(names.METRICS, "").split(",")
    gated = (gate.metric for gate in version.spec.gates)
    usual = (metric for metrics in USUAL_METRICS.values() for metric in metrics)
    return tuple(dict.fromkeys(metric for metric in (*asked, *gated, *usual) if metric))


def first_metric(metrics: Iterable[str], order: Sequence[str]) -> str | None:
    """Return the metric to show first, of those that were measured; None if there are none.

    >>> first_metric({"mean_absolute_error": 51.8, "r2": 0.36}, ("r2", "rmse"))
    'r2'
    >>> first_metric({"b": 1.0, "a": 2.0}, ())
    'a'
    """
    measured = set(metrics)
    return next((metric for metric in order if metric in measured), min(measured, default=None))


def score(evaluation: Sequence[Measured], order: Sequence[str]) -> float | None:
    """Return the first metric on the hold-out, rounded to the four digits of a table column."""
    holdout = next((measured.metrics for measured in evaluation if measured.on == "Holdout"), {})
    first = first_metric((name for name, value in holdout.items() if math.isfinite(value)), order)
    return None if first is None else round(holdout[first], 4)


def judge(gates: Sequence[Gate], evaluation: Sequence[Measured]) -> tuple[GateResult, ...]:
    """Return each gate with its verdict; a gate that cannot be judged has the reason in its message."""
    return tuple(_judge(gate, evaluation) for gate in gates)


def _judge(gate: Gate, evaluation: Sequence[Measured]) -> GateResult:
    name = f"{gate.metric}/{gate.on}" + ("/Stable" if gate.against else "")
    measured = next((measured for measured in evaluation if measured.on == gate.on), None)
    if measured is None or measured.rows < max(gate.minimum_rows, 1):
        rows = measured.rows if measured else 0
        if gate.on == "Holdout":
            return GateResult(
                name=name,
                verdict="Failed",
                message=f"{quantity(rows, 'hold-out row')}, {max(gate.minimum_rows, 1)} needed; increase the hold-out, or lower minimumRows",
            )
        return GateResult(
            name=name,
            verdict="NotJudged",
            message=f"{quantity(rows, 'labelled row')}, {max(gate.minimum_rows, 1)} needed",
        )
    value = measured.metrics.get(gate.metric)
    if value is None:
        known = ", ".join(sorted(measured.metrics))
        return GateResult(
            name=name,
            verdict="Failed",
            message=f"metric {gate.metric!r} was not measured; add it to spec.evaluation.metrics of the TrainingJob (measured: {known})",
        )
    if not math.isfinite(value):
        # Compared with a bound, a value that is not a number would pass every one.
        return GateResult(
            name=name,
            verdict="Failed",
            message=f"metric {gate.metric!r} is not defined on these {measured.rows} rows; use another metric, or more rows",
        )
    if gate.minimum is not None and value < gate.minimum:
        return GateResult(
            name=name,
            verdict="Failed",
            value=value,
            reference=gate.minimum,
            message=f"{value:.4f} is below {gate.minimum}",
        )
    if gate.maximum is not None and value > gate.maximum:
        return GateResult(
            name=name,
            verdict="Failed",
            value=value,
            reference=gate.maximum,
            message=f"{value:.4f} is above {gate.maximum}",
        )
    if gate.against is None or gate.maximum_regression is None:
        bound = gate.minimum if gate.minimum is not None else gate.maximum
        return GateResult(
            name=name,
            verdict="Passed",
            value=value,
            reference=bound,
            message=f"{value:.4f} on {quantity(measured.rows, 'row')}",
        )
    reference = measured.stable.get(gate.metric)
    if reference is None:
        return GateResult(name=name, verdict="NotJudged", value=value, message="no version in service to compare with")
    if not math.isfinite(reference):
        return GateResult(
            name=name,
            verdict="Failed",
            value=value,
            message=f"metric {gate.metric!r} of the version in service is not defined on these rows; use another metric, or more rows",
        )
    worse = regression(gate.metric, value, reference)
    verdict = "Passed" if worse <= gate.maximum_regression else "Failed"
    how = f"{abs(worse):.4f} {'worse' if worse > 0 else 'better'} than" if round(abs(worse), 4) else "as good as"
    message = (
        f"{value:.4f}, {how} the version in service ({reference:.4f}) on {quantity(measured.rows, 'row')}; "
        f"a regression of {gate.maximum_regression} is allowed"
    )
    return GateResult(
        name=name,
        verdict="Passed" if verdict == "Passed" else "Failed",
        value=value,
        reference=reference,
        message=message,
    )
