from __future__ import annotations

import numpy as np
import pytest

from tidemill.runtime.profile.grid import Grid, coarsened, fit, floating, linear

GRIDS = {
    "from zero": linear(0.0, 10.0),
    "below zero": linear(-5.0, -1.0),
    "tiny": linear(1.0, 1.0 + 1e-9),
    "huge": linear(-1e300, 1e300),
    "around a centre": floating(3.0, 1e6),
    "around zero": floating(0.0, 1.0),
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


def test_whole_numbers_lie_on_left_edges() -> None:
    assert 0 == fit(np.array([0.0, 100.0])).off_edges(np.arange(101.0))


def test_a_grid_of_even_numbers_has_a_cell_for_each() -> None:
    values = np.arange(-10.0, 100.0, 2.0)

    grid = coarsened(fit(values), values)

    assert (2.0, len(values)) == (grid.step, grid.cells)


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
