"""Retraining by a DriftMonitor: triggers, training rows, and guards."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.base import Cron, Duration, Name, Rule, WireModel, at_least_a_second

RetrainingCause = Literal["Drift", "Schedule", "DataChange", "Manual"]


class TriggerPolicy(WireModel):
    """Condition under which failing checks trigger a retraining."""

    failing: Literal["Any", "All"] = "Any"
    """Any triggers if one of the checks fails, All only if all of them do. DataQuality and Timeliness never trigger a
    retraining; they block it."""
    consecutive: int = Field(default=2, ge=1, le=100)
    """Number of consecutive windows that must fail."""
    checks: tuple[Name, ...] = Field(default=(), max_length=32)
    """Names of the checks that can trigger a retraining; all checks if empty."""


class ServedRowsPolicy(WireModel):
    """Range of served rows that a retraining uses."""

    window: Duration = "30d"
    """Age of the oldest rows that are used."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("window", {"window": "30d"}, {"window": "0s"}),)


class DataSelection(WireModel):
    """Rows that a retraining is trained on."""

    predictions: ServedRowsPolicy = ServedRowsPolicy()
    """Served rows whose labels have been received."""
    combine: Literal["Append", "Replace"] = "Append"
    """Append adds them to the rows of the template's Dataset; Replace trains on them alone."""
    balance: Literal["None", "Sources", "Classes"] = "None"
    """Sources gives served rows and Dataset rows the same total weight; Classes gives each class the same total
    weight."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.balance) || self.balance != 'Sources' || !has(self.combine) || self.combine == 'Append'",
            "balance Sources requires two sources; set combine to Append",
            accepts={"combine": "Append", "balance": "Sources"},
            rejects={"combine": "Replace", "balance": "Sources"},
        ),
    )


class Template(WireModel):
    """Template of the TrainingJob."""

    training_job: Name
    """TrainingJob whose spec is copied."""
    data: DataSelection = DataSelection()
    """Rows that the retraining is trained on."""


class Budget(WireModel):
    """Maximum number of retrainings in a period."""

    runs: int = Field(default=4, ge=1, le=20)
    """Maximum number of retrainings."""
    per: Duration = "30d"
    """Length of the period."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("per", {"runs": 4, "per": "30d"}, {"runs": 4, "per": "0s"}),)


class CircuitBreaker(WireModel):
    """Stop of retraining after repeated rejections."""

    rejected: int = Field(default=3, ge=1, le=20)
    """Number of consecutive versions that were not promoted after which retraining stops, until a person resets it."""


class Retraining(WireModel):
    """Triggers of a retraining, its template, and the guards that limit it."""

    mode: Literal["Off", "Observe", "Act"] = "Act"
    """Act starts retrainings; Observe only reports in the status what Act would start; Off disables retraining."""
    trigger: TriggerPolicy = TriggerPolicy()
    """Condition under which failing checks trigger a retraining."""
    schedule: Cron | None = None
    """Cron expression in UTC; a retraining is due at these times with or without drift."""
    on_data_change: bool = False
    """Trigger a retraining when the template's Dataset has another revision than the version in service was trained
    on."""
    template: Template
    """Template of the TrainingJob."""
    strategy: Literal["SameParameters", "Retune"] = "SameParameters"
    """SameParameters trains with the parameters of the version in service; Retune searches parameters again, as the
    template's tuning describes."""
    minimum_interval: Duration = "24h"
    """Minimum time between two retrainings."""
    budget: Budget = Budget()
    """Maximum number of retrainings in a period."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """Stop of retraining after repeated rejections."""
