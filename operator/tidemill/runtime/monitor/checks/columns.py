"""Checks of single columns: data quality, feature drift and prediction drift, from evidence to verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from tidemill.api.checks import Check, Moved, QualityRule
from tidemill.api.methods import ADVERSE_VERDICTS, CheckVerdict
from tidemill.contract.numbers import quantity
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.monitor.evidence.evidence import Evidence, plain
from tidemill.runtime.monitor.statistics.comparison import (
    Comparison,
    distance,
    missing_share,
    out_of_range_share,
    unknown_share,
)
from tidemill.runtime.monitor.statistics.completeness import completeness
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.scoring.verdicts import Threshold, no_data

WORST = 5
MIN_VALUES = 30
"""A column with fewer values than this in the window is not compared."""


_IN_WORDS: Final = MappingProxyType(
    {
        "MissingShare": "missing",
        "OutOfRangeShare": "out of range",
        "UnknownCategoryShare": "unknown categories",
        "InfiniteShare": "infinite",
        "DuplicateRequestShare": "logged more than once",
        "SchemaMatch": "of the columns missing or of another type",
    }
)


def data_quality(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge shares of the columns against the maximum of their rules."""
    broken: list[tuple[float, Moved, QualityRule]] = []
    closest: tuple[float, float, float] | None = None
    judged = 0
    for rule in check.rules_:
        if rule.metric in _OF_WINDOWS:
            of_window, named = _OF_WINDOWS[rule.metric](evidence)
            judged += 1
            margin = of_window - rule.maximum
            if closest is None or margin > closest[0]:
                closest = (margin, of_window, rule.maximum)
            if margin > 0:
                broken.append((margin, Moved(column=named, method=rule.metric, value=round(of_window, 6)), rule))
            continue
        for column in evidence.inputs.columns:
            share = _quality(rule, column)
            if share is None:
                continue
            judged += 1
            margin = share - rule.maximum
            if closest is None or margin > closest[0]:
                closest = (margin, share, rule.maximum)
            if margin > 0:
                broken.append((margin, _moved(column, rule.metric, share), rule))
    if closest is None:
        return no_data(check, f"no rule applies to a feature: {'; '.join(_say_rule(rule) for rule in check.rules_)}")
    broken.sort(key=lambda entry: (-entry[0], entry[1].column))
    message = f"all {judged} bounds hold"
    if broken:
        first = [
            f"{moved.column}: {moved.value:.1%} {_IN_WORDS[rule.metric]}, at most {rule.maximum:.1%} allowed"
            for _, moved, rule in broken[:3]
        ]
        message = "; ".join(first) + (f"; and {len(broken) - 3} more" if len(broken) > 3 else "")
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict="Failing" if broken else "Passing",
        value=closest[1],
        threshold=closest[2],
        worst=tuple(moved for _, moved, _ in broken[:WORST]),
        message=message,
    )


def _quality(rule: QualityRule, column: Comparison) -> float | None:
    """The share that a rule bounds, or None where the rule is not about this column."""
    if rule.column is not None and rule.column != plain(column.name):
        return None
    current = column.current
    match rule.metric:
        case "MissingShare":
            return missing_share(current)
        case "OutOfRangeShare" if isinstance(current, NumericalProfile):
            assert isinstance(column.reference, NumericalProfile)
            return out_of_range_share(column.reference, current)
        case "UnknownCategoryShare" if isinstance(current, CategoricalProfile):
            assert isinstance(column.reference, CategoricalProfile)
            return unknown_share(column.reference, current)
        case "InfiniteShare" if isinstance(current, NumericalProfile):
            return current.infinities / current.rows if current.rows else 0.0
        case _:
            return None


def _mismatched(evidence: Evidence) -> tuple[float, str]:
    """Share of features that most rows lack or hold as another type, and their names."""
    names = evidence.inputs.mismatched
    width = max(1, len(evidence.reference.signature.features))
    return len(names) / width, ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


_OF_WINDOWS: Final[Mapping[str, Callable[[Evidence], tuple[float, str]]]] = MappingProxyType(
    {
        "SchemaMatch": _mismatched,
        "DuplicateRequestShare": lambda evidence: (evidence.inputs.duplicate_share, "requests"),
    }
)


def _say_rule(rule: QualityRule) -> str:
    return f"{rule.metric} of {rule.column or 'every feature'}"


def feature_drift(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether the share of the features that moved, by weight, reaches the check's `share`.

    A feature that lost its values, its type or itself is at least a Warning. It is never Failing here: it asks for a repair
    of the data, not for a model that is trained on what is left of it.
    """
    chosen = [column for column in evidence.inputs.columns if not check.columns or plain(column.name) in check.columns]
    enough = min(MIN_VALUES, evidence.minimum_samples)
    compared = [
        column
        for column in chosen
        if column.comparable and column.current.present >= enough and distance(column, check.method) is not None
    ]
    reasons = {column.name: reason for column in chosen if (reason := _reason_lost(column, evidence))}
    torn = sorted(
        (column for column in chosen if column.name in reasons), key=lambda column: -missing_share(column.current)
    )
    lost = {plain(column.name): reasons[column.name] for column in torn}
    if not compared:
        about = "columns " + ", ".join(check.columns[:3]) if check.columns else "features"
        message = f"none of the {about} has {enough} values in this window to compare"
        if not lost:
            return no_data(check, message)
        message += f"; {_say_lost(lost)}"
        return CheckOutcome(
            name=check.name,
            type=check.type,
            verdict="Warning",
            threshold=check.share,
            worst=_lost(torn[:WORST]),
            message=message,
        )
    weights = weights_of(compared, evidence, check.weighting)
    distances = {column.name: distance(column, check.method) or 0.0 for column in compared}
    limits = Threshold(check.warning, check.failing)
    # Rounded, because ten tenths are not one in binary.
    failing = round(sum(weights[name] for name, value in distances.items() if limits.judge(value) == "Failing"), 9)
    warned = round(sum(weights[name] for name, value in distances.items() if limits.judge(value) != "Passing"), 9)
    verdict: CheckVerdict = "Passing"
    if failing >= check.share and failing > 0:
        verdict = "Failing"
    elif lost or (warned >= check.share and warned > 0 and check.warning is not None):
        verdict = "Warning"
    method = _method(check)
    order = sorted(compared, key=lambda column: (-distances[column.name], column.name))
    farthest = tuple(_moved(column, method, distances[column.name]) for column in order)
    message = f"{failing:.0%} of the features, by weight, have moved by {method} {check.failing:g} or more; {check.share:.0%} is the limit"
    if check.warning is not None and warned >= check.share and verdict == "Warning":
        message += f"; {warned:.0%} have moved by {check.warning:g} or more, which is worth a warning"
    if lost:
        message += f"; {_say_lost(lost)}"
    silent = [name for column in chosen if column not in compared and (name := plain(column.name)) not in lost]
    if silent:
        message += f"; too few values to compare: {', '.join(silent[:3])}{' …' if len(silent) > 3 else ''}"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=verdict,
        value=failing,
        threshold=check.share,
        worst=(*(_lost(torn) if verdict == "Warning" else ()), *farthest)[:WORST],
        message=message,
    )


def _reason_lost(column: Comparison, evidence: Evidence) -> str:
    """Return what a column lost: values, its type or itself; empty where nothing."""
    gone = plain(column.name) in evidence.inputs.mismatched and column.current.missing == column.current.rows
    kept = completeness(column.reference, None if gone else column.current)
    return kept.reason if kept.verdict in ADVERSE_VERDICTS else ""


def _say_lost(lost: Mapping[str, str]) -> str:
    named = ", ".join(f"{name} {reason}" for name, reason in list(lost.items())[:3])
    return f"not as complete as the reference: {named}{' …' if len(lost) > 3 else ''}; check the data's quality first"


def _lost(columns: Iterable[Comparison]) -> tuple[Moved, ...]:
    """The columns that lost values, with the share of rows that now have none."""
    return tuple(_moved(column, "MissingShare", missing_share(column.current)) for column in columns)


def weights_of(
    columns: list[Comparison], evidence: Evidence, weighting: Literal["Importance", "Equal"] = "Importance"
) -> dict[str, float]:
    """Return the weight of each column; all together 1.

    Half of a feature's weight is its importance, half is the same for all: permutation importance is shared out
    arbitrarily among features that say the same, so alone it would make the verdict depend on the seed.
    """
    if weighting == "Equal":
        return dict.fromkeys((column.name for column in columns), 1 / len(columns))
    importance = {column.name: max(0.0, evidence.reference.feature(column.name).importance) for column in columns}
    total, even = sum(importance.values()), 1 / len(columns)
    return {name: (value / total + even) / 2 if total else even for name, value in importance.items()}


def prediction_drift(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether predictions and their probabilities have moved from those on the version's hold-out."""
    if not evidence.answers.columns:
        return no_data(check, "the version carries no profile of its predictions; train it again")
    if evidence.answers.rows < evidence.minimum_samples:
        return no_data(
            check,
            f"the version answered {quantity(evidence.answers.rows, 'row')}, {evidence.minimum_samples} are needed",
        )
    method = _method(check)
    moved = {
        column.name: value
        for column in evidence.answers.columns
        if (value := distance(column, check.method)) is not None
    }
    if not moved:
        return no_data(check, "there are no predictions on one side to compare")
    name = max(moved, key=lambda name: moved[name])
    value = moved[name]
    what = {"prediction": "predictions", "score": "probabilities"}[name]
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=Threshold(check.warning, check.failing).judge(value),
        value=value,
        threshold=check.failing,
        worst=tuple(
            Moved(column=column, method=method, value=moved[column])
            for column in sorted(moved, key=lambda n: -moved[n])
        ),
        message=f"{what} have moved by {method} {value:.3g}; {check.failing:g} is the limit",
    )


def _method(check: Check) -> str:
    return "PSI" if check.method == "Auto" else check.method


def _moved(column: Comparison, method: str, value: float) -> Moved:
    return Moved(column=plain(column.name), method=method, value=round(value, 6))
