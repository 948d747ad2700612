"""Plan each object as a pure function: (key, world, now) → Plan. No clock, no randomness, no network."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tidemill.api import Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.children.installation import Installation
from tidemill.plan import diagnosis, modelversion, trainingjob
from tidemill.plan.dataset import planner as dataset
from tidemill.plan.dependents import dependents
from tidemill.plan.driftmonitor import planner as driftmonitor
from tidemill.plan.inferenceservice import planner as inferenceservice
from tidemill.plan.lookup import InvalidObjectError, Kind, get_or_none, is_being_deleted
from tidemill.plan.types import Answers, Mark, Notice, Plan, Question, Retirement
from tidemill.plan.world import Key, Manifest, World, key_of


def visit(key: Key, world: World, installation: Installation, now: datetime, answers: Answers = ()) -> Plan | None:
    """Return what the object under `key` needs now; None if there is none, or if it is being deleted.

    Raises InvalidObjectError if the object does not parse.
    """
    manifest = world.get(*key)
    if manifest is None or is_being_deleted(manifest):
        # The garbage collector deletes what the object owns; what outlives it stays.
        return None
    plan = _plan(key, diagnosis.with_answers(world, answers), installation, now, answers)
    # No event tells that nothing happens: whatever is stuck is looked at again.
    until_events = diagnosis.seconds_until_query(key, world, now)
    if until_events is None or (plan.wake is not None and plan.wake <= until_events):
        return plan
    return replace(plan, wake=until_events)


def _plan(key: Key, world: World, installation: Installation, now: datetime, answers: Answers) -> Plan:
    match key.kind:
        case "Dataset":
            return dataset.plan(_known(Dataset, world, key), world, installation, now)
        case "TrainingJob":
            return trainingjob.plan(_known(TrainingJob, world, key), world, installation, now)
        case "ModelVersion":
            return modelversion.plan(_known(ModelVersion, world, key), world, installation, now)
        case "InferenceService":
            return inferenceservice.plan(_known(InferenceService, world, key), world, installation, now, answers)
        case "DriftMonitor":
            return driftmonitor.plan(_known(DriftMonitor, world, key), world, installation, now, answers)
    raise KeyError(f"no planner for {key.kind}")


def _known(kind: type[Kind], world: World, key: Key) -> Kind:
    value = get_or_none(kind, world, key)
    assert value is not None, "the key was looked up before"
    return value


def questions(key: Key, world: World, now: datetime) -> Question | None:
    """Return what must be asked before the object under `key` can be planned."""
    manifest = world.get(*key)
    if manifest is None or is_being_deleted(manifest):
        return None
    question = _questions(key, world)
    events = diagnosis.queries(key, world, now)
    return replace(question or Question(), events=events) if events else question


def _questions(key: Key, world: World) -> Question | None:
    match key.kind:
        case "InferenceService":
            return inferenceservice.questions(_known(InferenceService, world, key), world)
        case "DriftMonitor":
            return driftmonitor.questions(_known(DriftMonitor, world, key), world)
    return None


__all__ = [
    "Answers",
    "InvalidObjectError",
    "Key",
    "Manifest",
    "Mark",
    "Notice",
    "Plan",
    "Question",
    "Retirement",
    "World",
    "dependents",
    "key_of",
    "questions",
    "visit",
]
