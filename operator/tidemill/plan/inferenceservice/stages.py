"""Derive the stages of a rollout from its strategy: the candidate's share in each, for how long, and who continues it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidemill.api.durations import seconds
from tidemill.api.inferenceservice import Rollout, Shadow

KEEP_BLUE: str = "10m"
"""How long BlueGreen keeps the previous version warm by default."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The candidate's share for a time."""

    phase: Literal["Shadowing", "Progressing", "Switched"]
    weight: int
    shadow: int
    hold: float
    """Seconds for which the stage lasts."""
    manual: bool = False
    """Whether only a user continues the rollout after this stage."""
    name: str = ""


def stages(spec: Rollout) -> tuple[Stage, ...]:
    """Return the stages of a rollout in order; after the last one the version is promoted.

    With autoPromote off, a user continues it after the last stage in which the stable version still answers.
    """
    before = [*_shadow(spec), *_steps(spec)]
    if before and not spec.auto_promote:
        last = before[-1]
        before[-1] = Stage(last.phase, last.weight, last.shadow, last.hold, True, last.name)
    return (*before, *_switch(spec))


def _shadow(spec: Rollout) -> list[Stage]:
    shadow = spec.shadow or (Shadow() if spec.strategy in {"BlueGreen", "Shadow"} else None)
    if shadow is None:
        # A candidate without any stage still waits for a user.
        return [Stage("Progressing", 0, 0, 0.0, name="standing by")] if not (spec.auto_promote or spec.steps) else []
    name = f"mirroring {shadow.percent}% of requests" if shadow.percent else "standing by"
    return [Stage("Shadowing", 0, shadow.percent, seconds(shadow.duration), name=name)]


def _steps(spec: Rollout) -> list[Stage]:
    if spec.strategy != "Canary":
        return []
    return [
        Stage(
            "Progressing",
            step.weight,
            0,
            seconds(step.pause) if step.pause is not None else 0.0,
            step.pause is None,
            f"step {number} of {len(spec.steps)}: {step.weight}% of requests",
        )
        for number, step in enumerate(spec.steps, 1)
    ]


def _switch(spec: Rollout) -> list[Stage]:
    keep = spec.keep_previous if spec.keep_previous is not None else KEEP_BLUE if spec.strategy == "BlueGreen" else None
    if keep is None or seconds(keep) == 0:
        return []
    return [
        Stage(
            "Switched",
            100,
            0,
            seconds(keep),
            name=f"answering every request; the previous version stays warm for {keep}",
        )
    ]
