"""Checks of answers: performance, estimated performance, concept drift, fairness and timeliness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import numpy as np

from tidemill.api.checks import Check, Moved
from tidemill.api.durations import delta
from tidemill.api.methods import CheckVerdict
from tidemill.contract.layout import LogColumn
from tidemill.contract.numbers import quantity
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.monitor.evidence.evidence import Evidence, ReferenceData
from tidemill.runtime.monitor.performance import concept, estimated, fairness, multiclass, probabilities
from tidemill.runtime.monitor.performance.confidence import interval, z_of
from tidemill.runtime.monitor.performance.measured import (
    OF_SCORES,
    Classified,
    NotMeasurable,
    classified,
    describe_unknown,
    measure,
)
from tidemill.runtime.monitor.statistics.space import Space
from tidemill.runtime.profile.grid import Floats
from tidemill.runtime.scoring.intervals import ConfidenceInterval, Estimate
from tidemill.runtime.scoring.scorers import ERRORS
from tidemill.runtime.scoring.verdicts import no_data


def performance(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge a metric of the answers by the labels that came back; of slices, the worst one is judged too."""
    assert check.metric is not None
    if evidence.labels.answers is None or evidence.labels.count < evidence.minimum_labels:
        return no_data(
            check,
            f"{quantity(evidence.labels.count, 'row has a label', 'rows have labels')}, {evidence.minimum_labels} are needed",
        )
    rows = evidence.labels.answers.rows
    try:
        value = measure(check.metric, rows)
        between = interval(check.metric, rows, confidence=check.confidence)
    except NotMeasurable as reason:
        return no_data(check, f"{check.metric} cannot be measured: {reason}")
    threshold, message = _bound(
        check,
        evidence.reference,
        f"{check.metric} is {value:.4g}{_range(between)} on {quantity(evidence.labels.count, 'labelled row')}",
    )
    if threshold is None:
        return no_data(check, message)
    sign = sign_of(check.metric)
    scored = ERRORS.get(check.metric, check.metric) in OF_SCORES
    message += _unknown_labels(evidence, "left out" if scored else "counted as wrong")
    verdict = judged(sign, value, between, threshold)
    slices = _slices(check, evidence)
    beyond_bound = [
        (name, own, between_slice)
        for name, own, between_slice in slices
        if _surely_beyond(sign, between_slice, threshold)
    ]
    if beyond_bound:
        name, own, between_slice = beyond_bound[0]
        message += f"; in {len(beyond_bound)} of {len(slices)} slices the whole interval is beyond the bound, worst {own:.4g}{_range(between_slice)} where {name}"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict="Failing" if beyond_bound else verdict,
        value=value,
        threshold=threshold,
        lower=None if between is None else between.low,
        upper=None if between is None else between.high,
        worst=tuple(Moved(column=name, method=check.metric, value=round(own, 6)) for name, own, _ in slices[:5]),
        message=f"{message}; {threshold:.4g} is the {'minimum' if sign > 0 else 'maximum'}",
    )


def _slices(check: Check, evidence: Evidence) -> list[tuple[str, float, ConfidenceInterval | None]]:
    """Slices with enough labels, the worst first."""
    assert check.metric is not None and evidence.labels.answers is not None
    slices = []
    for column in check.slices:
        groups = np.array([group or "" for group in evidence.labels.answers.columns.get(column, ())], dtype=object)
        for group in sorted(set(groups.tolist()) - {""}):
            chosen = np.flatnonzero(groups == group)
            if len(chosen) < evidence.minimum_labels:
                continue
            rows = evidence.labels.answers.rows.take(chosen)
            try:
                slices.append(
                    (
                        f"{column} = {group}",
                        measure(check.metric, rows),
                        interval(check.metric, rows, confidence=check.confidence),
                    )
                )
            except (NotMeasurable, ValueError):
                continue
    sign = sign_of(check.metric)
    return sorted(slices, key=lambda result: (sign * result[1], result[0]))


def _surely_beyond(sign: float, between: ConfidenceInterval | None, threshold: float) -> bool:
    """Return whether even the better end of the interval is beyond: slices are many and small, and one is always worst."""
    return between is not None and (between.high < threshold if sign > 0 else between.low > threshold)


def estimated_performance(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge the estimate of a metric, before any label has come back."""
    assert check.metric is not None
    sample, reference = evidence.answers.sample, evidence.reference
    if reference.answers is None:
        return no_data(check, "the version carries no answers to calibrate by; train it again")
    if sample is None or evidence.answers.rows < evidence.minimum_samples:
        return no_data(
            check,
            f"the version answered {quantity(evidence.answers.rows, 'row')}, {evidence.minimum_samples} are needed",
        )
    try:
        estimate = _estimated(check.metric, reference, sample, check.confidence)
    except NotMeasurable as reason:
        return no_data(check, f"{check.metric} cannot be estimated: {reason}")
    between = ConfidenceInterval(estimate.low, estimate.high)
    message = f"{check.metric} is probably {estimate.value:.4g}{_range(between)}, by the answers' own confidence on {quantity(evidence.answers.rows, 'row')}"
    sign = sign_of(check.metric)
    threshold = None
    if check.minimum is not None or check.maximum_regression is not None:
        threshold, message = _bound(check, reference, message)
        if threshold is None:
            return no_data(check, message)
        message += f"; {threshold:.4g} is the {'minimum' if sign > 0 else 'maximum'}"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict="Passing" if threshold is None else judged(sign, estimate.value, between, threshold),
        value=estimate.value,
        threshold=threshold,
        lower=estimate.low,
        upper=estimate.high,
        message=message,
    )


def _estimated(metric: str, reference: ReferenceData, sample: Any, confidence: float | None) -> Estimate:
    held_out = reference.answers
    assert held_out is not None
    if reference.signature.task == "Regression":
        names = [name for name in held_out.column_names if name.startswith(LogColumn.FEATURE)]
        space = Space.of(held_out, names)
        before = numbers(held_out, LogColumn.PREDICTION)
        errors = numbers(held_out, LogColumn.LABEL) - before
        now = numbers(sample, LogColumn.PREDICTION)
        answered = np.isfinite(now)
        if not answered.any():
            raise NotMeasurable("no answer is a number")
        sample, now = sample.filter(answered), now[answered]
        return estimated.estimate_error(
            metric,
            np.column_stack((space.points(held_out), before)),
            errors,
            np.column_stack((space.points(sample), now)),
            confidence=confidence,
        )
    if LogColumn.SCORE not in sample.column_names or np.isnan(numbers(sample, LogColumn.SCORE)).all():
        raise NotMeasurable("the model gives no probabilities")
    known = classified(
        reference.signature.classes,
        held_out.column(LogColumn.LABEL).to_pylist(),
        held_out.column(LogColumn.PREDICTION).to_pylist(),
        numbers(held_out, LogColumn.SCORE) if LogColumn.SCORE in held_out.column_names else None,
    )
    answers = sample.column(LogColumn.PREDICTION).to_pylist()
    window = classified(reference.signature.classes, answers, answers)
    classes = len(reference.signature.classes)
    if classes > 2 and metric != "accuracy":
        known = replace(known, probabilities=probabilities.of_classes(held_out, classes))
        every = probabilities.of_classes(sample, classes)
        return multiclass.estimate(metric, known, window.answers, every, confidence=confidence)
    return estimated.estimate(metric, known, window.answers, numbers(sample, LogColumn.SCORE), confidence=confidence)


def numbers(table: Any, name: str) -> Floats:
    """A column as floats, NaN for missing."""
    return np.asarray(table.column(name).to_numpy(), np.float64)


def concept_drift(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether answers became wrong more often at some time, by the errors of labelled rows in the order of time."""
    if evidence.labels.answers is None or evidence.labels.count < evidence.minimum_labels:
        return no_data(
            check,
            f"{quantity(evidence.labels.count, 'row has a label', 'rows have labels')}, {evidence.minimum_labels} are needed",
        )
    rows = evidence.labels.answers.rows
    if isinstance(rows, Classified):
        errors = (rows.labels != rows.answers).astype(np.float64)
        accuracy = recorded("accuracy", evidence.reference.metrics)
        usual = None if accuracy is None else 1 - accuracy
    else:
        errors = np.abs(rows.labels - rows.answers)
        usual = recorded("mean_absolute_error", evidence.reference.metrics)
    detector: Literal["ADWIN", "PageHinkley"] = "PageHinkley" if check.method == "PageHinkley" else "ADWIN"
    change = concept.errors_rose(errors, detector, usual=usual, confidence=check.confidence)
    if change is None:
        message = f"{detector} sees no rise in the errors of {evidence.labels.count} labelled rows"
        return CheckOutcome(name=check.name, type=check.type, verdict="Passing", value=0.0, message=message)
    where = (
        "all through the window, against the version's hold-out"
        if change.at == 0
        else f"noticed at row {change.at + 1:,} of {len(errors):,}"
    )
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict="Failing",
        value=change.after - change.before,
        message=f"the mean error rose from {change.before:.4g} to {change.after:.4g}, {where}",
    )


def fairness_of(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether the groups of a column are treated alike."""
    assert check.metric is not None and check.column is not None
    signature = evidence.reference.signature
    if signature.task != "Classification":
        return no_data(check, f"{check.metric} is a metric of classification")
    favorable = check.favorable or str(signature.classes[-1])
    if favorable not in {str(label) for label in signature.classes}:
        return no_data(check, f"the model never answers {favorable!r}; set favorable to one of its classes")
    if check.column not in {column.name for column in (*signature.features, *signature.protected)}:
        return no_data(
            check,
            f"the log holds no column {check.column!r}: it is neither a feature of the version nor a protected column of its Dataset; set column to one of these",
        )
    lacking, of = _lacking(check, evidence)
    if of and lacking == of:
        return no_data(
            check,
            f"none of {of:,} rows has a value of {check.column}; send it with the features, and do not redact it",
        )
    try:
        if check.metric in fairness.NEEDS_LABELS:
            groups = _labelled_groups(check, evidence, favorable)
        else:
            groups = fairness.counted(evidence.answers.groups.get(check.column, {}), favorable)
        difference = fairness.unfairness(check.metric, groups)
    except ValueError as reason:
        return no_data(check, f"{check.metric} cannot be measured: {reason}")
    at_least = check.maximum is None
    threshold = check.minimum if check.maximum is None else check.maximum
    assert threshold is not None
    between = fairness.interval(check.metric, difference, z_of(check.confidence))
    # Failing needs the whole interval beyond the bound, as for any metric.
    verdict = judged(1.0 if at_least else -1.0, difference.value, between, threshold)
    without = (
        f"; {lacking:,} of {of:,} rows {'has no value of it and is' if lacking == 1 else 'have no value of it and are'} left out"
        if lacking
        else ""
    )
    if check.metric in fairness.NEEDS_LABELS:
        without += _unknown_labels(evidence, "left out")
    # Of two groups neither is below 0 apart, and the lower rate is at most the higher one.
    low, high = max(0.0, between.low), min(1.0, between.high)
    pair = (difference.lowest, difference.highest)
    rates = ", ".join(f"{name} {rate.value:.1%} of {rate.rows:,}" for name, rate in pair)
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=verdict,
        value=difference.value,
        threshold=threshold,
        lower=low,
        upper=high,
        worst=tuple(
            Moved(column=f"{check.column} = {name}", method=difference.rate, value=round(rate.value, 6))
            for name, rate in pair
        ),
        message=(
            f"{check.metric} by {check.column} is {difference.value:.3g} ({low:.3g} to {high:.3g}), by the "
            f"{fairness.IN_WORDS[difference.rate]} of {favorable!r}: {rates}{without}; "
            f"{threshold:g} is the {'minimum' if at_least else 'maximum'}"
        ),
    )


def _lacking(check: Check, evidence: Evidence) -> tuple[int, int]:
    """Return how many rows have no value of the check's column, and of how many."""
    assert check.metric is not None and check.column is not None
    if check.metric not in fairness.NEEDS_LABELS:
        return evidence.answers.ungrouped.get(check.column, 0), evidence.answers.rows
    groups = () if evidence.labels.answers is None else evidence.labels.answers.columns.get(check.column)
    rows = evidence.labels.count
    return (rows, rows) if groups is None else (groups.count(None), rows)


def _labelled_groups(check: Check, evidence: Evidence, favorable: str) -> list[fairness.Group]:
    assert check.column is not None
    if evidence.labels.answers is None or evidence.labels.count < evidence.minimum_labels:
        raise ValueError(
            f"{quantity(evidence.labels.count, 'row has a label', 'rows have labels')}, {evidence.minimum_labels} are needed"
        )
    rows = evidence.labels.answers.rows
    assert isinstance(rows, Classified)
    names = np.array(rows.classes, dtype=object)
    groups = evidence.labels.answers.columns.get(check.column, (None,) * len(rows.labels))
    known = rows.labels < rows.known_classes
    return fairness.groups_of(groups, names[rows.answers], names[rows.labels], favorable, known)


def _unknown_labels(evidence: Evidence, treated: str) -> str:
    """The labels that are no class of the model, as the end of a message; empty where there are none."""
    rows = None if evidence.labels.answers is None else evidence.labels.answers.rows
    if not isinstance(rows, Classified) or not (unknown := rows.unknown_labels):
        return ""
    return f"; {describe_unknown(unknown, len(rows.labels))}, {treated}"


def timeliness(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether rows, or their labels, still arrive."""
    assert check.maximum_lag is not None
    limit = delta(check.maximum_lag)
    rows = check.subject == "Predictions"
    newest = evidence.coverage.newest if rows else evidence.labels.newest
    what = "row served" if rows else "row with a label"
    if newest is None:
        if not rows and evidence.coverage.rows == 0:
            return no_data(check, "no rows were served that labels could have come for")
        message = f"there is no {what} in the window; the newest may be {_say(limit)} old"
        return CheckOutcome(
            name=check.name, type=check.type, verdict="Failing", threshold=limit.total_seconds(), message=message
        )
    lag = max(timedelta(0), evidence.end - newest)
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict="Failing" if lag > limit else "Passing",
        value=lag.total_seconds(),
        threshold=limit.total_seconds(),
        message=f"the newest {what} is {_say(lag)} old; {_say(limit)} is the maximum",
    )


def _say(span: timedelta) -> str:
    """A span of time in its two largest units.

    >>> _say(timedelta(hours=49, minutes=3)), _say(timedelta(seconds=95)), _say(timedelta())
    ('2 d 1 h', '1 min 35 s', '0 s')
    """
    left, parts = int(span.total_seconds()), []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"


def sign_of(metric: str) -> float:
    """Errors count downwards: for them the bound is above and a rise is the regression."""
    return -1.0 if metric in ERRORS else 1.0


def beyond(sign: float, value: float, threshold: float) -> bool:
    """Return whether `value` is worse than `threshold`; rounded, because 0.97 - 0.05 is not 0.92 in binary."""
    return round(sign * (value - threshold), 12) < 0


def judged(sign: float, value: float, between: ConfidenceInterval | None, threshold: float) -> CheckVerdict:
    """Return Failing where the whole interval is beyond the threshold, Warning where only the value is, or it has none."""
    if not beyond(sign, value, threshold):
        return "Passing"
    if between is None:
        return "Warning"
    return "Failing" if beyond(sign, between.high if sign > 0 else between.low, threshold) else "Warning"


def _bound(check: Check, reference: ReferenceData, message: str) -> tuple[float | None, str]:
    """Return the bound of a metric, and the message so far; None with the reason where it has none."""
    assert check.metric is not None
    before = recorded(check.metric, reference.metrics)
    sign = sign_of(check.metric)
    bounds = [] if check.minimum is None else [check.minimum]
    if sign < 0 and bounds:
        return None, f"{message}; minimum has no meaning for an error; set maximumRegression"
    if check.maximum_regression is not None:
        if before is not None:
            bounds.append(before - sign * check.maximum_regression)
            message += f", it was {before:.4g} on the version's hold-out"
        elif not bounds:
            return None, f"{message}, but the version's own hold-out was not measured by it; set minimum"
    return max(bounds), message


def _range(between: ConfidenceInterval | None) -> str:
    return "" if between is None else f" ({between.low:.4g} to {between.high:.4g})"


def recorded(metric: str, metrics: Mapping[str, float]) -> float | None:
    """A metric of the version's own evaluation, also where that has the same thing as an error or as a scorer.

    >>> recorded("neg_log_loss", {"log_loss": 0.2}), recorded("rmse", {"neg_root_mean_squared_error": -3.0}), recorded("f1", {})
    (-0.2, 3.0, None)
    """
    if metric in metrics:
        return metrics[metric]
    scorer = ERRORS.get(metric)
    if scorer is not None and scorer in metrics:
        return -metrics[scorer]
    return next((-metrics[error] for error, name in ERRORS.items() if name == metric and error in metrics), None)
