"""Coordinates of constants: single precision moves none of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tidemill.runtime.monitor.statistics.space import Space


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1234567.891, 0.0, 7.0, -1e9 / 3])
def test_a_constant_in_single_precision_is_the_same_point(value: float) -> None:
    space = Space.of(pa.table({"x": [value] * 200}), ["x"])

    served = space.points(pa.table({"x": pa.array([value] * 3, pa.float32())}))

    assert [[0.0]] * 3 == served.tolist()


def test_a_constant_computed_in_two_ways_is_a_constant() -> None:
    space = Space.of(pa.table({"x": [0.3, 0.1 + 0.2] * 100}), ["x"])

    assert (space.points(pa.table({"x": [0.3, 0.1 + 0.2]})) == 0.0).all()


def test_a_constant_that_moved_is_another_point() -> None:
    space = Space.of(pa.table({"x": [0.1] * 200}), ["x"])

    assert space.points(pa.table({"x": [1.1]})).item() == pytest.approx(1.0)


def test_numbers_are_told_in_standard_deviations() -> None:
    values = np.random.default_rng(0).normal(1e6, 3, 5000)

    space = Space.of(pa.table({"x": values}), ["x"])

    assert space.points(pa.table({"x": [1e6 + 6]})).item() == pytest.approx(2.0, abs=0.1)
