"""What learns, other than one estimator with given parameters: a search over parameters, a search over models, an image."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import Duration, MetricName, Rule, Scalar, WireModel, at_least_a_second

ParameterName = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]


class Validation(WireModel):
    """How a trial is judged, on training rows alone."""

    folds: int = Field(default=5, ge=2, le=20)
    """Into how many parts the rows are cut for cross-validation; rows that the Dataset's split holds together stay in one."""


class Objective(WireModel):
    """What the search is for."""

    metric: MetricName
    """A scorer of scikit-learn, such as `roc_auc`, or an error, such as `log_loss` or `rmse`."""
    direction: Literal["Maximize", "Minimize"] = "Maximize"
    """Whether more or less of it is better: Minimize for errors, Maximize for scorers."""
    validation: Validation = Validation()
    """How a trial is judged."""


class Interval(WireModel):
    """Numbers between two bounds."""

    min: float
    """The smallest."""
    max: float
    """The largest."""
    type: Literal["Float", "Int"] = "Float"
    """Whether they are whole."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.min < self.max", "min must be below max", {"min": 1, "max": 2}, {"min": 2, "max": 2}),
    )


class PositiveInterval(WireModel):
    """Positive numbers between two bounds, every order of magnitude as likely."""

    min: float = Field(gt=0)
    """The smallest."""
    max: float = Field(gt=0)
    """The largest."""
    type: Literal["Float", "Int"] = "Float"
    """Whether they are whole."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.min < self.max", "min must be below max", {"min": 0.1, "max": 2}, {"min": 2, "max": 2}),
    )


class Choices(WireModel):
    """A few values without order."""

    choices: tuple[Scalar, ...] = Field(min_length=1, max_length=64)
    """The values."""


class SearchSpace(WireModel):
    """Where a parameter is looked for; exactly one of the fields is set."""

    uniform: Interval | None = None
    """Every number between two bounds is as likely."""
    log_uniform: PositiveInterval | None = None
    """Every order of magnitude between two bounds is as likely."""
    categorical: Choices | None = None
    """One of a few values."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.uniform), has(self.logUniform), has(self.categorical)].filter(one, one).size() == 1",
            "set exactly one of uniform, logUniform and categorical",
            accepts={"uniform": {"min": 1, "max": 9}},
            rejects={"uniform": {"min": 1, "max": 9}, "categorical": {"choices": [1, 9]}},
        ),
    )


class TunedParameter(WireModel):
    """A parameter of the estimator that the search may choose."""

    list_key: ClassVar[str] = "name"

    name: ParameterName
    """A constructor argument of the estimator."""
    search_space: SearchSpace
    """Where it is looked for."""


class Tuning(WireModel):
    """A search for the estimator's best parameters."""

    objective: Objective
    """What the search is for."""
    algorithm: Literal["Random", "Grid", "TPE", "CMAES", "Hyperopt"] = "TPE"
    """How the next trial is chosen. TPE is the tree-structured Parzen estimator, which looks where earlier trials were good; Grid goes through evenly spread values, as many as `numTrials` allows."""
    parameters: tuple[TunedParameter, ...] = Field(min_length=1, max_length=32)
    """What may be chosen; what is not named stays as `estimator.parameters` says."""
    num_trials: int = Field(default=50, ge=1, le=10000)
    """How many trials at most."""
    parallel_trials: int = Field(default=1, ge=1, le=64)
    """How many at a time in one pod."""
    workers: int = Field(default=1, ge=1, le=64)
    """How many pods share the trials."""
    early_stopping: Literal["MedianStop", "Hyperband", "None"] = "None"
    """Which trials are given up before their end."""
    timeout: Duration | None = None
    """When the search ends with what it has; keep it below `activeDeadline`, which ends the whole run."""

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
    """A search over kinds of models and their parameters."""

    time_budget: Duration = "30m"
    """How long it may take."""
    families: tuple[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=64)], ...] = Field(
        default=(), max_length=32
    )
    """Which kinds of models are tried; all that the image has where empty."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("timeBudget", {"timeBudget": "30m"}, {"timeBudget": "0m"}),)


class EnvironmentVariable(WireModel):
    """A variable that the process finds in its environment."""

    list_key: ClassVar[str] = "name"

    name: Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    """Its name."""
    value: str = Field(default="", max_length=4096)
    """Its value; secrets do not belong here."""


class Trainer(WireModel):
    """An image that trains: it reads `/tidemill/input` and `/tidemill/order.json`, and writes `/tidemill/output`."""

    image: str = Field(pattern="^[^ ]+@sha256:[0-9a-f]{64}$", max_length=1024)
    """The image, by digest: a tag would mean something else tomorrow."""
    command: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(default=(), max_length=64)
    """Instead of the image's entry point."""
    args: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(default=(), max_length=64)
    """What the entry point is given."""
    env: tuple[EnvironmentVariable, ...] = Field(default=(), max_length=64)
    """The process's environment."""
