"""Checks that a DriftMonitor runs on every window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, get_args

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Duration,
    LocalReference,
    MetricName,
    Name,
    Rule,
    Share,
    WireModel,
    at_least_a_second,
)
from tidemill.api.methods import Method

CheckType = Literal[
    "DataQuality",
    "FeatureDrift",
    "PredictionDrift",
    "DomainClassifier",
    "Multivariate",
    "Performance",
    "EstimatedPerformance",
    "Fairness",
    "Timeliness",
    "OutlierShare",
    "ConceptDrift",
    "External",
]
FAIRNESS_METRICS: Final = (
    "DemographicParityDifference",
    "DemographicParityRatio",
    "EqualizedOddsDifference",
    "EqualizedOddsRatio",
    "EqualOpportunityDifference",
)


class QualityRule(WireModel):
    """A bound on one data quality metric of the served rows."""

    metric: Literal[
        "MissingShare",
        "OutOfRangeShare",
        "UnknownCategoryShare",
        "InfiniteShare",
        "DuplicateRequestShare",
        "SchemaMatch",
    ]
    """Measured share. SchemaMatch is the share of columns that are missing or have another type than in the training
    data."""
    column: ColumnName | None = None
    """Column that is measured; every feature if empty."""
    maximum: Share = 0.0
    """Largest share that passes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.column) || !(self.metric in ['DuplicateRequestShare', 'SchemaMatch'])",
            "DuplicateRequestShare and SchemaMatch are measured on the whole window; remove column",
            accepts={"metric": "SchemaMatch"},
            rejects={"metric": "SchemaMatch", "column": "amount"},
        ),
    )


Family = Literal["Drift", "Performance", "Fairness", "DataQuality", "Timeliness"]
HealthPartName = Literal["Drift", "Performance", "Fairness", "Freshness"]


@dataclass(frozen=True, slots=True)
class CheckKind:
    """All that the product knows of a type of check, but for how it is judged: every set of types is derived from it."""

    name: CheckType
    family: Family
    """What a failure is reported as, and whether it asks for a retraining."""
    example: Mapping[str, Any]
    """The least that a check of it says."""
    health: HealthPartName
    """The part of the health score that it counts for."""
    from_counts: bool = False
    """Whether what pods count of the rows, together with the labelled rows, is enough to judge it."""
    needs_labels: bool = False
    """Whether it may need labels, and looks at a window that ends the label delay ago."""
    needs_answers: bool = False
    """Whether it scores the answers, for which the probabilities of all classes are read."""
    sample: Literal["", "Features", "Answers"] = ""
    """Rows of the window that are drawn for it: the features of all, or those that the monitored version answered."""
    at_rest: float = 0.0
    """What it measures where nothing has moved."""
    judges_silence: bool = False
    """Whether a window with hardly a row says something."""

    @property
    def of_soundness(self) -> bool:
        """Whether its failure means that nothing else can be believed: it holds retraining back and never asks for it."""
        return self.family in ("DataQuality", "Timeliness")


KINDS: Final[Mapping[str, CheckKind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            CheckKind(
                "DataQuality",
                "DataQuality",
                {"rules": [{"metric": "MissingShare", "maximum": 0.1}]},
                health="Freshness",
                from_counts=True,
            ),
            CheckKind("FeatureDrift", "Drift", {"failing": 0.2}, health="Drift", from_counts=True),
            CheckKind("PredictionDrift", "Drift", {"failing": 0.2}, health="Drift", from_counts=True),
            CheckKind("DomainClassifier", "Drift", {"failing": 0.75}, health="Drift", sample="Features", at_rest=0.5),
            CheckKind("Multivariate", "Drift", {"failing": 0.2}, health="Drift", sample="Features"),
            CheckKind(
                "Performance",
                "Performance",
                {"metric": "accuracy", "minimum": 0.9},
                health="Performance",
                from_counts=True,
                needs_labels=True,
                needs_answers=True,
            ),
            CheckKind(
                "EstimatedPerformance",
                "Performance",
                {"metric": "accuracy", "minimum": 0.9},
                health="Performance",
                needs_answers=True,
                sample="Answers",
            ),
            CheckKind(
                "Fairness",
                "Fairness",
                {"metric": "DemographicParityDifference", "column": "gender", "maximum": 0.1},
                health="Fairness",
                needs_labels=True,
            ),
            CheckKind(
                "Timeliness",
                "Timeliness",
                {"maximumLag": "96h"},
                health="Freshness",
                from_counts=True,
                judges_silence=True,
            ),
            CheckKind("OutlierShare", "Drift", {"maximum": 0.05}, health="Drift", sample="Features"),
            CheckKind("ConceptDrift", "Drift", {}, health="Drift", from_counts=True, needs_labels=True),
            CheckKind(
                "External",
                "Performance",
                {"secretRef": {"name": "alerts"}},
                health="Performance",
                from_counts=True,
            ),
        )
    }
)
"""By type; a new type is a row here, a name in CheckType and a judge in `runtime/monitor/checks/judges.py`."""
assert set(KINDS) == set(get_args(CheckType)), "CheckType and KINDS name the same types"


def types_where(holds: Callable[[CheckKind], bool]) -> tuple[CheckType, ...]:
    """Return the types of check of which something holds.

    >>> types_where(lambda kind: kind.sample == "Features")
    ('DomainClassifier', 'Multivariate', 'OutlierShare')
    """
    return tuple(kind.name for kind in KINDS.values() if holds(kind))


UNKNOWN_LABELS_LIMIT: Final = 0.05
"""The largest share of labels that are not classes of the model with which labels are believed."""


def too_many_unknown(unknown: int | None, labelled: int | None) -> bool:
    """Return whether so many labels are not classes of the model that nothing can be concluded from the others.

    >>> too_many_unknown(5, 100), too_many_unknown(6, 100), too_many_unknown(None, None)
    (False, True, False)
    """
    return bool(unknown) and (unknown or 0) > UNKNOWN_LABELS_LIMIT * (labelled or 0)


SCORED_TYPES: Final = types_where(lambda kind: kind.needs_answers)
"""Checks whose value is a metric of scikit-learn, measured or estimated."""
LABELLED_TYPES: Final = types_where(lambda kind: kind.needs_labels)
"""Checks that may need labels, and look at a window that ends the label delay ago."""
SOUNDNESS_TYPES: Final = types_where(lambda kind: kind.of_soundness)
"""Checks whose failure means that nothing else can be believed: they hold retraining back and never ask for it."""


def fitting(type_: str, **fields: Any) -> dict[str, Any]:
    """Return a valid check of the type, with `fields` on top.

    >>> fitting("OutlierShare")
    {'name': 'example', 'type': 'OutlierShare', 'maximum': 0.05}
    """
    return {"name": "example", "type": type_, **KINDS[type_].example, **fields}


def _needs(type_: str, field: str) -> Rule:
    lacking = {key: value for key, value in fitting(type_).items() if key != field}
    return Rule(
        f"self.type != '{type_}' || has(self.{field})",
        f"type {type_} requires {field}; set it",
        accepts=fitting(type_),
        rejects=lacking,
    )


def _only(field: str, value: Any, *types: str, default: str = "") -> Rule:
    """Return a rule that rejects `field` on types that would ignore it.

    `default` is a CEL expression that is true where the value is that of an empty field.
    """
    other = next(type_ for type_ in KINDS if type_ not in types)
    among = ", ".join(f"'{type_}'" for type_ in types)
    silent = f" || {default}" if default else ""
    return Rule(
        f"!has(self.{field}){silent} || self.type in [{among}]",
        f"{field} is supported for type {', '.join(types)} only; remove it",
        accepts=fitting(types[0], **{field: value}),
        rejects=fitting(other, **{field: value}),
    )


def _methods(type_: str, method: str, *methods: str) -> Rule:
    among = ", ".join(f"'{name}'" for name in ("Auto", *methods))
    return Rule(
        f"!has(self.method) || self.type != '{type_}' || self.method in [{among}]",
        f"unsupported method for {type_}; use Auto, {' or '.join(methods)}",
        accepts=fitting(type_, method=method),
        rejects=fitting(type_, method="Hellinger"),
    )


class Check(WireModel):
    """One check that is run on every window."""

    list_key: ClassVar[str] = "name"

    name: Name
    """Name of the check in status, metrics and reports."""
    type: CheckType
    """Type of the check. DataQuality and Timeliness test the data itself; FeatureDrift, PredictionDrift, DomainClassifier,
    Multivariate, OutlierShare and ConceptDrift compare it with the reference; Performance, EstimatedPerformance
    and Fairness test the predictions; External evaluates signals that other systems send."""
    method: Method = "Auto"
    """Method of the check. FeatureDrift and PredictionDrift: a distance. Auto is PSI or, for numbers, 4 times the square
    of the Kolmogorov-Smirnov statistic, whichever is larger, each minus its expected value without drift. If the
    reference or the window has at most 1,000 values, Auto is 0 unless the difference is significant at 5% after
    Benjamini-Hochberg correction, and at most 0.15 unless it is significant at 1%. Significance is one minus the
    corrected p-value. Multivariate: MMD (Auto) or PCA. ConceptDrift: ADWIN (Auto) or PageHinkley."""
    warning: float | None = Field(default=None, ge=0)
    """Distance from which on the verdict is Warning."""
    failing: float | None = Field(default=None, ge=0)
    """Distance from which on the verdict is Failing. For DomainClassifier: the ROC-AUC of a classifier that tells
    reference and window apart; 0.5 is a random guess."""
    share: Share = 0.3
    """For FeatureDrift: minimum share of the features, weighted by importance, that must have drifted."""
    weighting: Literal["Importance", "Equal"] = "Importance"
    """For FeatureDrift: Importance weights features by their importance for the model; Equal gives all features the
    same weight."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=256)
    """For FeatureDrift, DomainClassifier, Multivariate and OutlierShare: columns that are compared; all features if
    empty."""
    rules_: tuple[QualityRule, ...] = Field(default=(), alias="rules", max_length=64)
    """For DataQuality: the bounds."""
    metric: MetricName | None = None
    """Metric. For Performance and EstimatedPerformance: a scikit-learn scorer name. For Fairness: a measure such as
    DemographicParityDifference."""
    minimum: float | None = None
    """Smallest value that passes. For Performance, EstimatedPerformance and the ratios of Fairness."""
    maximum: float | None = Field(default=None, ge=0)
    """Largest value that passes. For OutlierShare and the differences of Fairness."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """Largest accepted loss against the hold-out of the version. For Performance and EstimatedPerformance."""
    slices: tuple[ColumnName, ...] = Field(default=(), max_length=16)
    """For Performance: columns (features or Protected columns) for whose values the metric is also computed. The
    worst slice with enough rows decides."""
    column: ColumnName | None = None
    """For Fairness: the column whose groups are compared. A feature, or a Protected column that clients send with
    their requests."""
    favorable: str | None = Field(default=None, min_length=1, max_length=256)
    """For Fairness: the prediction that is favorable for the person; the greater one of two classes if empty."""
    confidence: float | None = Field(default=None, ge=0.5, lt=1)
    """Confidence level. For Performance, EstimatedPerformance, Fairness and DomainClassifier: level of the interval
    around the value, 0.95 if empty; Failing requires the whole interval beyond the bound. For ConceptDrift:
    confidence of each detection, 0.998 if empty."""
    subject: Literal["Labels", "Predictions"] = "Labels"
    """For Timeliness: the data that must be recent."""
    maximum_lag: Duration | None = None
    """For Timeliness: maximum age of the newest row or label at the end of the window."""
    source: Literal["Generic", "Alertmanager", "Arize", "Fiddler", "WeightsAndBiases"] = "Generic"
    """For External: the system that sends the signals."""
    secret_ref: LocalReference | None = None
    """For External: a Secret with the key `hmac-key`, `token` or both. It is mounted into the receiver of the
    monitor; the operator never reads it."""
    valid_for: Duration = "24h"
    """For External: time for which a signal counts; if no newer one arrives within it, the verdict is NoData."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(self.type in ['FeatureDrift', 'PredictionDrift', 'DomainClassifier', 'Multivariate']) || has(self.failing)",
            "a drift check requires a threshold; set failing",
            accepts=fitting("FeatureDrift"),
            rejects={"name": "inputs", "type": "FeatureDrift"},
        ),
        Rule(
            "self.type != 'DataQuality' || (has(self.rules) && size(self.rules) > 0)",
            "a DataQuality check requires bounds; set rules",
            accepts=fitting("DataQuality"),
            rejects={"name": "sound", "type": "DataQuality"},
        ),
        Rule(
            "self.type != 'Performance' || (has(self.metric) && (has(self.minimum) || has(self.maximumRegression)))",
            "a Performance check requires metric and a bound; set metric, and minimum or maximumRegression",
            accepts=fitting("Performance"),
            rejects={"name": "quality", "type": "Performance", "metric": "accuracy"},
        ),
        _needs("EstimatedPerformance", "metric"),
        Rule(
            "self.type != 'Fairness' || (has(self.metric) && has(self.column) && has(self.minimum) != has(self.maximum))",
            "a Fairness check requires metric, column and one bound; set metric, column, and minimum or maximum",
            accepts=fitting("Fairness"),
            rejects={"name": "fair", "type": "Fairness", "metric": "DemographicParityDifference", "maximum": 0.1},
        ),
        Rule(
            f"self.type != 'Fairness' || !has(self.metric) || self.metric in {list(FAIRNESS_METRICS)}",
            f"unsupported metric for Fairness; use one of {', '.join(FAIRNESS_METRICS)}",
            accepts=fitting("Fairness", metric="EqualizedOddsDifference"),
            rejects=fitting("Fairness", metric="accuracy"),
        ),
        _needs("Timeliness", "maximumLag"),
        _needs("OutlierShare", "maximum"),
        _needs("External", "secretRef"),
        Rule(
            "!has(self.warning) || !has(self.failing) || self.warning <= self.failing",
            "warning must not be above failing",
            accepts=fitting("FeatureDrift", warning=0.1),
            rejects=fitting("FeatureDrift", warning=0.3),
        ),
        Rule(
            "self.type != 'DomainClassifier' || !has(self.failing) || (self.failing > 0.5 && self.failing <= 1.0)",
            "failing of DomainClassifier is a ROC-AUC; set it above 0.5 and at most 1",
            accepts=fitting("DomainClassifier", failing=0.7),
            rejects=fitting("DomainClassifier", failing=0.5),
        ),
        Rule(
            "!has(self.method) || self.method == 'Auto'"
            " || self.type in ['FeatureDrift', 'PredictionDrift', 'Multivariate', 'ConceptDrift']",
            "method is supported for type FeatureDrift, PredictionDrift, Multivariate, ConceptDrift only; remove it",
            accepts=fitting("FeatureDrift", method="PSI"),
            rejects=fitting("DataQuality", method="PSI"),
        ),
        Rule(
            "!has(self.method) || !(self.type in ['FeatureDrift', 'PredictionDrift'])"
            " || !(self.method in ['MMD', 'PCA', 'ADWIN', 'PageHinkley'])",
            "unsupported method for this type; MMD and PCA require type Multivariate, ADWIN and PageHinkley require ConceptDrift",
            accepts=fitting("PredictionDrift", method="JensenShannon"),
            rejects=fitting("PredictionDrift", method="MMD"),
        ),
        # Validation of schemas cuts a bound of whole numbers to a whole number, and would take 0 for at least 0.5.
        Rule(
            "!has(self.confidence) || self.confidence >= 0.5",
            "confidence must be at least 0.5",
            accepts=fitting("Performance", confidence=0.9),
            rejects=fitting("Performance", confidence=0),
        ),
        _methods("Multivariate", "PCA", "MMD", "PCA"),
        _methods("ConceptDrift", "PageHinkley", "ADWIN", "PageHinkley"),
        _only("warning", 0.0, "FeatureDrift", "PredictionDrift", "DomainClassifier", "Multivariate"),
        _only("failing", 0.8, "FeatureDrift", "PredictionDrift", "DomainClassifier", "Multivariate"),
        _only("share", 0.5, "FeatureDrift", default="self.share == 0.3"),
        _only("weighting", "Equal", "FeatureDrift", default="self.weighting == 'Importance'"),
        _only(
            "columns",
            ["amount"],
            "FeatureDrift",
            "DomainClassifier",
            "Multivariate",
            "OutlierShare",
            default="size(self.columns) == 0",
        ),
        _only("rules", [{"metric": "SchemaMatch"}], "DataQuality", default="size(self.rules) == 0"),
        _only("metric", "accuracy", *SCORED_TYPES, "Fairness"),
        _only("minimum", 0.5, *SCORED_TYPES, "Fairness"),
        _only("maximum", 0.5, "OutlierShare", "Fairness"),
        _only("maximumRegression", 0.05, *SCORED_TYPES),
        _only("slices", ["country"], "Performance", default="size(self.slices) == 0"),
        _only("column", "gender", "Fairness"),
        _only("favorable", "1", "Fairness"),
        _only("confidence", 0.9, *SCORED_TYPES, "Fairness", "DomainClassifier", "ConceptDrift"),
        _only("subject", "Predictions", "Timeliness", default="self.subject == 'Labels'"),
        _only("maximumLag", "1h", "Timeliness"),
        _only("source", "Alertmanager", "External", default="self.source == 'Generic'"),
        _only("secretRef", {"name": "alerts"}, "External"),
        _only("validFor", "1h", "External", default="self.validFor == '24h'"),
        at_least_a_second("validFor", fitting("External", validFor="1h"), fitting("External", validFor="10ms")),
        at_least_a_second("maximumLag", fitting("Timeliness"), fitting("Timeliness", maximumLag="0s")),
    )


class Moved(WireModel):
    """A column that drifted."""

    column: str
    """Name of the column."""
    method: str
    """Method of the measurement."""
    value: float
    """Distance that was measured."""
