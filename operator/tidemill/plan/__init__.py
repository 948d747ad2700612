"""Decisions, and nothing else: (key, world, now) → Plan. No clock, no randomness, no network."""

from __future__ import annotations

from datetime import datetime

from tidemill.api import Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.children.installation import Installation
from tidemill.plan import dataset, driftmonitor, inferenceservice, modelversion, trainingjob
from tidemill.plan.concerns import concerned
from tidemill.plan.plan import Answers, Mark, Notice, Plan, Question, Retirement
from tidemill.plan.reading import UnreadableError, is_leaving, read
from tidemill.plan.world import Key, Manifest, World, key_of


def visit(key: Key, world: World, installation: Installation, now: datetime, answers: Answers = ()) -> Plan | None:
    """What the object under `key` needs now; None where there is none, or it is being deleted.

    Raises UnreadableError where the object does not parse.
    """
    manifest = world.get(*key)
    if manifest is None or is_leaving(manifest):
        # What dies with the object is deleted by the garbage collector, what outlives it is left alone.
        return None
    match key.kind:
        case "Dataset":
            return dataset.plan(read(Dataset, manifest), world, installation, now)
        case "TrainingJob":
            return trainingjob.plan(read(TrainingJob, manifest), world, installation, now)
        case "ModelVersion":
            return modelversion.plan(read(ModelVersion, manifest), world, installation, now)
        case "InferenceService":
            return inferenceservice.plan(read(InferenceService, manifest), world, installation, now, answers)
        case "DriftMonitor":
            return driftmonitor.plan(read(DriftMonitor, manifest), world, installation, now)
    raise KeyError(f"no planner for {key.kind}")


def questions(key: Key, world: World) -> Question | None:
    """What has to be measured before the object under `key` can be planned."""
    manifest = world.get(*key)
    if key.kind != InferenceService.kind_name or manifest is None or is_leaving(manifest):
        return None
    return inferenceservice.questions(read(InferenceService, manifest), world)


__all__ = [
    "Answers",
    "Key",
    "Manifest",
    "Mark",
    "Notice",
    "Plan",
    "Question",
    "Retirement",
    "UnreadableError",
    "World",
    "concerned",
    "key_of",
    "questions",
    "visit",
]
