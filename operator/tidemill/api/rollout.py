"""Rollout of a new version: strategy, steps, and status."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.analysis import Analysis, AnalysisResult
from tidemill.api.base import Duration, Percent, Rule, Text, Timestamp, WireModel


class Step(WireModel):
    """A step of the canary."""

    weight: Percent
    """Share of requests that the candidate answers, in percent."""
    pause: Duration | None = None
    """Time that the candidate must pass at this weight before the next step. If empty, the rollout waits for a person
    (kubectl tidemill promote)."""


class Shadow(WireModel):
    """Mirroring of requests: the candidate receives copies, and its responses are compared and discarded."""

    percent: Percent = 100
    """Share of the answered requests that is mirrored."""
    duration: Duration = "5m"
    """Time that the candidate must pass on mirrored requests before it answers clients."""


class Rollout(WireModel):
    """Rollout of a new version."""

    strategy: Literal["Canary", "BlueGreen", "Shadow", "Recreate"] = "Canary"
    """Canary gives the new version a growing share of the traffic in steps, and judges it. BlueGreen judges it on
    mirrored requests, then switches all traffic at once and keeps the previous version warm. Shadow judges it on
    mirrored requests and promotes it. Recreate replaces the pods without judging."""
    shadow: Shadow | None = None
    """Mirroring of requests before the candidate answers clients. If empty, Canary mirrors none; BlueGreen and Shadow
    mirror all requests for 5 minutes."""
    steps: tuple[Step, ...] = Field(
        default=(Step(weight=5, pause="5m"), Step(weight=25, pause="10m"), Step(weight=50, pause="10m")),
        max_length=20,
    )
    """Steps of the canary; the version is promoted after the last one. An edit during a rollout applies at once: the
    candidate gets the share of the step with the same number, or of the last one."""
    keep_previous: Duration | None = None
    """Time for which the replaced version stays warm for an immediate rollback, while the new one answers every
    request and is still judged. If empty: 10m for BlueGreen, otherwise 0s."""
    analysis: Analysis = Analysis()
    """Judgement of the candidate during the rollout."""
    on_inconclusive: Literal["Pause", "Rollback", "Continue"] = "Pause"
    """Action at the end of a step if a metric had too few samples."""
    auto_promote: bool = True
    """Promote a candidate that passed without a person; if false, the rollout waits (kubectl tidemill promote)."""
    deadline: Duration = "4h"
    """Maximum duration of a rollout; it is rolled back after that, in every phase. Before the promotion, time in which
    it waits for a person, or for the surroundings of its pods (room, quota, memory limit, image, store), does not
    count."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.strategy != 'Recreate' || !(has(self.shadow) || has(self.keepPrevious))",
            "strategy Recreate does not judge the new version; remove shadow and keepPrevious",
            accepts={"strategy": "Shadow", "shadow": {"percent": 10}},
            rejects={"strategy": "Recreate", "shadow": {"percent": 10}},
        ),
    )


class AnalysisJob(WireModel):
    """The Job that judges the candidate for one metric of type Job."""

    list_key: ClassVar[str] = "metric"

    metric: str
    """Name of the metric in the spec."""
    name: str
    """Name of the Job."""
    attempt: int = Field(default=0, ge=0)
    """Number of earlier Jobs of the metric that gave no verdict, because their pod did not start or was removed."""
    started_at: Timestamp | None = None
    """Time when the container of the Job started; empty until it has."""
    exit_code: int | None = None
    """Exit code of the container; empty until it has ended."""
    reason: str = ""
    """CamelCase word for what keeps the Job from running, such as Unschedulable; empty if nothing is in its way."""
    message: Text = ""
    """Explanation in one sentence."""
    retry_at: Timestamp | None = None
    """Time when the Job is started after one that gave no verdict."""


class RolloutStatus(WireModel):
    """The current rollout."""

    phase: Literal["Starting", "Shadowing", "Progressing", "Paused", "Switched", "Promoting", "RollingBack"]
    """Phase of the rollout. In Shadowing the candidate is judged on mirrored requests; in Switched it answers all
    requests while the previous version is kept warm."""
    version: str
    """Name of the candidate."""
    step: int = Field(default=0, ge=0)
    """Index of the current step, from 0."""
    weight: Percent = 0
    """Share of requests that the candidate answers now, in percent; 0 while no pod of it is ready."""
    shadow: Percent = 0
    """Share of answered requests that is mirrored to the candidate now, in percent; 0 while no pod of it is ready. Where
    a Gateway splits requests, more may be mirrored to compare both versions on the same rows."""
    desired_weight: Percent | None = None
    """Share of requests that the current step asks for, in percent; only while no pod of the candidate is ready and
    weight is 0 instead."""
    desired_shadow: Percent | None = None
    """Share of mirrored requests that the current step asks for, in percent; only while no pod of the candidate is
    ready and shadow is 0 instead."""
    started_at: Timestamp
    """Time when the candidate was selected."""
    step_started_at: Timestamp
    """Time when the current step began."""
    analysed_at: Timestamp | None = None
    """Time of the newest judgement."""
    analysis: tuple[AnalysisResult, ...] = Field(default=(), max_length=32)
    """Results of the newest judgement."""
    jobs: tuple[AnalysisJob, ...] = Field(default=(), max_length=32)
    """Jobs of the metrics of type Job."""
    waits_since: Timestamp | None = None
    """Time since when the rollout waits for a person, or for the surroundings of its pods."""
    waited_seconds: int = Field(default=0, ge=0)
    """Time in seconds that the rollout waited before; the deadline moves by this much."""
    previous: str = ""
    """Name of the version that was stable when the rollout began; an abort returns to it."""
    reason: str = ""
    """CamelCase word for what the candidate's pods, or a Job of its analysis, wait for, such as Unschedulable or
    OOMKilled; CandidateNotReady if its processes run without being ready; empty if nothing is in their way."""
    message: Text = ""
    """Explanation in one sentence."""


class Rejection(WireModel):
    """A version that this service rejected: it is not tried again here until a person asks for it
    (kubectl tidemill retry). Other services of the model are not affected."""

    version: str
    """Name of the ModelVersion."""
    digest: str = Field(default="", pattern="^(sha256:[0-9a-f]{64})?$", max_length=71)
    """Digest of the model artifact; every ModelVersion with this digest is rejected."""
    reason: str = ""
    """Metric or event that decided."""
    message: Text = ""
    """Explanation in one sentence."""
    at: Timestamp
    """Time of the rejection."""


class Outcome(WireModel):
    """A finished rollout."""

    version: str
    """Name of the candidate."""
    digest: str = ""
    """Digest of the model artifact."""
    outcome: Literal["Promoted", "RolledBack", "Superseded"]
    """Result of the rollout."""
    reason: str = ""
    """Metric or event that decided."""
    message: Text = ""
    """Explanation in one sentence."""
    started_at: Timestamp
    """Time when the rollout began."""
    at: Timestamp
    """Time when the rollout ended."""
    generation: int = Field(default=0, ge=0)
    """Generation of the spec at the end; a later edit ends the wait for another try."""
