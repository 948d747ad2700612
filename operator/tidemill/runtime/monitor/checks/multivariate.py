"""Checks of several features at once, which find what no single column shows."""

from __future__ import annotations

from typing import Final

from tidemill.api.checks import Check, Moved
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.monitor.evidence.evidence import Evidence, Joint, plain
from tidemill.runtime.monitor.performance.confidence import z_of
from tidemill.runtime.monitor.statistics import classifier, outliers
from tidemill.runtime.scoring.verdicts import Threshold, finite, no_data

LEVEL: Final = 0.01
"""A distance with a p-value above this counts as 0."""
_Z: Final = 2.575829
NO_SAMPLE: Final = "the version carries no rows to compare with; train it again"


def multivariate_drift(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether the joint distribution has moved: by MMD, or by the reconstruction error of principal components."""
    joint = evidence.inputs.joints.get(check.name)
    if joint is None:
        return no_data(check, NO_SAMPLE)
    if check.method == "PCA":
        return _reconstruction(check, joint)
    discrepancy = joint.discrepancy
    if discrepancy is None:
        return no_data(check, "fewer than two rows on one side")
    value = discrepancy.value if discrepancy.p_value <= LEVEL else 0.0
    message = f"the joint distribution has moved by MMD {discrepancy.value:.3g} (p {_say(discrepancy.p_value)}); {check.failing:g} is the limit"
    if value == 0.0:
        message = f"the joint distribution has moved no more than by chance (MMD {discrepancy.value:.3g}, p {_say(discrepancy.p_value)})"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=Threshold(check.warning, check.failing).judge(value),
        value=value,
        threshold=check.failing,
        message=message,
    )


def _reconstruction(check: Check, joint: Joint) -> CheckOutcome:
    shift = joint.reconstruction
    if shift is None:
        return no_data(check, "there are too few rows for principal components")
    value = abs(shift.value) if abs(shift.z) >= _Z else 0.0
    direction = "worse" if shift.value > 0 else "better"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=Threshold(check.warning, check.failing).judge(value),
        value=finite(value),
        threshold=check.failing,
        message=f"the principal components of the reference reconstruct the rows {direction} than its own: the error has moved by {shift.value:+.3g} standard deviations; {check.failing:g} is the limit",
    )


def domain_classifier(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether a classifier separates the window's rows from the reference's."""
    joint = evidence.inputs.joints.get(check.name)
    if joint is None or joint.space is None or joint.reference is None or joint.window is None:
        return no_data(check, NO_SAMPLE)
    try:
        result = classifier.two_sample_test(joint.reference, joint.window, z=z_of(check.confidence))
    except ValueError as reason:
        return no_data(check, str(reason))
    # Where 0.5 lies within the interval, nothing was separated; failing needs all of it beyond the bound.
    verdict = Threshold(check.warning, check.failing).judge(result.auc) if result.low > 0.5 else "Passing"
    assert check.failing is not None
    if verdict == "Failing" and result.low < check.failing:
        verdict = "Warning"
    column_of = [axis.name for axis in joint.space.axes for _ in range(axis.width)]
    by_column: dict[str, float] = {}
    for index, loss in result.importances:
        by_column[plain(column_of[index])] = max(loss, by_column.get(plain(column_of[index]), 0.0))
    worst = tuple(Moved(column=name, method="AUCLoss", value=round(loss, 6)) for name, loss in by_column.items())
    by = f", mostly by {', '.join(list(by_column)[:3])}" if by_column and verdict != "Passing" else ""
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=verdict,
        value=result.auc,
        threshold=check.failing,
        lower=result.low,
        upper=result.high,
        worst=worst,
        message=f"a classifier separates the rows of the window from the reference's with ROC-AUC {result.auc:.3f} ({result.low:.3f} to {result.high:.3f}){by}; {check.failing:g} is the limit",
    )


def outlier_share(check: Check, evidence: Evidence) -> CheckOutcome:
    """Judge whether too many rows are unlike any of the reference's."""
    joint = evidence.inputs.joints.get(check.name)
    if joint is None or joint.space is None or joint.reference is None or joint.window is None:
        return no_data(check, NO_SAMPLE)
    try:
        model = outliers.OutlierModel.of(joint.reference)
    except ValueError as reason:
        return no_data(check, str(reason))
    assert check.maximum is not None
    rows = len(joint.window)
    count = model.outliers(joint.window)
    share = count / rows
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict="Failing" if share > check.maximum else "Passing",
        value=share,
        threshold=check.maximum,
        message=f"{share:.1%} of {rows:,} rows lie beyond all but {outliers.EXPECTED:.0%} of the reference's; at most {check.maximum:.1%} are allowed",
    )


def _say(p_value: float) -> str:
    return "below 0.001" if p_value < 0.001 else f"{p_value:.3f}"
