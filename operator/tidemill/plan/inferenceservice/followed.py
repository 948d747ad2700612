"""Compare the routing table that each stable pod follows with the one that was written for it.

A pod that follows an old table still sends requests to a candidate that was rolled back, or counts nothing for the one on trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from tidemill.api import InferenceService
from tidemill.api.conditions import PendingCondition, Reason, true, unknown
from tidemill.children import names
from tidemill.contract.serving import Measurements, Routes
from tidemill.plan.inferenceservice.lifecycle import ROUTES_SETTLE_SECONDS
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.lookup import annotation, is_being_deleted, is_ready
from tidemill.plan.types import Answers, Notice
from tidemill.plan.world import Manifest

CONDITION = "RoutesStale"
STALE_SECONDS = 30.0
"""Seconds for which a pod may follow another table before the service says so."""
LOOK_SECONDS = 5.0
"""Seconds between two looks while a pod follows another table."""


@dataclass(frozen=True, slots=True)
class RoutesFollowed:
    """Whether the stable pods follow what was written."""

    conditions: tuple[PendingCondition, ...] = ()
    notices: tuple[Notice, ...] = ()
    wake: float | None = None


def compare(service: InferenceService, state: ServiceState, answers: Answers, now: datetime) -> RoutesFollowed:
    """Return what to say of pods that follow another routing table: nothing for some seconds, then Unknown, then True."""
    before = service.status.condition(CONDITION)
    measured = {answer.pod: answer for answer in answers if isinstance(answer, Measurements) and answer.pod}
    pods = [pod for pod in state.of_role("stable") if is_ready(pod) and not is_being_deleted(pod)]
    heard = [pod for pod in pods if pod["metadata"]["name"] in measured]
    problems = [problem for pod in heard if (problem := _problem(pod, measured[pod["metadata"]["name"]]))]
    if not problems:
        if before is not None and pods and not heard:
            kept = PendingCondition(type=CONDITION, status=before.status, reason=before.reason, message=before.message)
            return RoutesFollowed((kept,), wake=LOOK_SECONDS)
        return RoutesFollowed()
    rollout = service.status.rollout
    if before is None and rollout is not None:
        left = ROUTES_SETTLE_SECONDS - (now - rollout.step_started_at).total_seconds()
        if left > 0:
            return RoutesFollowed(wake=left)
    since = before.last_transition_time if before is not None else now
    was_stale = before is not None and before.status == "True"
    message = _message(problems)
    if not was_stale and (now - since).total_seconds() < STALE_SECONDS - ROUTES_SETTLE_SECONDS:
        return RoutesFollowed((unknown(CONDITION, Reason.RECONCILING, message),), wake=LOOK_SECONDS)
    notices = () if was_stale else (Notice(Reason.ROUTES_NOT_FOLLOWED, message[:1000], "Warning"),)
    return RoutesFollowed((true(CONDITION, Reason.ROUTES_NOT_FOLLOWED, message),), notices, LOOK_SECONDS)


def _problem(pod: Manifest, measured: Measurements) -> str:
    """Return how the table that a pod follows differs from the one that was written; empty where it does not, or is not known."""
    followed = measured.routes
    if followed is None:
        return ""
    try:
        written = Routes.model_validate_json(annotation(pod, names.ROUTES) or "{}")
    except ValidationError:
        return ""
    if _essence(followed) == _essence(written):
        return ""
    because = f" ({measured.routes_problem[:200]})" if measured.routes_problem else ""
    return f"pod {pod['metadata']['name']} sends {_share(followed)}, but {_share(written)} is written{because}"


def _essence(routes: Routes) -> tuple[object, ...]:
    """Return what decides about requests; the addresses of other pods change all the time and only matter for labels."""
    if routes.candidate is None:
        return ()
    candidate = routes.candidate
    return (candidate.name, candidate.digest, routes.candidate_url, routes.weight, routes.shadow, routes.compare)


def _share(routes: Routes) -> str:
    if routes.candidate is None:
        return "no request to a candidate"
    mirrored = f" and copies of {routes.shadow}%" if routes.shadow else ""
    return f"{routes.weight}% of requests{mirrored} to {routes.candidate.name}"


def _message(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0]}{more}; see the log of the pod, and delete the pod if this does not end"
