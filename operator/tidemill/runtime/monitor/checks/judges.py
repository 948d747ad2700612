"""Judge each type of check by its function, from evidence to verdict, without effects."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tidemill.api.checks import KINDS, Check, CheckType
from tidemill.contract.numbers import quantity
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.monitor.checks import columns, multivariate, quality
from tidemill.runtime.monitor.evidence.evidence import Evidence
from tidemill.runtime.monitor.performance.fairness import NEEDS_LABELS
from tidemill.runtime.scoring.verdicts import no_data

Judge = Callable[[Check, Evidence], CheckOutcome]

BY_SIGNALS: Final[frozenset[CheckType]] = frozenset({"External"})
"""Judged by what other systems sent, in `external.py`."""
JUDGES: Final[Mapping[CheckType, Judge]] = MappingProxyType(
    {
        "DataQuality": columns.data_quality,
        "FeatureDrift": columns.feature_drift,
        "PredictionDrift": columns.prediction_drift,
        "Multivariate": multivariate.multivariate_drift,
        "DomainClassifier": multivariate.domain_classifier,
        "OutlierShare": multivariate.outlier_share,
        "Performance": quality.performance,
        "EstimatedPerformance": quality.estimated_performance,
        "ConceptDrift": quality.concept_drift,
        "Fairness": quality.fairness_of,
        "Timeliness": quality.timeliness,
    }
)
assert set(JUDGES) | BY_SIGNALS == set(KINDS), "every kind of check has a judge, and every judge a kind"


def evaluate(check: Check, evidence: Evidence) -> CheckOutcome:
    """Return the outcome of `check`; NoData, never Passing, where there is too little data."""
    if check.type in BY_SIGNALS:
        return no_data(check, f"{check.type} checks are evaluated from received signals, not from the log")
    if evidence.coverage.rows < evidence.minimum_samples and not KINDS[check.type].judges_silence:
        return no_data(
            check,
            f"{quantity(evidence.coverage.rows, 'row was', 'rows were')} served, {evidence.minimum_samples} are needed",
        )
    if _needs_labels(check) and evidence.labels.disbelieved:
        return no_data(check, evidence.labels.unknown_note())
    return defined(check, JUDGES[check.type](check, evidence))


def _needs_labels(check: Check) -> bool:
    return KINDS[check.type].needs_labels and (check.type != "Fairness" or check.metric in NEEDS_LABELS)


def defined(check: Check, outcome: CheckOutcome) -> CheckOutcome:
    """Return `outcome`; NoData where its value is not a number, because no bound says anything about such a value."""
    if outcome.value is not None and not math.isfinite(outcome.value):
        return no_data(check, f"the value is not defined for these rows: {outcome.message}".rstrip(": "))
    ends = {end: value for end in ("lower", "upper") if (value := getattr(outcome, end)) is not None}
    undefined: dict[str, None] = {end: None for end, value in ends.items() if not math.isfinite(value)}
    return outcome.model_copy(update=undefined) if undefined else outcome
