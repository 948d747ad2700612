"""Alternatives to one estimator with fixed parameters: a search over parameters, a search over models, an image."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import Duration, EnvironmentVariable, MetricName, Parameter, Rule, WireModel, at_least_a_second

ParameterName = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]


class Validation(WireModel):
    """Cross-validation of a trial, on training rows alone."""

    folds: int = Field(default=5, ge=2, le=20)
    """Number of folds; rows that the Dataset's split keeps together stay in one fold."""


class Objective(WireModel):
    """Objective of the search."""

    metric: MetricName
    """Scorer of scikit-learn, such as `roc_auc`, or an error, such as `log_loss` or `rmse`."""
    direction: Literal["Maximize", "Minimize"] = "Maximize"
    """Maximize for scorers, Minimize for errors."""
    validation: Validation = Validation()
    """Cross-validation of each trial."""


class Interval(WireModel):
    """Numbers between two bounds."""

    min: float
    """Smallest value that is tried."""
    max: float
    """Largest value that is tried."""
    type: Literal["Float", "Int"] = "Float"
    """Number type: Int makes whole numbers."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.min < self.max", "min must be below max", {"min": 1, "max": 2}, {"min": 2, "max": 2}),
    )


class PositiveInterval(WireModel):
    """Positive numbers between two bounds, on a logarithmic scale."""

    min: float = Field(gt=0)
    """Smallest value that is tried."""
    max: float = Field(gt=0)
    """Largest value that is tried."""
    type: Literal["Float", "Int"] = "Float"
    """Number type: Int makes whole numbers."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.min < self.max", "min must be below max", {"min": 0.1, "max": 2}, {"min": 2, "max": 2}),
    )


class Choices(WireModel):
    """A list of unordered values."""

    choices: tuple[Parameter, ...] = Field(min_length=1, max_length=64)
    """List of values."""


class SearchSpace(WireModel):
    """Search space of a parameter; set exactly one of the fields."""

    uniform: Interval | None = None
    """Uniform distribution between two bounds."""
    log_uniform: PositiveInterval | None = None
    """Log-uniform distribution between two bounds."""
    categorical: Choices | None = None
    """One of several values."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.uniform), has(self.logUniform), has(self.categorical)].filter(is_set, is_set).size() == 1",
            "set exactly one of uniform, logUniform and categorical",
            accepts={"uniform": {"min": 1, "max": 9}},
            rejects={"uniform": {"min": 1, "max": 9}, "categorical": {"choices": [1, 9]}},
        ),
    )


class TunedParameter(WireModel):
    """A parameter that the search chooses."""

    list_key: ClassVar[str] = "name"

    name: ParameterName
    """Constructor argument of the estimator."""
    search_space: SearchSpace
    """Search space of the parameter."""


class Tuning(WireModel):
    """Search for the best parameters of the estimator."""

    objective: Objective
    """Objective of the search."""
    algorithm: Literal["Random", "Grid", "TPE", "CMAES", "Hyperopt"] = "TPE"
    """Search algorithm. TPE (tree-structured Parzen estimator) samples near earlier good trials. Random samples
    independently. Grid goes through evenly spaced values, as many as `numTrials` allows."""
    parameters: tuple[TunedParameter, ...] = Field(min_length=1, max_length=32)
    """Parameters that the search chooses; others keep the values of `estimator.parameters`."""
    num_trials: int = Field(default=50, ge=1, le=10000)
    """Maximum number of trials."""
    parallel_trials: int = Field(default=1, ge=1, le=64)
    """Number of concurrent trials in one pod."""
    workers: int = Field(default=1, ge=1, le=64)
    """Number of pods that share the trials."""
    early_stopping: Literal["MedianStop", "Hyperband", "None"] = "None"
    """Rule that stops unpromising trials early."""
    timeout: Duration | None = None
    """Maximum duration of the search; it ends with the best result so far. Keep it below `activeDeadline`, which ends
    the whole run."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second(
            "timeout",
            {
                "objective": {"metric": "f1"},
                "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 0, "max": 1}}}],
                "timeout": "1h",
            },
            {
                "objective": {"metric": "f1"},
                "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 0, "max": 1}}}],
                "timeout": "0h",
            },
        ),
    )


class Automl(WireModel):
    """Search over several kinds of models and their parameters."""

    time_budget: Duration = "30m"
    """Maximum duration of the search."""
    families: tuple[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=64)], ...] = Field(
        default=(), max_length=32
    )
    """Kinds of models that are tried; all kinds that the image supports if empty."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("timeBudget", {"timeBudget": "30m"}, {"timeBudget": "0m"}),)


class Trainer(WireModel):
    """Image that trains: it reads `/tidemill/input` and `/tidemill/order.json`, and writes `/tidemill/output`."""

    image: str = Field(pattern="^[^ ]+@sha256:[0-9a-f]{64}$", max_length=1024)
    """Image by digest; tags are not accepted because they can change."""
    command: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(default=(), max_length=64)
    """Command that replaces the entry point of the image."""
    args: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(default=(), max_length=64)
    """Arguments of the command."""
    env: tuple[EnvironmentVariable, ...] = Field(default=(), max_length=64)
    """Environment variables of the container."""
