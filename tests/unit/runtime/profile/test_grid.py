from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tidemill.runtime.profile.grid import OCTAVES, Grid, exact_mean, exact_sum, floating, linear, pieces

GRIDS = {
    "from zero": linear(0.0, 10.0),
    "below zero": linear(-5.0, -1.0),
    "tiny": linear(1.0, 1.0 + 1e-9),
    "huge": linear(-1e300, 1e300),
    "around a centre": floating(3.0, 1e6),
    "around zero": floating(0.0, 1.0),
    "in pieces": pieces(np.array([-3.0, 5.0, 1e6, 1e6 + 2]), np.array([2.0**-8, 2.0**10, 2.0**-12])),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_every_value_lies_between_the_edges_of_its_cell(grid: Grid) -> None:
    values = np.random.default_rng(0).uniform(0.001, 0.999, 10_000) * (grid.high - grid.low) + grid.low
    values = np.append(values, grid.edge(np.arange(97, grid.cells, 97)))
    cells = np.empty(len(values), np.int64)

    grid.locate(values, cells)

    assert ((cells >= 1) & (cells <= grid.cells)).all()
    tolerance = 4 * np.spacing(np.maximum(np.abs(values), abs(grid.origin)))
    assert (grid.edge(cells - 1) <= values + tolerance).all()
    assert (values <= grid.edge(cells) + tolerance).all()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_edges_ascend(grid: Grid) -> None:
    edges = grid.edge(np.arange(grid.cells + 1))

    assert (np.diff(edges) >= 0).all()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_what_is_outside_or_no_number_is_in_no_cell(grid: Grid) -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1.7e308, -1.7e308])
    cells = np.empty(len(values), np.int64)

    grid.locate(values, cells)

    assert ((cells == 0) | (cells == grid.cells + 1)).all()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_order_of_cells_and_octaves_is_the_order_of_values(grid: Grid) -> None:
    rng = np.random.default_rng(2)
    width = grid.high - grid.low
    edges = grid.edge(np.arange(0, grid.cells + 1, 101))
    near = np.concatenate([np.nextafter(edges, end) for end in (-np.inf, np.inf)])
    beyond = np.concatenate((grid.low - width * rng.lognormal(0, 8, 500), grid.high + width * rng.lognormal(0, 8, 500)))
    values = np.sort(np.concatenate((edges, near, beyond, [grid.high, np.nextafter(grid.high, -np.inf)])))
    cells = np.empty(len(values), np.int64)

    grid.locate(values, cells)
    octave, position = grid.octaves(values, cells > 0)

    outside = (cells == 0) | (cells > grid.cells)
    key = np.where(cells == 0, -octave * 100_000 - position, octave * 100_000 + position)
    assert (np.diff(cells) >= 0).all()
    assert (np.diff(key[outside & (cells == 0)]) >= 0).all()
    assert (np.diff(key[outside & (cells > 0)]) >= 0).all()


def test_a_value_just_below_the_upper_end_is_never_put_to_the_left() -> None:
    grid = linear(-1e6, -0.01)
    values = np.array([-1e-13, 5.0])
    cells = np.empty(2, np.int64)

    grid.locate(values, cells)

    assert (cells >= grid.cells).all()


def test_whole_numbers_lie_on_left_edges() -> None:
    assert 0 == linear(0.0, 100.0).off_edges(np.arange(101.0))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_quick_way_finds_the_same_cells(grid: Grid) -> None:
    values = np.random.default_rng(1).uniform(0, 1, 1000) * (grid.high - grid.low) * 0.999 + grid.low
    careful, quick = np.empty(len(values), np.int64), np.empty(len(values), np.int64)

    grid.locate(values, careful)
    grid.locate(values, quick, inside=True)

    assert careful.tolist() == quick.tolist()


def test_octaves_meet_the_grid_and_double() -> None:
    grid = linear(0.0, 1.0)
    width = grid.high - grid.low

    assert [0.0, width, 3 * width, 7 * width] == grid.octave_edges()[:4].tolist()


def test_beyond_the_octaves_is_far() -> None:
    octave, _ = linear(0.0, 1.0).octaves(np.array([1.5, 1e6, 1e9, 1.7e308]), np.ones(4, bool))

    assert [0, 19, OCTAVES, OCTAVES] == octave.tolist()


def test_exact_sums_lose_nothing_in_any_order() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=1000) * 10.0 ** rng.integers(-300, 300, 1000)

    whole = exact_sum(values)

    assert whole == exact_sum(values[::-1]) == sum(exact_sum(part) for part in np.array_split(values, 7))
    assert sum(map(Fraction, values.tolist())) / 1000 == pytest.approx(Fraction(whole, 1000 << 1126), rel=0)
    assert float(sum(map(Fraction, values.tolist())) / 1000) == exact_mean(whole, 1000)
