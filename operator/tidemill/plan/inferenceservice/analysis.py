"""Judge the candidate: each metric is Successful, Failed, or Inconclusive if there is too little data."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidemill.api.inferenceservice import AnalysisMetric, AnalysisResult, Verdict
from tidemill.contract.defined import why_undefined
from tidemill.contract.metrics import regression
from tidemill.contract.numbers import quantity
from tidemill.contract.serving import Arm, Latencies
from tidemill.plan.diagnosis import Problem
from tidemill.plan.inferenceservice.statistics.psi import population_stability
from tidemill.plan.inferenceservice.statistics.significance import LEVEL, binomial_tail, share_bounds, worse_by_chance
from tidemill.plan.types import Answers, CheckResponse, ObservedEvents, Queried

NOISE_SECONDS = 0.01
"""Seconds by which the latency of small models varies on busy cores: so much more never fails a candidate."""


@dataclass(frozen=True, slots=True)
class ExternalVerdict:
    """The verdict of Prometheus or of a user's Job on a candidate."""

    value: float | None = None
    """A number to compare with the metric's bounds."""
    verdict: Verdict = "Inconclusive"
    """The verdict if there is no number."""
    message: str = ""
    problem: Problem | None = None
    """What in the surroundings keeps the verdict from being found; None if nothing is known."""


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """The two versions compared: the sums over all pods, and the external verdicts by the metric's name."""

    stable: Arm
    candidate: Arm
    compared: int
    agreed: int
    external: Mapping[str, ExternalVerdict] = field(default_factory=dict)


def add_up(
    answers: Answers, candidate_digest: str, external: Mapping[str, ExternalVerdict] | None = None
) -> VersionComparison:
    """Add up the pods' counts, without those of another candidate, and collect the external verdicts."""
    stable, candidate = Arm(version="", digest=""), Arm(version="", digest=candidate_digest)
    compared = agreed = 0
    external_verdicts = dict(external or {})
    for answer in answers:
        if isinstance(answer, CheckResponse | ObservedEvents):
            continue
        if isinstance(answer, Queried):
            external_verdicts[answer.metric] = ExternalVerdict(answer.value, message=answer.problem)
            continue
        if answer.candidate is None or answer.candidate.digest != candidate_digest:
            continue
        candidate = _sum(candidate, answer.candidate)
        stable = _sum(stable, answer.stable) if answer.stable else stable
        compared += answer.compared
        agreed += answer.agreed
    return VersionComparison(stable, candidate, compared, agreed, external_verdicts)


def judge(
    metrics: Sequence[AnalysisMetric], comparison: VersionComparison, before: Sequence[AnalysisResult]
) -> tuple[AnalysisResult, ...]:
    """Return the newest verdict on each metric; failures in a row are counted on from `before`."""
    earlier = {result.name: result for result in before}
    results = []
    for metric in metrics:
        result = _judge(metric, comparison)
        failures = earlier[metric.name].failures if metric.name in earlier else 0
        if result.verdict == "Failed":
            failures += 1
        elif result.verdict == "Successful":
            failures = 0
        results.append(result.model_copy(update={"failures": failures}))
    return tuple(results)


def quantile(latencies: Latencies, share: float) -> float:
    """Return the seconds within which `share` of the requests were answered, interpolated as in Prometheus.

    >>> round(quantile(Latencies(bounds=(0.1, 0.2), counts=(90, 10, 0)), 0.95), 3)
    0.15
    """
    total = sum(latencies.counts)
    if total == 0:
        return math.nan
    rank, below, lower = share * total, 0, 0.0
    for bound, count in zip(latencies.bounds, latencies.counts, strict=False):
        if below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return lower


def labelled_value(metric: str, arm: Arm) -> float | None:
    """Return a metric of quality from an arm's counts; None where the counts do not hold it, or it is 0/0.

    f1, precision and recall are macro averages over the labels, as scikit-learn's `average="macro"`.
    """
    if arm.labelled == 0:
        return None
    if metric in {"mean_absolute_error", "rmse", "root_mean_squared_error", "r2"}:
        return _regression_value(metric, arm)
    if not arm.confusion:
        return None
    total = sum(sum(answers.values()) for answers in arm.confusion.values())
    right = {label: answers.get(label, 0) for label, answers in arm.confusion.items()}
    if metric == "accuracy":
        return sum(right.values()) / total
    predicted: dict[str, int] = {}
    for answers in arm.confusion.values():
        for answer, count in answers.items():
            predicted[answer] = predicted.get(answer, 0) + count
    if _why_undefined(metric, arm):
        return None
    labels = sorted({*arm.confusion, *predicted})
    recalls = [_ratio(right.get(label, 0), sum(arm.confusion.get(label, {}).values())) for label in labels]
    precisions = [_ratio(right.get(label, 0), predicted.get(label, 0)) for label in labels]
    match metric:
        case "balanced_accuracy":
            present = [recall for label, recall in zip(labels, recalls, strict=True) if label in arm.confusion]
            return sum(present) / len(present)
        case "recall" | "recall_macro":
            return sum(recalls) / len(labels)
        case "precision" | "precision_macro":
            return sum(precisions) / len(labels)
        case "f1" | "f1_macro":
            scores = [_ratio(2 * p * r, p + r) for p, r in zip(precisions, recalls, strict=True)]
            return sum(scores) / len(labels)
    return None


def _why_undefined(metric: str, arm: Arm) -> str:
    """Return why a metric of classification is 0/0 on these counts; empty where it is not."""
    labelled = {label: sum(answers.values()) for label, answers in arm.confusion.items()}
    predicted: dict[str, int] = {}
    for answers in arm.confusion.values():
        for answer, count in answers.items():
            predicted[answer] = predicted.get(answer, 0) + count
    average = {"recall": "recall_macro", "precision": "precision_macro"}.get(metric, metric)
    return why_undefined(average, labelled, predicted)


def _regression_value(metric: str, arm: Arm) -> float | None:
    match metric:
        case "mean_absolute_error":
            return arm.absolute_error / arm.labelled
        case "r2":
            square_sum = arm.label_square_sum - arm.label_sum**2 / arm.labelled
            # The rounding of two sums that are nearly equal is not variation: labels that are all the same leave some.
            rounding = arm.labelled * sys.float_info.epsilon * arm.label_square_sum
            return 1.0 - arm.squared_error / square_sum if square_sum > rounding else None
        case _:
            return math.sqrt(arm.squared_error / arm.labelled)


def _judge(metric: AnalysisMetric, comparison: VersionComparison) -> AnalysisResult:
    if metric.type in {"Prometheus", "Job"}:
        return _judge_external(metric, comparison.external.get(metric.name, ExternalVerdict(message="no result yet")))
    value: float | None = None
    samples = 0
    reference: float | None = None
    match metric.type:
        case "ErrorRate":
            samples, value = (
                comparison.candidate.requests,
                _ratio(comparison.candidate.errors, comparison.candidate.requests),
            )
        case "LatencyP95":
            samples = sum(comparison.candidate.latencies.counts)
            value = quantile(comparison.candidate.latencies, 0.95) if samples else None
            known = sum(comparison.stable.latencies.counts)
            reference = quantile(comparison.stable.latencies, 0.95) if known else None
        case "PredictionAgreement":
            samples, value = comparison.compared, _ratio(comparison.agreed, comparison.compared)
        case "PredictionDrift":
            samples = min(sum(comparison.stable.scores.values()), sum(comparison.candidate.scores.values()))
            value = population_stability(comparison.stable.scores, comparison.candidate.scores)
        case "Labelled":
            samples = comparison.candidate.labelled
            value = labelled_value(metric.metric or "", comparison.candidate)
            reference = labelled_value(metric.metric or "", comparison.stable)
    if samples < metric.minimum_samples or value is None:
        message = f"{quantity(samples, 'sample')}, {metric.minimum_samples} needed"
        if samples >= metric.minimum_samples:
            message = f"{metric.metric} cannot be computed from counts of labels; use accuracy, f1, precision, recall, rmse or r2"
            if reason := _why_undefined(metric.metric or "", comparison.candidate):
                message = f"{metric.metric} is not defined for the labels so far: {reason}"
        return AnalysisResult(name=metric.name, verdict="Inconclusive", samples=samples, message=message)
    verdict, message = _against_bounds(metric, value, reference)
    if verdict == "Failed" and (doubt := _doubt(metric, comparison)):
        verdict, message = "Inconclusive", f"{message}, but {doubt}"
    return AnalysisResult(
        name=metric.name,
        verdict=verdict,
        value=_rounded(value),
        reference=_rounded(reference),
        samples=samples,
        message=message,
    )


def _doubt(metric: AnalysisMetric, comparison: VersionComparison) -> str:
    """Return why a value beyond its bound proves nothing about the candidate; empty if it does.

    A few failed or slow requests may be chance, and requests that fail on both versions alike are not the candidate's fault.
    """
    stable, candidate = comparison.stable, comparison.candidate
    if metric.type == "ErrorRate" and metric.maximum is not None:
        if binomial_tail(candidate.errors, candidate.requests, metric.maximum) >= LEVEL:
            return f"{candidate.errors} of {candidate.requests} requests may be chance"
        if _ratio(stable.errors, stable.requests) <= metric.maximum:
            return ""
        alike = worse_by_chance(candidate.errors, candidate.requests, stable.errors, stable.requests) >= LEVEL
        return f"the stable version fails alike: {stable.errors} of {stable.requests} requests" if alike else ""
    if metric.type == "LatencyP95":
        lowest = quantile(candidate.latencies, share_bounds(0.95, sum(candidate.latencies.counts))[0])
        known = sum(stable.latencies.counts)
        reference = quantile(stable.latencies, share_bounds(0.95, known)[1]) if known else None
        if _against_bounds(metric, lowest, reference)[0] != "Failed":
            return f"{sum(candidate.latencies.counts)} requests are too few to tell"
    return ""


def _judge_external(metric: AnalysisMetric, external: ExternalVerdict) -> AnalysisResult:
    if external.value is None:
        return AnalysisResult(
            name=metric.name,
            verdict=external.verdict,
            reason=str(external.problem.reason) if external.problem else "",
            message=external.message,
        )
    verdict, message = _against_bounds(metric, external.value, None)
    return AnalysisResult(name=metric.name, verdict=verdict, value=_rounded(external.value), message=message)


def _against_bounds(metric: AnalysisMetric, value: float, reference: float | None) -> tuple[Verdict, str]:
    """Return the verdict on a value; one that is not a number is not a result, and never a success."""
    if not math.isfinite(value):
        return "Inconclusive", "the value is not a finite number; more data is needed"
    if reference is not None and not math.isfinite(reference):
        reference = None
    if metric.minimum is not None and value < metric.minimum:
        return "Failed", f"{value:.4g} is below {metric.minimum:g}"
    if metric.maximum is not None and value > metric.maximum:
        return "Failed", f"{value:.4g} is above {metric.maximum:g}"
    if metric.maximum_regression is not None:
        if reference is None:
            return "Inconclusive", "the stable version has no value to compare with"
        worse = regression(metric.metric or "", value, reference)
        if worse > metric.maximum_regression:
            return (
                "Failed",
                f"{value:.4g} is {worse:.4g} worse than the stable version ({reference:.4g}); a regression of {metric.maximum_regression:g} is allowed",
            )
    if metric.maximum_increase is not None:
        if reference is None:
            return "Inconclusive", "the stable version has no value to compare with"
        bound = reference * (1.0 + metric.maximum_increase) + NOISE_SECONDS
        if value > bound:
            return (
                "Failed",
                f"{value:.4g} s is above the allowed {bound:.4g} s (stable version {reference:.4g} s)",
            )
    compared = f" (stable {reference:.4g})" if reference is not None else ""
    return "Successful", f"{value:.4g}{compared}"


def _sum(first: Arm, second: Arm) -> Arm:
    confusion = {label: dict(predicted) for label, predicted in first.confusion.items()}
    for label, predicted in second.confusion.items():
        confusion[label] = _merged(confusion.get(label, {}), predicted)
    return Arm(
        version=second.version,
        scores=_merged(first.scores, second.scores),
        digest=second.digest,
        requests=first.requests + second.requests,
        errors=first.errors + second.errors,
        latencies=_add(first.latencies, second.latencies),
        labelled=first.labelled + second.labelled,
        confusion=confusion,
        absolute_error=first.absolute_error + second.absolute_error,
        squared_error=first.squared_error + second.squared_error,
        label_sum=first.label_sum + second.label_sum,
        label_square_sum=first.label_square_sum + second.label_square_sum,
    )


def _merged(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def _add(first: Latencies, second: Latencies) -> Latencies:
    if not first.counts:
        return second
    if first.bounds != second.bounds:
        # Pods of two releases may bucket differently for the minute of an upgrade; the newer counts alone are still true.
        return second
    counts = tuple(a + b for a, b in zip(first.counts, second.counts, strict=True))
    return Latencies(bounds=first.bounds, counts=counts)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 6)
