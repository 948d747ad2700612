"""A rise in the stream of errors is found soon, and chance is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidemill.runtime.monitor.performance import concept

DETECTORS = ["ADWIN", "PageHinkley"]


def stream(*stretches: tuple[int, float], seed: int = 1) -> Any:
    random = np.random.default_rng(seed)
    return np.concatenate([(random.random(length) < rate).astype(float) for length, rate in stretches])


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_rise_is_found_within_a_few_hundred_rows(detector: Any) -> None:
    result = concept.errors_rose(stream((2000, 0.05), (1000, 0.35)), detector)

    assert result is not None
    assert 2000 < result.at
    assert (0.05, 0.35) == (pytest.approx(result.before, abs=0.05), pytest.approx(result.after, abs=0.08))


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_steady_stream_hardly_ever_alarms(detector: Any) -> None:
    alarms = sum(concept.errors_rose(stream((2000, 0.1), seed=seed), detector) is not None for seed in range(40))

    assert alarms <= 3


def test_a_fall_is_no_drift() -> None:
    assert concept.errors_rose(stream((2000, 0.35), (2000, 0.05)), "ADWIN") is None


def test_a_stream_that_is_bad_from_its_first_row_on_is_told_by_the_hold_out() -> None:
    errors = stream((500, 0.3))

    assert concept.errors_rose(errors) is None
    result = concept.errors_rose(errors, usual=0.05)

    assert (0, 0.05) == (result.at, result.before) if result else pytest.fail("nothing was found")


@pytest.mark.parametrize("detector", DETECTORS)
def test_sizes_of_errors_count_in_their_own_spread(detector: Any) -> None:
    random = np.random.default_rng(1)
    errors = np.abs(np.concatenate((random.normal(0, 1000, 1500), random.normal(0, 4000, 800))))

    result = concept.errors_rose(errors, detector)

    assert result is not None and result.after > 1.5 * result.before


def test_too_short_a_stream_says_nothing() -> None:
    assert concept.errors_rose(np.ones(5), usual=0.0) is None
