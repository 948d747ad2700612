from __future__ import annotations

import math

import orjson
import pytest

from tidemill.contract.serving import Measurements
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.serve.rollout.trial import MAX_LABELS, OTHER, RolloutTrial, Tally


def trial(*, labels: ClassLabels | None = None, target_std: float = 0.0, max_rows: int = 100) -> RolloutTrial:
    return RolloutTrial(
        Tally("house-1", "a"), Tally("house-2", "b"), labels=labels, target_std=target_std, max_rows=max_rows
    )


def classes() -> RolloutTrial:
    return trial(labels=ClassLabels((0, 1)))


def test_rows_that_both_answered_are_compared() -> None:
    score = classes()
    score.remember("r", ["0", "1", "1"])
    score.compare("r", ["0", "1", "0"])

    assert (3, 2) == (score.compared, score.agreed)


def test_numbers_agree_within_a_hundredth_of_the_spread() -> None:
    score = trial(target_std=10.0)
    score.remember("r", [1.0, 1.0])
    score.compare("r", [1.09, 1.11])

    assert (2, 1) == (score.compared, score.agreed)


@pytest.mark.parametrize("label", [1, 1.0, "1", True])
def test_a_label_counts_for_both_versions_however_it_is_spelled(label: float | str | bool) -> None:
    score = classes()
    score.remember("r", ["0"])
    score.compare("r", ["1"])

    assert score.label("r", 0, label)
    assert {"1": {"1": 1}} == score.stable.confusion
    assert {"1": {"0": 1}} == score.candidate.confusion


def test_a_label_that_comes_before_the_comparison_is_counted_with_it() -> None:
    score = classes()
    score.remember("r", ["0"])
    score.label("r", 0, 1)
    early = score.stable.labelled
    score.compare("r", ["1"])

    assert (0, 1, 1) == (early, score.stable.labelled, score.candidate.labelled)


def test_a_label_sent_again_changes_nothing() -> None:
    score = classes()
    score.remember("r", ["0"])
    score.compare("r", ["1"])
    for label in (1, 1, 0):
        score.label("r", 0, label)

    assert {"1": {"1": 1}} == score.stable.confusion


def test_a_label_for_a_request_or_row_that_is_not_known_is_handed_back() -> None:
    score = classes()
    score.remember("r", ["0"])

    assert not score.label("other", 0, 1)
    assert not score.label("r", 1, 1)


def test_errors_of_a_regression_are_summed_for_both() -> None:
    score = trial(target_std=1.0)
    score.remember("r", [3.0])
    score.compare("r", [1.0])
    score.label("r", 0, 2.5)

    arm = score.candidate.to_arm()
    assert (1, 0.5, 0.25, 2.5, 6.25) == (
        arm.labelled,
        arm.absolute_error,
        arm.squared_error,
        arm.label_sum,
        arm.label_square_sum,
    )
    assert 1.5 == score.stable.to_arm().absolute_error


@pytest.mark.parametrize("label", [1e200, -1e308, float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("answer", [0.0, -1e308, float("nan")])
def test_no_number_makes_the_score_infinite_or_ends_it(answer: float, label: float) -> None:
    score = trial()
    for request in ("r-1", "r-2"):
        score.remember(request, [answer])
        score.label(request, 0, label)
        score.compare(request, [1.0])

    arms = (score.stable.to_arm(), score.candidate.to_arm())
    assert [2, 2] == [arm.labelled for arm in arms]
    assert all(math.isfinite(value) for arm in arms for value in (arm.absolute_error, arm.squared_error, arm.label_sum))
    assert score.measurements("p") == Measurements.model_validate_json(orjson.dumps(score.measurements("p").to_wire()))


def test_the_oldest_requests_are_forgotten_first() -> None:
    score = trial(labels=ClassLabels((0, 1)), max_rows=3)
    for request in ("a", "b", "c"):
        score.remember(request, ["0", "1"])

    assert [False, False, True] == [score.label(request, 0, 1) for request in ("a", "b", "c")]


def test_a_request_id_used_twice_means_the_later_request() -> None:
    score = trial(labels=ClassLabels((0, 1)), max_rows=3)
    for _ in range(5):
        score.remember("r", ["0", "1"])
    score.compare("r", ["0", "1"])

    assert 2 == score.compared
    assert score.label("r", 1, 1)


def test_made_up_labels_do_not_grow_the_score_without_end() -> None:
    score = trial(labels=ClassLabels((0, 1)), max_rows=10 * MAX_LABELS)
    for number in range(2 * MAX_LABELS):
        score.remember(f"r-{number}", ["0"])
        score.compare(f"r-{number}", ["0"])
        score.label(f"r-{number}", 0, f"made up {number}")

    assert MAX_LABELS - 1 == len(score.stable.confusion)
    assert 2 * MAX_LABELS == score.stable.labelled
    assert OTHER in score.stable.confusion


def test_measurements_hold_both_arms_with_their_latencies() -> None:
    score = classes()
    score.stable.answered(0.0004)
    score.candidate.answered(0.3)
    score.candidate.failed()

    measured = score.measurements("pod-1")

    assert measured.stable is not None
    assert measured.candidate is not None
    assert ("pod-1", 1, 2, 1) == (
        measured.pod,
        measured.stable.requests,
        measured.candidate.requests,
        measured.candidate.errors,
    )
    assert 1 == measured.stable.latencies.counts[0]
    assert 1 == measured.candidate.latencies.counts[measured.candidate.latencies.bounds.index(0.5)]
