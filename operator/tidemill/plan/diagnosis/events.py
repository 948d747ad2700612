"""Select the objects whose Events are to be read: Jobs that have no pod, and pods that a node has and does not start.

Events are read for these alone, some seconds after their creation and then twice a minute, so that they cost nothing
where everything runs. A watch of Events would cost the API server work for each Event of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tidemill.children import names
from tidemill.plan.diagnosis.pods import Events, is_starting
from tidemill.plan.lookup import get_path, is_being_deleted
from tidemill.plan.types import Answers, EventsQuery, ObservedEvents
from tidemill.plan.world import Key, Manifest, World

JOB_GRACE_SECONDS: Final = 5.0
"""Age from which a Job without a pod is looked at; its controller takes milliseconds."""
POD_GRACE_SECONDS: Final = 20.0
"""Age from which a pod that does not start is looked at."""
REPEAT_SECONDS: Final = 20.0
"""Seconds until the Events of an object are read again."""
MAX_QUERIES: Final = 4
"""Objects whose Events one reconciliation reads; the others are looked at in one of the next."""


def queries(key: Key, world: World, now: datetime) -> tuple[EventsQuery, ...]:
    """Return the Events to read before the object under `key` is planned."""
    due = [EventsQuery(child["metadata"]["namespace"], uid) for child, uid, wait in _stuck(key, world, now) if not wait]
    return tuple(due[:MAX_QUERIES])


def seconds_until_query(key: Key, world: World, now: datetime) -> float | None:
    """Return the seconds until Events are to be read for the object under `key`; None if nothing of it is stuck."""
    return min((wait or REPEAT_SECONDS for _, _, wait in _stuck(key, world, now)), default=None)


def with_answers(world: World, answers: Answers) -> World:
    """Return the world with the Events that were read."""
    events: Events = {answer.uid: answer.events for answer in answers if isinstance(answer, ObservedEvents)}
    return world.with_events(events) if events else world


def _stuck(key: Key, world: World, now: datetime) -> Iterator[tuple[Manifest, str, float]]:
    """Yield each child that may be stuck, with its uid and the seconds until it counts as such."""
    owner = world.get(*key)
    if owner is None:
        return
    pods = world.labelled("Pod", key.namespace, names.OWNER_UID, owner["metadata"].get("uid", ""))
    for pod in pods:
        if is_starting(pod):
            yield from _due(pod, get_path(pod, "metadata", "creationTimestamp"), POD_GRACE_SECONDS, now)
    for job in world.owned("Job", owner["metadata"].get("uid", "")):
        if _lacks_pod(job) and not world.owned("Pod", job["metadata"].get("uid", "")):
            started = get_path(job, "status", "startTime") or get_path(job, "metadata", "creationTimestamp")
            yield from _due(job, started, JOB_GRACE_SECONDS, now)


def _due(child: Manifest, since: str | None, grace: float, now: datetime) -> Iterator[tuple[Manifest, str, float]]:
    uid = child["metadata"].get("uid")
    if since and uid:
        age = (now - datetime.fromisoformat(since)).total_seconds()
        yield child, uid, max(grace - age, 0.0)


def _lacks_pod(job: Manifest) -> bool:
    """Return whether a Job should have a pod by its own status."""
    ended = any(
        condition.get("type") in {"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"}
        and condition.get("status") == "True"
        for condition in get_path(job, "status", "conditions") or ()
    )
    return not ended and not get_path(job, "spec", "suspend") and not is_being_deleted(job)
