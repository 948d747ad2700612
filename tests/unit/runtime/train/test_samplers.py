"""Where a search looks, and how it chooses the next trial."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tidemill.api.tuning import Tuning
from tidemill.runtime.failures import InvalidParameters
from tidemill.runtime.train import spaces, tuning
from tidemill.runtime.train.samplers import Tried, sampler

SPACES: dict[str, dict[str, Any]] = {
    "rate": {"logUniform": {"min": 0.001, "max": 1}},
    "leaves": {"uniform": {"min": 2, "max": 9, "type": "Int"}},
    "kind": {"categorical": {"choices": ["a", "b", "c"]}},
}


def wanted(algorithm: str = "TPE", trials: int = 50, only: dict[str, Any] | None = None) -> Tuning:
    named = SPACES if only is None else only
    return Tuning.model_validate(
        {
            "objective": {"metric": "accuracy"},
            "algorithm": algorithm,
            "numTrials": trials,
            "parameters": [{"name": name, "searchSpace": space} for name, space in named.items()],
        }
    )


def tried(search: Tuning, seed: int = 7) -> list[dict[str, Any]]:
    """The parameters of all trials, each as good as any other."""
    space = spaces.axes(search.parameters)
    following, past = sampler(search, space, seed), []
    for number in range(1, search.num_trials + 1):
        point = following(number, past)
        if point is None:
            break
        past.append(Tried(point, 0.0))
    return [spaces.values(space, trial.point) for trial in past]


@pytest.mark.parametrize("algorithm", ["Random", "TPE", "Grid"])
def test_every_trial_lies_in_the_space_and_whole_numbers_are_whole(algorithm: str) -> None:
    for trial in tried(wanted(algorithm)):
        assert 0.001 <= trial["rate"] <= 1
        assert isinstance(trial["leaves"], int)
        assert 2 <= trial["leaves"] <= 9
        assert trial["kind"] in ("a", "b", "c")


@pytest.mark.parametrize("algorithm", ["Random", "TPE", "Grid"])
def test_the_same_seed_makes_the_same_trials(algorithm: str) -> None:
    assert tried(wanted(algorithm)) == tried(wanted(algorithm))


@pytest.mark.parametrize("algorithm", ["Random", "TPE"])
def test_another_seed_makes_other_trials(algorithm: str) -> None:
    assert tried(wanted(algorithm), 7) != tried(wanted(algorithm), 8)


def test_every_order_of_magnitude_is_as_likely() -> None:
    rates = [trial["rate"] for trial in tried(wanted("Random", 300, {"rate": SPACES["rate"]}))]
    share = [sum(low <= rate < 10 * low for rate in rates) / 300 for low in (0.001, 0.01, 0.1)]

    assert all(0.25 < part < 0.42 for part in share), share


def test_whole_numbers_are_as_likely_at_the_bounds_as_between_them() -> None:
    narrow = {"depth": {"uniform": {"min": 1, "max": 3, "type": "Int"}}}
    space = spaces.axes(wanted(only=narrow).parameters)
    drawn = [space[0].at((index + 0.5) / 300) for index in range(300)]

    assert [100, 100, 100] == [drawn.count(depth) for depth in (1, 2, 3)]


@pytest.mark.parametrize("algorithm", ["Random", "TPE", "Grid"])
def test_no_parameters_are_tried_twice_and_a_small_space_comes_to_an_end(algorithm: str) -> None:
    small = {"depth": {"logUniform": {"min": 1, "max": 3, "type": "Int"}}, "kind": SPACES["kind"]}

    trials = [tuple(trial.values()) for trial in tried(wanted(algorithm, 40, small))]

    assert 9 == len(trials) == len(set(trials))


def test_a_grid_is_as_fine_as_the_number_of_trials_allows_and_reaches_the_bounds() -> None:
    only = {"rate": SPACES["rate"], "kind": SPACES["kind"]}

    trials = tried(wanted("Grid", 12, only))

    assert {0.001, 0.01, 0.1, 1.0} == {trial["rate"] for trial in trials}
    assert 12 == len(trials)


def test_of_a_grid_that_is_too_large_only_as_many_points_are_drawn_as_there_are_trials() -> None:
    many = {f"p{number}": {"uniform": {"min": 0, "max": 1}} for number in range(32)}

    trials = [tuple(trial.values()) for trial in tried(wanted("Grid", 20, many))]

    assert 20 == len(set(trials))


def test_whole_numbers_where_there_are_none_are_refused() -> None:
    with pytest.raises(
        InvalidParameters, match=r"no whole number from 1\.2 to 1\.8; correct the search space of 'depth'"
    ):
        tried(wanted(only={"depth": {"uniform": {"min": 1.2, "max": 1.8, "type": "Int"}}}))


def test_tpe_comes_closer_than_chance() -> None:
    """Over twenty seeds: a bowl in two dimensions, with a floor that only one of three choices reaches."""

    def judge(parameters: dict[str, Any]) -> Any:
        off = abs(math.log10(parameters["rate"]) + 1) + abs(parameters["leaves"] - 7) / 3
        yield -off - (parameters["kind"] != "b")

    def reached(algorithm: str) -> float:
        return (
            sum(tuning.search(wanted(algorithm), seed, judge, lambda: 0.0).best.score or 0 for seed in range(20)) / 20
        )

    assert 0.5 * reached("Random") < reached("TPE") <= 0
