"""Samplers choose the next trial: at random, by a grid, or by the results of earlier trials.

Every choice depends on the seed, the trial's number and the trials before it, and on nothing else.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.api.tuning import Tuning
from tidemill.runtime.train.spaces import Axis, Choice, Point, Way


class Tried(NamedTuple):
    """A point, and how good it turned out: more is better, and None is worse than anything."""

    point: Point
    worth: float | None


Sampler = Callable[[int, Sequence[Tried]], Point | None]
"""The point of a trial, by its number from 1 and the trials before it; None where there is none left."""

_FIRST_RANDOM: Final = 10
"""As many trials are drawn before anything is concluded from them."""
_GOOD_SHARE: Final = 0.1
_MAX_GOOD_TRIALS: Final = 25
_CANDIDATES: Final = 24


def sampler(tuning: Tuning, space: Sequence[Axis], seed: int) -> Sampler:
    """Return the sampler that `spec.tuning.algorithm` names."""
    match tuning.algorithm:
        case "Grid":
            points = grid(space, tuning.num_trials, seed)
            return lambda number, _: points[number - 1] if number <= len(points) else None
        case "Random":
            return lambda number, past: _another(past, lambda rng: _drawn(space, rng), _rng(seed, number))
        case _:
            return lambda number, past: _another(past, lambda rng: _estimated(space, past, rng), _rng(seed, number))


def grid(space: Sequence[Axis], most: int, seed: int) -> tuple[Point, ...]:
    """The points of a grid: as fine along every way as `most` allows, and a seeded draw of it where even the coarsest has more."""
    choices = math.prod(len(axis.positions(0)) for axis in space if isinstance(axis, Choice))
    ways = sum(isinstance(axis, Way) for axis in space)
    fine = max(2, _root(most // choices, ways)) if ways else 0
    along = [axis.positions(fine) for axis in space]
    count = math.prod(len(positions) for positions in along)
    if count <= most:
        return tuple(itertools.product(*along))
    rng = random.Random(seed)
    numbers: dict[int, None] = {}
    while len(numbers) < most:
        numbers[rng.randrange(count)] = None
    return tuple(_numbered(along, number) for number in numbers)


def _root(value: int, degree: int) -> int:
    """The largest whole number whose power of `degree` is at most `value`."""
    root: int = round(max(value, 0) ** (1 / degree))
    return root if root**degree <= value else root - 1


def _numbered(along: Sequence[Sequence[float]], number: int) -> Point:
    """The point of a grid by its number, without making those before it."""
    point = []
    for positions in along:
        number, index = divmod(number, len(positions))
        point.append(positions[index])
    return tuple(point)


def _rng(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, number])


def _another(
    past: Sequence[Tried], draw: Callable[[np.random.Generator], Point], rng: np.random.Generator
) -> Point | None:
    """A point that was not tried yet; none where a hundred draws find no other, because the space is small."""
    seen = {tried.point for tried in past}
    return next((point for _ in range(100) if (point := draw(rng)) not in seen), None)


def _drawn(space: Sequence[Axis], rng: np.random.Generator) -> Point:
    return tuple(
        float(rng.integers(len(axis.values))) if isinstance(axis, Choice) else axis.snapped(float(rng.random()))
        for axis in space
    )


def _estimated(space: Sequence[Axis], past: Sequence[Tried], rng: np.random.Generator) -> Point:
    """The tree-structured Parzen estimator of Bergstra et al. (2011): where good trials are dense and others are not.

    Along each parameter by itself, the best tenth of the trials and the rest are spread out into two densities; of a few
    values drawn from the first, the one is taken whose first density is largest relative to the second.
    """
    if len(past) < _FIRST_RANDOM:
        return _drawn(space, rng)
    ranked = sorted(past, key=lambda tried: math.inf if tried.worth is None else -tried.worth)
    good = min(math.ceil(_GOOD_SHARE * len(past)), _MAX_GOOD_TRIALS)
    point = []
    for index, axis in enumerate(space):
        better, worse = (
            np.array([tried.point[index] for tried in some], np.float64) for some in (ranked[:good], ranked[good:])
        )
        choices = len(axis.values) if isinstance(axis, Choice) else 0
        point.append(axis.snapped(_chosen(better, worse, choices, rng)))
    return tuple(point)


def _chosen(better: NDArray[np.float64], worse: NDArray[np.float64], choices: int, rng: np.random.Generator) -> float:
    if choices:
        likely, unlikely = (
            np.bincount(positions.astype(int), minlength=choices) + 1.0 for positions in (better, worse)
        )
        candidates = rng.choice(choices, _CANDIDATES, p=likely / likely.sum())
        ratio = (likely / likely.sum() / (unlikely / unlikely.sum()))[candidates]
        return float(candidates[ratio.argmax()])
    dense, sparse = _Parzen(better), _Parzen(worse)
    drawn = dense.draw(rng, _CANDIDATES)
    return float(drawn[(dense.log_density(drawn) - sparse.log_density(drawn)).argmax()])


class _Parzen:
    """A bell around each of some positions between 0 and 1, as wide as its neighbours are far, and one over everything."""

    def __init__(self, positions: NDArray[np.float64]) -> None:
        from scipy.special import ndtr

        centres = np.sort(np.append(positions, 0.5))
        fenced = np.concatenate([[0.0], centres, [1.0]])
        widths = np.maximum(fenced[1:-1] - fenced[:-2], fenced[2:] - fenced[1:-1])
        widths = widths.clip(1.0 / min(100.0, 1.0 + len(centres)), 1.0)
        widths[np.searchsorted(centres, 0.5)] = 1.0
        self.centres, self.widths = centres, widths
        self.below, self.above = ndtr((0.0 - centres) / widths), ndtr((1.0 - centres) / widths)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        from scipy.special import ndtri

        bell = rng.integers(len(self.centres), size=count)
        share = self.below[bell] + rng.random(count) * (self.above[bell] - self.below[bell])
        drawn: NDArray[np.float64] = (self.centres[bell] + self.widths[bell] * ndtri(share)).clip(0.0, 1.0)
        return drawn

    def log_density(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        away = (positions[:, None] - self.centres) / self.widths
        bells = np.exp(-0.5 * away**2) / (self.widths * (self.above - self.below))
        density: NDArray[np.float64] = np.log(bells.mean(axis=1) + 1e-300)
        return density
