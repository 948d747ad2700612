"""The checks themselves: from evidence to verdict, without effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tidemill.api.driftmonitor import Check, CheckVerdict, Moved, QualityRule
from tidemill.contract import CheckOutcome
from tidemill.runtime.monitor.comparison import Comparison, distance, missing_share, out_of_range_share
from tidemill.runtime.monitor.evidence import Evidence, plain
from tidemill.runtime.monitor.performance import NotMeasurable, measure
from tidemill.runtime.monitor.thresholds import Threshold
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.train.measures import ERRORS

WORST = 5
FEWEST_VALUES = 30
"""A column with fewer values than this in the window says nothing about drift."""


_IN_WORDS: Final = MappingProxyType(
    {"MissingShare": "missing", "OutOfRangeShare": "out of range", "UnknownCategoryShare": "unknown categories"}
)


def evaluate(check: Check, evidence: Evidence) -> CheckOutcome:
    """What `check` finds; NoData, never Passing, where there is too little to tell."""
    if evidence.samples < evidence.minimum_samples:
        return _no_data(check, f"{evidence.samples} rows were served, {evidence.minimum_samples} are needed")
    return _JUDGES[check.type](check, evidence)


def data_quality(check: Check, evidence: Evidence) -> CheckOutcome:
    """Failing where a share is above its rule's maximum."""
    broken: list[tuple[float, Moved, QualityRule]] = []
    closest: tuple[float, float, float] | None = None
    judged = 0
    for rule in check.rules_:
        for column in evidence.features:
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
        return _no_data(check, f"no rule applies to a feature: {'; '.join(_say_rule(rule) for rule in check.rules_)}")
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
            return current.others / current.present if current.present else 0.0
        case _:
            return None


def _say_rule(rule: QualityRule) -> str:
    return f"{rule.metric} of {rule.column or 'every feature'}"


def feature_drift(check: Check, evidence: Evidence) -> CheckOutcome:
    """Whether so large a share of the features has moved, by weight, that the check's `share` is reached."""
    chosen = [column for column in evidence.features if not check.columns or plain(column.name) in check.columns]
    enough = min(FEWEST_VALUES, evidence.minimum_samples)
    told = [column for column in chosen if column.comparable and column.current.present >= enough]
    silent = [plain(column.name) for column in chosen if column not in told]
    if not told:
        about = "columns " + ", ".join(check.columns[:3]) if check.columns else "features"
        return _no_data(check, f"none of the {about} has {enough} values in this window to compare")
    weights = weights_of(told, evidence)
    moved = {column.name: distance(column, check.method) or 0.0 for column in told}
    limits = Threshold(check.warning, check.failing)
    # Rounded, because ten tenths are not one in binary.
    failing = round(sum(weights[name] for name, value in moved.items() if limits.judge(value) == "Failing"), 9)
    warned = round(sum(weights[name] for name, value in moved.items() if limits.judge(value) != "Passing"), 9)
    verdict: CheckVerdict = "Passing"
    if failing >= check.share and failing > 0:
        verdict = "Failing"
    elif warned >= check.share and warned > 0 and check.warning is not None:
        verdict = "Warning"
    method = _method(check)
    order = sorted(told, key=lambda column: (-moved[column.name], column.name))
    worst = tuple(_moved(column, method, moved[column.name]) for column in order[:WORST])
    message = f"{failing:.0%} of the features, by weight, have moved by {method} {check.failing:g} or more; {check.share:.0%} is the limit"
    if silent:
        message += f"; not compared for want of values: {', '.join(silent[:3])}{' …' if len(silent) > 3 else ''}"
    gaps = [column for column in told if column.statistics["MissingShareShift"] > 0.1]
    if gaps:
        named = ", ".join(f"{plain(column.name)} ({missing_share(column.current):.0%})" for column in gaps[:3])
        message += f"; compared on the values that are there, but many are missing in {named}: look at the data's quality first"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=verdict,
        value=failing,
        threshold=check.share,
        worst=worst,
        message=message,
    )


def weights_of(columns: list[Comparison], evidence: Evidence) -> dict[str, float]:
    """How much each column counts; all together 1.

    Half of a feature's weight is its importance, half is the same for all: permutation importance is shared out
    arbitrarily among features that say the same, so alone it would make the verdict depend on the seed.
    """
    importance = {column.name: max(0.0, evidence.reference.feature(column.name).importance) for column in columns}
    total, even = sum(importance.values()), 1 / len(columns)
    return {name: (value / total + even) / 2 if total else even for name, value in importance.items()}


def prediction_drift(check: Check, evidence: Evidence) -> CheckOutcome:
    """Whether the monitored version answers otherwise than on its hold-out: its predictions, and how sure it is."""
    if not evidence.outputs:
        return _no_data(check, "the version carries no profile of its predictions; train it again")
    if evidence.answered < evidence.minimum_samples:
        return _no_data(check, f"the version answered {evidence.answered} rows, {evidence.minimum_samples} are needed")
    method = _method(check)
    moved = {column.name: value for column in evidence.outputs if (value := distance(column, check.method)) is not None}
    if not moved:
        return _no_data(check, "there are no predictions on one side to compare")
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


def performance(check: Check, evidence: Evidence) -> CheckOutcome:
    """Whether the answers are still right, by the labels that came back."""
    assert check.metric is not None
    if evidence.labelled is None or evidence.labels < evidence.minimum_labels:
        return _no_data(check, f"{evidence.labels} rows have labels, {evidence.minimum_labels} are needed")
    try:
        value = measure(check.metric, evidence.labelled)
    except NotMeasurable as reason:
        return _no_data(check, f"{check.metric} cannot be told: {reason}")
    before = recorded(check.metric, evidence.reference.metrics)
    # Errors count downwards: for them the bound is above and a rise is the regression.
    sign = -1.0 if check.metric in ERRORS else 1.0
    bounds = [] if check.minimum is None else [check.minimum]
    message = f"{check.metric} is {value:.4g} on {evidence.labels} labelled rows"
    if sign < 0 and bounds:
        return _no_data(check, f"{message}; it is an error, for which minimum says nothing; set maximumRegression")
    if check.maximum_regression is not None:
        if before is not None:
            bounds.append(before - sign * check.maximum_regression)
            message += f", it was {before:.4g} on the version's hold-out"
        elif not bounds:
            return _no_data(check, f"{message}, but the version's own hold-out was not measured by it; set minimum")
    threshold = max(bounds)
    return CheckOutcome(
        name=check.name,
        type=check.type,
        # Rounded, because 0.97 - 0.05 is not 0.92 in binary.
        verdict="Failing" if round(sign * (value - threshold), 12) < 0 else "Passing",
        value=value,
        threshold=threshold,
        message=f"{message}; {threshold:.4g} is the {'least' if sign > 0 else 'most'}",
    )


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


_JUDGES: Final[Mapping[str, Callable[[Check, Evidence], CheckOutcome]]] = MappingProxyType(
    {
        "DataQuality": data_quality,
        "FeatureDrift": feature_drift,
        "PredictionDrift": prediction_drift,
        "Performance": performance,
    }
)


def _method(check: Check) -> str:
    return "PSI" if check.method == "Auto" else check.method


def _moved(column: Comparison, method: str, value: float) -> Moved:
    return Moved(column=plain(column.name), method=method, value=round(value, 6))


def _no_data(check: Check, why: str) -> CheckOutcome:
    return CheckOutcome(name=check.name, type=check.type, verdict="NoData", message=why)
