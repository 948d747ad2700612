"""How a new version takes over, and where a rollout stands."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.analysis import Analysis, AnalysisResult
from tidemill.api.base import Duration, Moment, Percent, Rule, Text, WireModel


class Step(WireModel):
    """A stage of the canary."""

    weight: Percent
    """The share of requests that the candidate answers, in percent."""
    pause: Duration | None = None
    """How long the candidate must hold this weight before the next step; where it is left out, a person lets it go on
    (kubectl tidemill promote)."""


class Shadow(WireModel):
    """Copies of answered requests, which the candidate answers too and nobody waits for."""

    percent: Percent = 100
    """The share of answered requests that is copied."""
    duration: Duration = "5m"
    """How long the candidate must prove itself on copies before it answers clients."""


class Rollout(WireModel):
    """How a new version takes over."""

    strategy: Literal["Canary", "BlueGreen", "Shadow", "Recreate"] = "Canary"
    """Canary gives it a growing share of the traffic, in steps, and judges it. BlueGreen judges it on copies of requests, then gives it all
    traffic at once and keeps the previous version warm. Shadow judges it on copies and promotes it. Recreate replaces
    pods without judging."""
    shadow: Shadow | None = None
    """Copies of requests that the candidate is judged on before it answers clients. Canary does without where this is left out;
    BlueGreen and Shadow take all requests, for 5 minutes."""
    steps: tuple[Step, ...] = Field(
        default=(Step(weight=5, pause="5m"), Step(weight=25, pause="10m"), Step(weight=50, pause="10m")),
        max_length=20,
    )
    """The stages; after the last one the version is promoted."""
    keep_previous: Duration | None = None
    """How long the replaced version stays warm and can be returned to at once, while the new one answers every request and is
    still judged. 10m for BlueGreen where this is left out, otherwise no time at all."""
    analysis: Analysis = Analysis()
    """The examination."""
    on_inconclusive: Literal["Pause", "Rollback", "Continue"] = "Pause"
    """What happens at the end of a step when a metric had too few samples."""
    auto_promote: bool = True
    """Whether a candidate that passed is promoted without a person (kubectl tidemill promote)."""
    deadline: Duration = "4h"
    """A rollout that has not ended by then is rolled back; time in which it waits for a person does not count."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.strategy != 'Recreate' || !(has(self.shadow) || has(self.keepPrevious))",
            "Recreate replaces pods without judging: it has neither shadow nor keepPrevious",
            accepts={"strategy": "Shadow", "shadow": {"percent": 10}},
            rejects={"strategy": "Recreate", "shadow": {"percent": 10}},
        ),
    )


class RolloutStatus(WireModel):
    """The rollout under way."""

    phase: Literal["Starting", "Shadowing", "Progressing", "Paused", "Switched", "Promoting", "RollingBack"]
    """Where it stands: Shadowing is judged on copies, Switched answers everything while the previous version is kept warm."""
    version: str
    """The candidate."""
    step: int = Field(default=0, ge=0)
    """Index of the current stage."""
    weight: Percent = 0
    """The candidate's share now."""
    shadow: Percent = 0
    """The share of answered requests that it is given a copy of now."""
    started_at: Moment
    """When the candidate was chosen."""
    step_started_at: Moment
    """When the current step began."""
    analysed_at: Moment | None = None
    """When the candidate was judged last."""
    analysis: tuple[AnalysisResult, ...] = Field(default=(), max_length=32)
    """The newest judgement."""
    waits_since: Moment | None = None
    """Since when it waits for a person."""
    waited_seconds: int = Field(default=0, ge=0)
    """How long it waited for people before; the deadline moves by that much."""
    message: Text = ""
    """In a sentence."""


class Outcome(WireModel):
    """A rollout that ended."""

    version: str
    """The candidate."""
    digest: str = ""
    """Of its artefact."""
    outcome: Literal["Promoted", "RolledBack", "Superseded"]
    """How it ended."""
    reason: str = ""
    """The metric or event that decided."""
    message: Text = ""
    """In a sentence."""
    started_at: Moment
    """When it began."""
    at: Moment
    """When it ended."""
