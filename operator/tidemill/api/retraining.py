"""When a DriftMonitor retrains, on what, and what holds it back."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import Duration, Name, Rule, WireModel, at_least_a_second

Cron = Annotated[
    str,
    Field(
        pattern=r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*/,#?L-]+( +[0-9A-Za-z*/,#?L-]+){4})$",
        min_length=6,
        max_length=100,
    ),
]
"""Minute, hour, day of month, month, day of week, in UTC; or `@daily` and its like."""


RetrainingCause = Literal["Drift", "Schedule", "DataChange", "Manual"]


class Trigger(WireModel):
    """When drift is drift."""

    failing: Literal["Any", "All"] = "Any"
    """Any of the checks, or all of them. DataQuality and Timeliness never ask for a retraining: they hold it back."""
    consecutive: int = Field(default=2, ge=1, le=100)
    """How many windows in a row must fail."""
    checks: tuple[Name, ...] = Field(default=(), max_length=32)
    """Only these can ask for a retraining; all where left out."""


class ServedRowsPolicy(WireModel):
    """Which served rows a retraining learns from."""

    window: Duration = "30d"
    """How far back they reach."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("window", {"window": "30d"}, {"window": "0s"}),)


class DataSelection(WireModel):
    """Which rows a retraining learns from."""

    predictions: ServedRowsPolicy = ServedRowsPolicy()
    """Rows that were served and whose labels have come back."""
    combine: Literal["Append", "Replace"] = "Append"
    """Append adds them to the rows of the template's Dataset; Replace learns from them alone."""
    balance: Literal["None", "Sources", "Classes"] = "None"
    """Sources weighs the served rows as much as the Dataset's, whatever their numbers; Classes weighs every answer alike."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.balance) || self.balance != 'Sources' || !has(self.combine) || self.combine == 'Append'",
            "balance: Sources needs two sources: combine: Append",
            accepts={"combine": "Append", "balance": "Sources"},
            rejects={"combine": "Replace", "balance": "Sources"},
        ),
    )


class Template(WireModel):
    """What a retraining looks like."""

    training_job: Name
    """The TrainingJob whose spec is taken over."""
    data: DataSelection = DataSelection()
    """Which rows it learns from."""


class Budget(WireModel):
    """How many retrainings are paid for."""

    runs: int = Field(default=4, ge=1, le=20)
    """How many; the history that is counted holds twenty."""
    per: Duration = "30d"
    """In which time."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("per", {"runs": 4, "per": "30d"}, {"runs": 4, "per": "0s"}),)


class CircuitBreaker(WireModel):
    """When to stop trying."""

    rejected: int = Field(default=3, ge=1, le=20)
    """After this many versions in a row that were not taken into service, a person must look."""


class Retraining(WireModel):
    """What happens when the monitor fires, and when else a retraining is due."""

    mode: Literal["Off", "Observe", "Act"] = "Act"
    """Observe says what Act would have done."""
    trigger: Trigger = Trigger()
    """When drift is drift."""
    schedule: Cron | None = None
    """A retraining is due at these times (cron, UTC), whether anything drifted or not."""
    on_data_change: bool = False
    """A retraining is due when the template's Dataset has another revision than the served version learnt from."""
    template: Template
    """What a retraining looks like."""
    strategy: Literal["SameParameters", "Retune"] = "SameParameters"
    """SameParameters fits the served version's parameters again; Retune searches anew, as the template's tuning says."""
    minimum_interval: Duration = "24h"
    """The shortest time between two retrainings."""
    budget: Budget = Budget()
    """How many are paid for."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """When to stop trying."""
