"""The questions that a DriftMonitor asks of every window."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

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

CheckVerdict = Literal["Passing", "Warning", "Failing", "NoData"]
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
Method = Literal[
    "Auto",
    "PSI",
    "JensenShannon",
    "KullbackLeibler",
    "Hellinger",
    "TotalVariation",
    "ChiSquare",
    "CramersV",
    "KolmogorovSmirnov",
    "Wasserstein",
    "MeanShift",
    "VarianceShift",
    "Significance",
    "MMD",
    "PCA",
    "ADWIN",
    "PageHinkley",
]
DRIFT_TYPES: Final = ("FeatureDrift", "PredictionDrift", "DomainClassifier", "Multivariate", "ConceptDrift")
"""Checks that say whether the world has moved, not whether answers are wrong."""
LABELLED_TYPES: Final = ("Performance", "Fairness", "ConceptDrift")
"""Checks that may need labels, and look at a window that ends the label delay ago."""
SOUNDNESS_TYPES: Final = ("DataQuality", "Timeliness")
"""Checks whose failure means that nothing else can be believed: they hold retraining back and never ask for it."""
FAIRNESS_METRICS: Final = (
    "DemographicParityDifference",
    "DemographicParityRatio",
    "EqualizedOddsDifference",
    "EqualizedOddsRatio",
    "EqualOpportunityDifference",
)


class QualityRule(WireModel):
    """A bound on one column of what was served."""

    metric: Literal[
        "MissingShare",
        "OutOfRangeShare",
        "UnknownCategoryShare",
        "InfiniteShare",
        "DuplicateRequestShare",
        "SchemaMatch",
    ]
    """What is measured; SchemaMatch is the share of columns that are missing, or of another type than the version learnt from."""
    column: ColumnName | None = None
    """The column; every feature where left out."""
    maximum: Share = 0.0
    """The largest share that passes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.column) || !(self.metric in ['DuplicateRequestShare', 'SchemaMatch'])",
            "DuplicateRequestShare and SchemaMatch are of the whole window: leave column out",
            accepts={"metric": "SchemaMatch"},
            rejects={"metric": "SchemaMatch", "column": "amount"},
        ),
    )


_FITTING: Final[dict[str, dict[str, Any]]] = {
    "DataQuality": {"rules": [{"metric": "MissingShare", "maximum": 0.1}]},
    "FeatureDrift": {"failing": 0.2},
    "PredictionDrift": {"failing": 0.2},
    "DomainClassifier": {"failing": 0.75},
    "Multivariate": {"failing": 0.2},
    "Performance": {"metric": "accuracy", "minimum": 0.9},
    "EstimatedPerformance": {"metric": "accuracy", "minimum": 0.9},
    "Fairness": {"metric": "DemographicParityDifference", "column": "gender", "maximum": 0.1},
    "Timeliness": {"maximumLag": "96h"},
    "OutlierShare": {"maximum": 0.05},
    "ConceptDrift": {},
    "External": {"secretRef": {"name": "alerts"}},
}
"""For each type the least that a check of it says."""


def fitting(type_: str, **fields: Any) -> dict[str, Any]:
    """A check of a type that is accepted, with `fields` on top.

    >>> fitting("OutlierShare")
    {'name': 'example', 'type': 'OutlierShare', 'maximum': 0.05}
    """
    return {"name": "example", "type": type_, **_FITTING[type_], **fields}


def _needs(type_: str, field: str) -> Rule:
    lacking = {key: value for key, value in fitting(type_).items() if key != field}
    return Rule(
        f"self.type != '{type_}' || has(self.{field})",
        f"{type_} needs {field}",
        accepts=fitting(type_),
        rejects=lacking,
    )


def _only(field: str, value: Any, *types: str, default: str = "") -> Rule:
    """A field that other types would ignore is refused on them: nothing that is written may have no effect.

    `default` is what says no more than leaving the field out, as CEL.
    """
    other = next(type_ for type_ in _FITTING if type_ not in types)
    among = ", ".join(f"'{type_}'" for type_ in types)
    silent = f" || {default}" if default else ""
    return Rule(
        f"!has(self.{field}){silent} || self.type in [{among}]",
        f"{field} is of {', '.join(types)} only",
        accepts=fitting(types[0], **{field: value}),
        rejects=fitting(other, **{field: value}),
    )


def _methods(type_: str, method: str, *methods: str) -> Rule:
    among = ", ".join(f"'{name}'" for name in ("Auto", *methods))
    return Rule(
        f"!has(self.method) || self.type != '{type_}' || self.method in [{among}]",
        f"method of {type_} is one of Auto, {', '.join(methods)}",
        accepts=fitting(type_, method=method),
        rejects=fitting(type_, method="Hellinger"),
    )


class Check(WireModel):
    """One question asked of every window."""

    list_key: ClassVar[str] = "name"

    name: Name
    """For status, metrics and reports."""
    type: CheckType
    """What is asked: are the values sound, have features, predictions or the world behind them moved, are the answers still right, fair and in time."""
    method: Method = "Auto"
    """How it is measured. FeatureDrift and PredictionDrift: a distance, where Auto is PSI less what chance alone makes of it and, with up to 1,000 rows, only where that is significant after Benjamini-Hochberg; Significance is one less the p-value so adjusted. Multivariate: MMD (Auto) or PCA. ConceptDrift: ADWIN (Auto) or PageHinkley."""
    warning: float | None = Field(default=None, ge=0)
    """From this distance on the verdict is Warning."""
    failing: float | None = Field(default=None, ge=0)
    """From this distance on the verdict is Failing; for DomainClassifier the ROC-AUC of telling reference from window, where 0.5 is a guess."""
    share: Share = 0.3
    """For FeatureDrift: how large a share of the features, weighted by importance, must have moved."""
    weighting: Literal["Importance", "Equal"] = "Importance"
    """For FeatureDrift: whether features count by how much the model leans on them, or all alike."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=256)
    """For FeatureDrift, DomainClassifier, Multivariate and OutlierShare: only these."""
    rules_: tuple[QualityRule, ...] = Field(default=(), alias="rules", max_length=64)
    """For DataQuality: the bounds."""
    metric: MetricName | None = None
    """For Performance and EstimatedPerformance a scikit-learn scorer name; for Fairness a measure such as DemographicParityDifference."""
    minimum: float | None = None
    """For Performance, EstimatedPerformance and ratios of Fairness: the smallest value that passes."""
    maximum: float | None = Field(default=None, ge=0)
    """For OutlierShare and differences of Fairness: the largest value that passes."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """For Performance and EstimatedPerformance: how much worse than on the version's own hold-out."""
    slices: tuple[ColumnName, ...] = Field(default=(), max_length=16)
    """For Performance: also measured for each value of these columns, features or Protected ones; the worst slice with enough rows decides."""
    column: ColumnName | None = None
    """For Fairness: the column whose groups are compared, a feature or a Protected column that clients send too."""
    favorable: str | None = Field(default=None, min_length=1, max_length=256)
    """For Fairness: the answer that is good for the person; the greater of two where left out."""
    confidence: float | None = Field(default=None, ge=0.5, lt=1)
    """For Performance, EstimatedPerformance, Fairness and DomainClassifier: of the interval around the value, 0.95 where left out; Failing needs the whole interval beyond the bound. For ConceptDrift: of each detection, 0.998 where left out."""
    subject: Literal["Labels", "Predictions"] = "Labels"
    """For Timeliness: what must be recent."""
    maximum_lag: Duration | None = None
    """For Timeliness: how old the newest may be at the end of the window."""
    source: Literal["Generic", "Alertmanager", "Arize", "Fiddler", "WeightsAndBiases"] = "Generic"
    """For External: who calls in."""
    secret_ref: LocalReference | None = None
    """For External: a Secret with `hmac-key`, `token` or both; it is mounted into the monitor's receiver and never read by the operator."""
    valid_for: Duration = "24h"
    """For External: how long a call counts when nothing newer comes; after that the verdict is NoData."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(self.type in ['FeatureDrift', 'PredictionDrift', 'DomainClassifier', 'Multivariate']) || has(self.failing)",
            "a drift check needs failing",
            accepts=fitting("FeatureDrift"),
            rejects={"name": "inputs", "type": "FeatureDrift"},
        ),
        Rule(
            "self.type != 'DataQuality' || (has(self.rules) && size(self.rules) > 0)",
            "a DataQuality check needs rules",
            accepts=fitting("DataQuality"),
            rejects={"name": "sound", "type": "DataQuality"},
        ),
        Rule(
            "self.type != 'Performance' || (has(self.metric) && (has(self.minimum) || has(self.maximumRegression)))",
            "a Performance check needs metric and minimum or maximumRegression",
            accepts=fitting("Performance"),
            rejects={"name": "quality", "type": "Performance", "metric": "accuracy"},
        ),
        _needs("EstimatedPerformance", "metric"),
        Rule(
            "self.type != 'Fairness' || (has(self.metric) && has(self.column) && has(self.minimum) != has(self.maximum))",
            "a Fairness check needs metric, column, and one of minimum and maximum",
            accepts=fitting("Fairness"),
            rejects={"name": "fair", "type": "Fairness", "metric": "DemographicParityDifference", "maximum": 0.1},
        ),
        Rule(
            f"self.type != 'Fairness' || !has(self.metric) || self.metric in {list(FAIRNESS_METRICS)}",
            f"metric of Fairness is one of {', '.join(FAIRNESS_METRICS)}",
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
            "failing of DomainClassifier is a ROC-AUC above 0.5",
            accepts=fitting("DomainClassifier", failing=0.7),
            rejects=fitting("DomainClassifier", failing=0.5),
        ),
        Rule(
            "!has(self.method) || self.method == 'Auto'"
            " || self.type in ['FeatureDrift', 'PredictionDrift', 'Multivariate', 'ConceptDrift']",
            "method is of FeatureDrift, PredictionDrift, Multivariate, ConceptDrift only",
            accepts=fitting("FeatureDrift", method="PSI"),
            rejects=fitting("DataQuality", method="PSI"),
        ),
        Rule(
            "!has(self.method) || !(self.type in ['FeatureDrift', 'PredictionDrift'])"
            " || !(self.method in ['MMD', 'PCA', 'ADWIN', 'PageHinkley'])",
            "MMD and PCA are methods of Multivariate, ADWIN and PageHinkley of ConceptDrift",
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
        _only("metric", "accuracy", "Performance", "EstimatedPerformance", "Fairness"),
        _only("minimum", 0.5, "Performance", "EstimatedPerformance", "Fairness"),
        _only("maximum", 0.5, "OutlierShare", "Fairness"),
        _only("maximumRegression", 0.05, "Performance", "EstimatedPerformance"),
        _only("slices", ["country"], "Performance", default="size(self.slices) == 0"),
        _only("column", "gender", "Fairness"),
        _only("favorable", "1", "Fairness"),
        _only("confidence", 0.9, "Performance", "EstimatedPerformance", "Fairness", "DomainClassifier", "ConceptDrift"),
        _only("subject", "Predictions", "Timeliness", default="self.subject == 'Labels'"),
        _only("maximumLag", "1h", "Timeliness"),
        _only("source", "Alertmanager", "External", default="self.source == 'Generic'"),
        _only("secretRef", {"name": "alerts"}, "External"),
        _only("validFor", "1h", "External", default="self.validFor == '24h'"),
        at_least_a_second("validFor", fitting("External", validFor="1h"), fitting("External", validFor="10ms")),
        at_least_a_second("maximumLag", fitting("Timeliness"), fitting("Timeliness", maximumLag="0s")),
    )


class Moved(WireModel):
    """A column that a check found."""

    column: str
    """Which one."""
    method: str
    """How it was measured."""
    value: float
    """By how much."""
