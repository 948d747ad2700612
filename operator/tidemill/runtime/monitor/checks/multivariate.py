"""Checks of all features at once: what no single column shows."""

from __future__ import annotations

from typing import Final

from tidemill.api.checks import Check, Moved
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.monitor.evidence.evidence import Evidence, Joint, plain
from tidemill.runtime.monitor.performance.confidence import z_of
from tidemill.runtime.monitor.statistics import classifier, outliers
from tidemill.runtime.scoring.verdicts import Threshold, finite, no_data

LEVEL: Final = 0.01
"""A distance whose chance is larger than this is none."""
_Z: Final = 2.575829
NO_SAMPLE: Final = "the version carries no rows to compare with; train it again"


def multivariate_drift(check: Check, evidence: Evidence) -> CheckOutcome:
    """Whether the joint distribution has moved: by MMD, or by how well principal components describe rows."""
    joint = evidence.joints.get(check.name)
    if joint is None:
        return no_data(check, NO_SAMPLE)
    if check.method == "PCA":
        return _reconstruction(check, joint)
    found = joint.discrepancy
    if found is None:
        return no_data(check, "fewer than two rows on one side")
    value = found.value if found.p_value <= LEVEL else 0.0
    told = f"the joint distribution has moved by MMD {found.value:.3g} (p {_say(found.p_value)}); {check.failing:g} is the limit"
    if value == 0.0:
        told = f"the joint distribution has not moved more than chance moves it (MMD {found.value:.3g}, p {_say(found.p_value)})"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=Threshold(check.warning, check.failing).judge(value),
        value=value,
        threshold=check.failing,
        message=told,
    )


def _reconstruction(check: Check, joint: Joint) -> CheckOutcome:
    found = joint.reconstruction
    if found is None:
        return no_data(check, "there are too few rows for principal components")
    value = abs(found.value) if abs(found.z) >= _Z else 0.0
    direction = "worse" if found.value > 0 else "better"
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=Threshold(check.warning, check.failing).judge(value),
        value=finite(value),
        threshold=check.failing,
        message=f"rows are described {direction} by the reference's main directions than its own are: the error has moved by {found.value:+.3g} standard deviations; {check.failing:g} is the limit",
    )


def domain_classifier(check: Check, evidence: Evidence) -> CheckOutcome:
    """Whether a classifier tells the window's rows from the reference's."""
    joint = evidence.joints.get(check.name)
    if joint is None or joint.space is None or joint.reference is None or joint.window is None:
        return no_data(check, NO_SAMPLE)
    try:
        told = classifier.tell_apart(joint.reference, joint.window, z=z_of(check.confidence))
    except ValueError as reason:
        return no_data(check, str(reason))
    # Where a coin lies within the interval, nothing was told apart; failing needs all of it beyond the bound.
    verdict = Threshold(check.warning, check.failing).judge(told.auc) if told.low > 0.5 else "Passing"
    assert check.failing is not None
    if verdict == "Failing" and told.low < check.failing:
        verdict = "Warning"
    owner = [axis.name for axis in joint.space.axes for _ in range(axis.width)]
    by_column: dict[str, float] = {}
    for place, loss in told.importances:
        by_column[plain(owner[place])] = max(loss, by_column.get(plain(owner[place]), 0.0))
    worst = tuple(Moved(column=name, method="AUCLoss", value=round(loss, 6)) for name, loss in by_column.items())
    by = f", mostly by {', '.join(list(by_column)[:3])}" if by_column and verdict != "Passing" else ""
    return CheckOutcome(
        name=check.name,
        type=check.type,
        verdict=verdict,
        value=told.auc,
        threshold=check.failing,
        lower=told.low,
        upper=told.high,
        worst=worst,
        message=f"a classifier tells rows of the window from the reference's with ROC-AUC {told.auc:.3f} ({told.low:.3f} to {told.high:.3f}){by}; {check.failing:g} is the limit",
    )


def outlier_share(check: Check, evidence: Evidence) -> CheckOutcome:
    """Whether too many rows are unlike any of the reference's."""
    joint = evidence.joints.get(check.name)
    if joint is None or joint.space is None or joint.reference is None or joint.window is None:
        return no_data(check, NO_SAMPLE)
    try:
        ordinary = outliers.OutlierModel.of(joint.reference)
    except ValueError as reason:
        return no_data(check, str(reason))
    assert check.maximum is not None
    rows = len(joint.window)
    found = ordinary.outliers(joint.window)
    share = found / rows
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
