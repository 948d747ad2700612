import math

import pytest
from sklearn import metrics

from tidemill.api.analysis import JobProbe, PrometheusQuery
from tidemill.api.inferenceservice import AnalysisMetric
from tidemill.contract.serving import Arm, Latencies, Measurements
from tidemill.plan.inferenceservice.analysis import (
    ExternalVerdict,
    VersionComparison,
    add_up,
    judge,
    labelled_value,
    quantile,
)
from tidemill.plan.types import Queried

DIGEST = "sha256:" + "1" * 64


def arm(**fields: object) -> Arm:
    return Arm.model_validate({"version": "v", "digest": DIGEST, **fields})


def pair(candidate: Arm, stable: Arm | None = None, compared: int = 0, agreed: int = 0) -> VersionComparison:
    return VersionComparison(stable or arm(), candidate, compared, agreed)


def verdict(metric: AnalysisMetric, seen: VersionComparison) -> str:
    return judge([metric], seen, ())[0].verdict


LABELS = ["a"] * 6 + ["b"] * 3 + ["c"]
ANSWERS = ["a", "a", "a", "a", "b", "c", "b", "b", "a", "a"]


def confusion(labels: list[str], answers: list[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for label, answer in zip(labels, answers, strict=True):
        counts.setdefault(label, {})[answer] = counts.get(label, {}).get(answer, 0) + 1
    return counts


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "accuracy": metrics.accuracy_score(LABELS, ANSWERS),
        "balanced_accuracy": metrics.balanced_accuracy_score(LABELS, ANSWERS),
        "f1": metrics.f1_score(LABELS, ANSWERS, average="macro", zero_division=0),
        "recall": metrics.recall_score(LABELS, ANSWERS, average="macro", zero_division=0),
        "precision": metrics.precision_score(LABELS, ANSWERS, average="macro", zero_division=0),
    }.items(),
)
def test_quality_from_counts_is_what_scikit_learn_says_of_the_rows(name: str, expected: float) -> None:
    actual = labelled_value(name, arm(labelled=len(LABELS), confusion=confusion(LABELS, ANSWERS)))

    assert actual == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "mean_absolute_error": metrics.mean_absolute_error([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]),
        "rmse": metrics.root_mean_squared_error([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]),
        "r2": metrics.r2_score([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]),
    }.items(),
)
def test_errors_from_sums_are_what_scikit_learn_says_of_the_rows(name: str, expected: float) -> None:
    sums = arm(labelled=3, absolute_error=1.5, squared_error=1.25, label_sum=7.0, label_square_sum=21.0)

    assert labelled_value(name, sums) == pytest.approx(expected, abs=1e-12)


def test_a_metric_that_counts_cannot_hold_is_inconclusive_and_says_so() -> None:
    metric = AnalysisMetric(name="auc", type="Labelled", metric="roc_auc", minimum=0.9, minimum_samples=1)

    result = judge([metric], pair(arm(labelled=10, confusion=confusion(LABELS, ANSWERS))), ())[0]

    assert result.verdict == "Inconclusive"
    assert "use accuracy" in result.message


def test_too_few_requests_are_no_verdict() -> None:
    metric = AnalysisMetric(name="errors", type="ErrorRate", maximum=0.01, minimum_samples=20)

    assert verdict(metric, pair(arm(requests=19, errors=19))) == "Inconclusive"


def test_an_error_rate_above_its_maximum_fails() -> None:
    metric = AnalysisMetric(name="errors", type="ErrorRate", maximum=0.01, minimum_samples=20)

    assert verdict(metric, pair(arm(requests=100, errors=4))) == "Failed"
    assert verdict(metric, pair(arm(requests=100, errors=1))) == "Successful"
    assert verdict(metric.model_copy(update={"maximum": 0.0}), pair(arm(requests=100, errors=1))) == "Failed"


def test_a_few_failed_requests_are_no_verdict() -> None:
    """A good version was once rolled back for 3 errors among 42 requests, on a machine under load."""
    metric = AnalysisMetric(name="errors", type="ErrorRate", maximum=0.05)

    (result,) = judge([metric], pair(arm(requests=42, errors=3), arm(requests=400)), ())

    assert ("Inconclusive", 0) == (result.verdict, result.failures)
    assert "0.07143 is above 0.05, but 3 of 42 requests may be chance" == result.message


def test_a_candidate_that_fails_as_often_as_the_stable_version_is_not_to_blame() -> None:
    metric = AnalysisMetric(name="errors", type="ErrorRate", maximum=0.05)
    candidate = arm(requests=42, errors=10)

    (alike,) = judge([metric], pair(candidate, arm(requests=400, errors=80)), ())
    assert "Inconclusive" == alike.verdict
    assert "the stable version fails alike: 80 of 400 requests" in alike.message
    assert "Failed" == verdict(metric, pair(candidate, arm(requests=400, errors=8)))
    assert "Failed" == verdict(metric, pair(arm(requests=42, errors=30), arm(requests=400, errors=80)))


def test_a_few_slow_requests_are_no_verdict_and_many_are() -> None:
    metric = AnalysisMetric(name="latency", type="LatencyP95", maximum_increase=1.0)
    bounds = (0.05, 0.1, 0.3, 1.0)
    stable = arm(latencies=Latencies(bounds=bounds, counts=(380, 15, 5, 0, 0)))

    def slow(fast: int, late: int) -> str:
        return verdict(metric, pair(arm(latencies=Latencies(bounds=bounds, counts=(fast, 0, late, 0, 0))), stable))

    assert ("Inconclusive", "Failed") == (slow(39, 3), slow(390, 60))


def test_a_worse_candidate_fails_and_a_slightly_worse_one_does_not() -> None:
    metric = AnalysisMetric(
        name="quality", type="Labelled", metric="accuracy", maximum_regression=0.05, minimum_samples=1
    )
    stable = arm(labelled=100, confusion={"a": {"a": 90, "b": 10}})

    assert verdict(metric, pair(arm(labelled=100, confusion={"a": {"a": 84, "b": 16}}), stable)) == "Failed"
    assert verdict(metric, pair(arm(labelled=100, confusion={"a": {"a": 86, "b": 14}}), stable)) == "Successful"


def test_one_more_hop_is_not_held_against_a_candidate_but_slowness_is() -> None:
    metric = AnalysisMetric(name="latency", type="LatencyP95", maximum_increase=0.5, minimum_samples=1)
    bounds = (0.002, 0.01, 0.1, 1.0)
    stable = arm(latencies=Latencies(bounds=bounds, counts=(100, 0, 0, 0, 0)))

    assert (
        verdict(metric, pair(arm(latencies=Latencies(bounds=bounds, counts=(0, 100, 0, 0, 0))), stable)) == "Successful"
    )
    assert verdict(metric, pair(arm(latencies=Latencies(bounds=bounds, counts=(0, 0, 0, 100, 0))), stable)) == "Failed"


def test_failures_in_a_row_are_counted_and_a_success_forgets_them() -> None:
    metric = AnalysisMetric(name="errors", type="ErrorRate", maximum=0.01, minimum_samples=1)
    bad, good = pair(arm(requests=100, errors=50)), pair(arm(requests=100))

    first = judge([metric], bad, ())
    second = judge([metric], bad, first)
    third = judge([metric], good, second)

    assert [1, 2, 0] == [results[0].failures for results in (first, second, third)]


def test_pods_are_added_up_and_counts_about_another_candidate_are_left_out() -> None:
    def measured(digest: str, requests: int) -> Measurements:
        return Measurements(
            stable=arm(requests=5), candidate=arm(digest=digest, requests=requests), compared=3, agreed=2
        )

    total = add_up([measured(DIGEST, 10), measured(DIGEST, 20), measured("sha256:" + "2" * 64, 1000)], DIGEST)

    assert (30, 10, 6, 4) == (total.candidate.requests, total.stable.requests, total.compared, total.agreed)


def test_the_quantile_of_nothing_is_nothing() -> None:
    assert math.isnan(quantile(Latencies(bounds=(0.1,), counts=(0, 0)), 0.95))


AGREEMENT = AnalysisMetric(name="agreement", type="PredictionAgreement", minimum=0.9, minimum_samples=200)
COMPARED = {
    "enough of them alike pass": (200, 180, "Successful"),
    "fewer alike fail": (200, 179, "Failed"),
    "none alike fail": (200, 0, "Failed"),
    "too few are no verdict, though all are alike": (199, 199, "Inconclusive"),
    "too few are no verdict, though none are alike": (199, 0, "Inconclusive"),
    "none at all are no verdict": (0, 0, "Inconclusive"),
}


@pytest.mark.parametrize("case", COMPARED)
def test_of_the_rows_that_both_versions_answered(case: str) -> None:
    compared, agreed, expected = COMPARED[case]

    [result] = judge([AGREEMENT], pair(arm(), compared=compared, agreed=agreed), ())

    assert (expected, compared) == (result.verdict, result.samples)


DRIFT = AnalysisMetric(name="scores", type="PredictionDrift", maximum=0.25, minimum_samples=100)


def scored(stable: dict[str, int], candidate: dict[str, int]) -> VersionComparison:
    return pair(arm(scores=candidate), arm(scores=stable))


def test_scores_that_moved_fail_and_scores_that_agree_do_not() -> None:
    before = {"1": 60, "5": 20, "9": 20}

    assert "Successful" == verdict(DRIFT, scored(before, before))
    assert "Failed" == verdict(DRIFT, scored(before, {"1": 20, "5": 20, "9": 60}))


def test_too_few_scores_are_inconclusive_whatever_they_say() -> None:
    assert "Inconclusive" == verdict(DRIFT, scored({"1": 50}, {"9": 50}))
    assert "Inconclusive" == verdict(DRIFT, scored({}, {}))


def test_a_few_rows_in_a_bin_that_is_empty_on_the_other_side_are_no_shift() -> None:
    assert "Successful" == verdict(DRIFT, scored({"1": 100, "2": 100}, {"1": 98, "2": 99, "3": 3}))


def test_scores_of_all_pods_are_one_distribution() -> None:
    measurements = Measurements(stable=arm(scores={"1": 2}), candidate=arm(scores={"1": 1, "2": 1}))
    other = Measurements(stable=arm(scores={"3": 4}), candidate=arm(scores={"2": 4}))

    summed = add_up((measurements, other), DIGEST)

    assert ({"1": 2, "3": 4}, {"1": 1, "2": 5}) == (summed.stable.scores, summed.candidate.scores)


REFUNDS = AnalysisMetric(name="refunds", type="Prometheus", prometheus=PrometheusQuery(query="vector(1)"), maximum=0.05)
SMOKE = AnalysisMetric(name="smoke", type="Job", job=JobProbe(image="judge:1"))
REPORTED: dict[str, tuple[AnalysisMetric, dict[str, ExternalVerdict], str]] = {
    "a number within its bounds passes": (REFUNDS, {"refunds": ExternalVerdict(0.01)}, "Successful"),
    "a number beyond them fails": (REFUNDS, {"refunds": ExternalVerdict(0.06)}, "Failed"),
    "no number is no verdict": (REFUNDS, {"refunds": ExternalVerdict(message="nothing answers")}, "Inconclusive"),
    "nothing asked yet is no verdict": (REFUNDS, {}, "Inconclusive"),
    "a Job that succeeded passes": (SMOKE, {"smoke": ExternalVerdict(verdict="Successful")}, "Successful"),
    "a Job that failed fails": (SMOKE, {"smoke": ExternalVerdict(verdict="Failed", message="exit code 3")}, "Failed"),
    "a Job that runs is no verdict": (SMOKE, {"smoke": ExternalVerdict(message="it is running")}, "Inconclusive"),
}


@pytest.mark.parametrize("case", REPORTED)
def test_what_others_say_has_three_verdicts_too(case: str) -> None:
    metric, reported, expected = REPORTED[case]

    [result] = judge([metric], VersionComparison(arm(), arm(), 0, 0, reported), ())

    assert expected == result.verdict


def test_what_was_queried_is_known_by_its_metric() -> None:
    summed = add_up(
        (Queried("refunds", 0.2), Queried("other", None, "no")), DIGEST, {"smoke": ExternalVerdict(verdict="Failed")}
    )

    assert {
        "smoke": ExternalVerdict(verdict="Failed"),
        "refunds": ExternalVerdict(0.2),
        "other": ExternalVerdict(message="no"),
    } == summed.external


@pytest.mark.parametrize("name", ["recall", "recall_macro", "precision", "balanced_accuracy"])
def test_a_share_of_no_rows_says_nothing_of_a_candidate(name: str) -> None:
    labels, answers = (["no", "no"], ["no", "yes"]) if name != "precision" else (["no", "yes"], ["no", "no"])
    candidate = arm(labelled=2, confusion=confusion(labels, answers))
    metric = AnalysisMetric(name="quality", type="Labelled", metric=name, minimum=0.9, minimum_samples=1)

    [result] = judge([metric], pair(candidate), ())

    assert labelled_value(name, candidate) is None
    assert "Inconclusive" == result.verdict
    assert "is not defined for the labels so far" in result.message


@pytest.mark.parametrize("constant", [0.1, 0.7, 3.3, 101.325])
def test_r2_of_labels_that_are_all_the_same_is_not_known(constant: float) -> None:
    labels = [constant] * 999
    sums = arm(
        labelled=999, squared_error=1.0, label_sum=sum(labels), label_square_sum=sum(label**2 for label in labels)
    )

    assert labelled_value("r2", sums) is None
