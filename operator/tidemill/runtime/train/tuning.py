"""A search for the estimator's best parameters: trials one after another, each judged by cross-validation.

The search knows neither rows nor scikit-learn: it asks a judge for the score of a set of parameters on one fold after
another. A trial that fails is written down and the search goes on; when time is up it ends with what it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final, Literal

from pydantic import Field

from tidemill.api.base import Parameter, WireModel
from tidemill.api.durations import seconds
from tidemill.api.tuning import Objective, Tuning
from tidemill.contract.numbers import quantity
from tidemill.contract.reports import Searched
from tidemill.runtime.failures import InvalidParameters, RunFailed, TrainingFailed
from tidemill.runtime.scoring import scorers
from tidemill.runtime.train import estimators, spaces
from tidemill.runtime.train.estimators import KnownEstimator
from tidemill.runtime.train.samplers import Tried, sampler

logger = logging.getLogger(__name__)

Judge = Callable[[dict[str, Parameter]], Iterator[float]]
"""The objective on one fold after another, for parameters; raises a RunFailed where the estimator cannot be judged with them."""
Clock = Callable[[], float]

_MAX_MESSAGE: Final = 300


class SearchTrial(WireModel):
    """One set of parameters, and how good it is."""

    number: int
    parameters: dict[str, Parameter]
    state: Literal["Completed", "Failed", "Pruned"] = "Completed"
    """Pruned trials were given up before their end, because time was up."""
    score: float | None = None
    """The mean over the folds."""
    scores: tuple[float, ...] = ()
    """The objective on each fold."""
    message: str = ""
    """Why it failed."""


class Search(WireModel):
    """All trials of a search, and which was best."""

    objective: Objective
    trials: tuple[SearchTrial, ...]
    best: SearchTrial
    warnings: tuple[str, ...] = Field(default=(), exclude=True)

    def ranked(self) -> tuple[SearchTrial, ...]:
        """The trials, the best first and those without a score last."""
        return tuple(sorted(self.trials, key=lambda trial: (trial.score is None, -_worth(self.objective, trial))))

    def searched(self) -> Searched:
        """Return the summary that a run reports."""
        states = [trial.state for trial in self.trials]
        return Searched(
            metric=self.objective.metric,
            trial=self.best.number,
            score=self.best.score or 0.0,
            parameters=self.best.parameters,
            completed=states.count("Completed"),
            failed=states.count("Failed"),
            pruned=states.count("Pruned"),
        )


def check(tuning: Tuning, known: KnownEstimator) -> None:
    """Raises InvalidParameters where the search cannot be what was meant, before any row is read."""
    try:
        estimators.accepting(known, (parameter.name for parameter in tuning.parameters))
    except InvalidParameters as error:
        raise InvalidParameters(f"{error.message}. Correct spec.tuning.parameters") from error
    spaces.axes(tuning.parameters)
    metric, direction = tuning.objective.metric, tuning.objective.direction
    scorers.must_be_known((metric,), "spec.tuning.objective.metric")
    if (metric in scorers.ERRORS) != (direction == "Minimize"):
        better, right = ("less", "Minimize") if metric in scorers.ERRORS else ("more", "Maximize")
        raise InvalidParameters(
            f"of {metric}, {better} is better, and spec.tuning.objective.direction {direction} would look for the worst; set it to {right}"
        )


def search(tuning: Tuning, seed: int, judge: Judge, now: Clock) -> Search:
    """Try parameters until there were enough trials, time is up, or nothing is left to try.

    Raises InvalidParameters or TrainingFailed where not one trial could be judged.
    """
    space = spaces.axes(tuning.parameters)
    following = sampler(tuning, space, seed)
    limit = now() + seconds(tuning.timeout) if tuning.timeout else float("inf")
    trials: list[SearchTrial] = []
    past: list[Tried] = []
    failures: list[RunFailed] = []
    warnings: tuple[str, ...] = ()
    for number in range(1, tuning.num_trials + 1):
        if trials and now() >= limit:
            break
        point = following(number, past)
        if point is None:
            warnings += (
                f"the search ended after {quantity(len(trials), 'trial')}, because there is nothing else to try",
            )
            break
        trial = SearchTrial(number=number, parameters=spaces.values(space, point))
        judged = any(earlier.score is not None for earlier in trials)
        try:
            trial = _judged(trial, judge, now, limit if judged else float("inf"))
        except RunFailed as error:
            failures.append(error)
            trial = trial.model_copy(update={"state": "Failed", "message": error.message[:_MAX_MESSAGE]})
        trials.append(trial)
        past.append(Tried(point, None if trial.score is None else _worth(tuning.objective, trial)))
        logger.info("trial %d of %d: %s %s", number, tuning.num_trials, trial.parameters, trial.score or trial.message)
    if trials and now() >= limit and len(trials) < tuning.num_trials:
        warnings += (
            f"the search ended after {len(trials)} of {tuning.num_trials} trials, when {tuning.timeout} were over",
        )
    judged_trials = [trial for trial in trials if trial.score is not None]
    if not judged_trials:
        kind = InvalidParameters if all(isinstance(error, InvalidParameters) for error in failures) else TrainingFailed
        raise kind(
            f"not one of the search's trials ({len(trials)}) could be judged; the first: {failures[0].message[:_MAX_MESSAGE]}; correct spec.tuning in another TrainingJob"
        )
    if failures:
        warnings += (
            f"{len(failures)} of {len(trials)} trials failed; the first: {failures[0].message[:_MAX_MESSAGE]}",
        )
    # The first of the best: a later trial must be better to be taken.
    best = max(judged_trials, key=lambda trial: _worth(tuning.objective, trial))
    return Search(objective=tuning.objective, trials=tuple(trials), best=best, warnings=warnings)


def _judged(trial: SearchTrial, judge: Judge, now: Clock, limit: float) -> SearchTrial:
    scores: list[float] = []
    for score in judge(trial.parameters):
        scores.append(score)
        if now() >= limit:
            # Even where this was the last fold: what is not over in time is not counted.
            return trial.model_copy(update={"state": "Pruned", "scores": tuple(scores)})
    return trial.model_copy(update={"score": sum(scores) / len(scores), "scores": tuple(scores)})


def _worth(objective: Objective, trial: SearchTrial) -> float:
    """More is better."""
    if trial.score is None:
        return float("-inf")
    return trial.score if objective.direction == "Maximize" else -trial.score
