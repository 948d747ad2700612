"""Reconcile: observe, decide, act, for one object at a time, by as many workers as there are.

A reconciliation never ends with an exception: each way in which it can fail has a branch in `_reconcile`, and an invalid
object disturbs no other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from tidemill.api.conditions import Reason, Status
from tidemill.children.installation import Installation
from tidemill.engine import errors, metrics
from tidemill.engine.apply import Applier
from tidemill.engine.cache import ClusterCache
from tidemill.engine.child_events import EventReader
from tidemill.engine.events import Recorder
from tidemill.engine.measurements import Pods
from tidemill.engine.statuses import invalid, with_failure
from tidemill.engine.transitions import transitions
from tidemill.engine.workqueue import WorkQueue
from tidemill.plan.lookup import InvalidObjectError
from tidemill.plan.types import Answers, Notice, Plan, Question
from tidemill.plan.world import Key, Manifest, World

log = logging.getLogger(__name__)

RECONCILE_TIMEOUT_SECONDS = 30.0
"""Seconds that one reconciliation may take."""
SLOW_RETRY_SECONDS = 30.0
"""Seconds before a refused write is tried again: only a change makes the API server accept it."""


class Planner(Protocol):
    """The decisions, as pure functions of the world."""

    def visit(self, key: Key, world: World, installation: Installation, now: datetime, answers: Answers) -> Plan | None:
        """Return what to do about the object; None if it is gone."""
        ...

    def questions(self, key: Key, world: World, now: datetime) -> Question | None:
        """Return what to ask the pods before."""
        ...

    def dependents(self, manifest: Manifest, world: World) -> set[Key]:
        """Return the keys whose plans depend on an object."""
        ...


@dataclass(frozen=True, slots=True)
class Inputs:
    """The controller's knowledge from outside the cluster's objects."""

    now: Callable[[], datetime]
    pods: Pods
    events: EventReader


class Controller:
    """Reconcile objects in the order of the queue."""

    def __init__(
        self,
        planner: Planner,
        installation: Installation,
        cache: ClusterCache,
        applier: Applier,
        queue: WorkQueue[Key],
        recorder: Recorder,
        inputs: Inputs,
    ) -> None:
        self._planner = planner
        self._installation = installation
        self._cache = cache
        self._applier = applier
        self._queue = queue
        self._recorder = recorder
        self._inputs = inputs
        self._work = asyncio.Event()
        self._stopping = False

    def enqueue(self, keys: set[Key], *, urgent: bool = True) -> None:
        """Reconcile these soon."""
        for key in keys:
            self._queue.add(key, urgent=urgent)
        if keys:
            self._work.set()

    async def work(self) -> None:
        """Reconcile one object after the other, until stopped."""
        while not self._stopping:
            key = self._queue.take()
            if key is None:
                await self._wait()
                continue
            try:
                await self._reconcile(key)
            finally:
                self._queue.done(key)
                self._work.set()

    def stop(self) -> None:
        """Begin no further reconciliation."""
        self._stopping = True
        self._work.set()

    async def _wait(self) -> None:
        self._work.clear()
        if self._stopping:
            return
        delay = self._queue.seconds_to_next()
        try:
            async with asyncio.timeout(delay):
                await self._work.wait()
        except TimeoutError:
            self._work.set()  # each idle worker may find a key that is due

    async def _reconcile(self, key: Key) -> None:
        began = time.perf_counter()
        result = "error"
        try:
            async with asyncio.timeout(RECONCILE_TIMEOUT_SECONDS):
                result = await self._plan_and_apply(key)
            self._queue.forget(key)
        except errors.OperatorError as problem:
            result = self._retry(key, problem)
        except TimeoutError:
            result = self._retry(
                key, errors.Unavailable(f"the reconciliation took more than {RECONCILE_TIMEOUT_SECONDS:.0f} s")
            )
        except (InvalidObjectError, ValidationError) as problem:
            result = "invalid"
            await self._invalid(key, problem)
        except Exception as bug:  # the last resort: whatever a planner does, the other objects go on
            result = "bug"
            await self._report_bug(key, bug)
        metrics.RECONCILE_SECONDS.labels(key.kind, result).observe(time.perf_counter() - began)

    async def _plan_and_apply(self, key: Key) -> str:
        question = self._planner.questions(key, self._cache.world, self._inputs.now())
        answers = await self._answer(question) if question else ()
        live = self._cache.world.get(*key)
        now = self._inputs.now()
        plan = self._planner.visit(key, self._cache.world, self._installation, now, answers)
        if live is None:
            self._applier.forget(key)
            metrics.forget(key, was_last=not self._cache.world.has(key.kind, key.namespace))
            self._queue.drop(key)
        if plan is None or live is None:
            return "gone"
        changed = False
        try:
            for manifest in plan.ensure:
                changed |= await self._applier.ensure(manifest, key)
            for mark in plan.marks:
                changed |= await self._applier.mark(mark, key)
        except errors.Refused as refusal:
            await self._report_failure(key, plan, refusal, now)
            raise
        changed |= await self._report(key, plan.status)
        for retirement in plan.retire:
            changed |= await self._applier.retire(retirement, key)
        if changed:
            for notice in plan.notices:
                await self._record(key, notice)
        if plan.wake is not None:
            self._queue.add_after(key, plan.wake)
            self._work.set()
        return "changed" if changed else "unchanged"

    async def _answer(self, question: Question) -> Answers:
        """Ask the pods, and read the Events about those that do not start."""
        answers = await self._inputs.pods.answer(question)
        return (*answers, *await self._inputs.events.read(question.events)) if question.events else answers

    async def _report(self, key: Key, status: Status) -> bool:
        live = self._cache.world.get(*key)
        if live is None:
            return False
        before = live.get("status")
        wanted = status.to_wire()
        wrote = await self._applier.report(key, live, wanted)
        if wrote:
            for transition in transitions(key, before if isinstance(before, dict) else {}, wanted):
                metrics.count(transition)
            log.info("%s: %s", key, _ready(status))
        return wrote

    async def _report_failure(self, key: Key, plan: Plan, refusal: errors.Refused, now: datetime) -> None:
        reason = Reason.NAME_CONFLICT if isinstance(refusal, errors.NameConflict) else Reason.REFUSED
        live = self._cache.world.get(*key)
        if live is None:
            return
        kind = type(plan.status)
        try:
            before = kind.model_validate(live.get("status") or {})
        except ValidationError:
            before = kind()
        generation = live["metadata"].get("generation", 0)
        status = with_failure(before, reason, str(refusal), generation=generation, now=now)
        if await self._report(key, status):
            await self._record(key, Notice(reason, str(refusal), "Warning"))

    def _retry(self, key: Key, problem: errors.OperatorError) -> str:
        name = type(problem).__name__
        metrics.RECONCILE_ERRORS.labels(key.kind, name).inc()
        at_least = SLOW_RETRY_SECONDS if isinstance(problem, errors.Refused) else getattr(problem, "retry_after", 0.0)
        delay = self._queue.retry(key, at_least=at_least)
        self._work.set()
        # A concurrent write is normal, and so is an object that was just deleted.
        level = logging.INFO if isinstance(problem, errors.Conflict | errors.Missing) else logging.WARNING
        log.log(level, "%s: %s: %s; trying again in %.1f s", key, name, problem, delay)
        return name.lower()

    async def _invalid(self, key: Key, problem: Exception) -> None:
        metrics.RECONCILE_ERRORS.labels(key.kind, "Unreadable").inc()
        self._queue.retry(key, at_least=300.0)
        live = self._cache.world.get(*key)
        if live is None:
            return
        message = f"invalid object: {' '.join(str(problem).split())[:512]}; fix the field or delete the object"
        try:
            fields = invalid(live, Reason.INVALID_SPEC, message, self._inputs.now())
            if await self._applier.report_invalid(key, live, fields):
                log.warning("%s: %s", key, message)
        except errors.OperatorError as further:
            log.warning("%s: the status cannot be written either: %s", key, further)

    async def _report_bug(self, key: Key, bug: Exception) -> None:
        metrics.RECONCILE_ERRORS.labels(key.kind, "Bug").inc()
        delay = self._queue.retry(key)
        log.exception("%s: internal error; trying again in %.1f s", key, delay)
        # The class alone: an Event with another text each time would not be deduplicated.
        await self._record(
            key,
            Notice(
                Reason.INTERNAL_ERROR, f"internal error {type(bug).__name__}; see the log of the operator", "Warning"
            ),
        )

    async def _record(self, key: Key, notice: Notice) -> None:
        about = self._cache.world.get(*key)
        if about is not None:
            await self._recorder.record(notice, about)


def _ready(status: Any) -> str:
    ready = status.condition("Ready")
    return f"Ready={ready.status} {ready.reason}: {ready.message}" if ready else "status written"


__all__ = ["Controller", "Inputs", "Planner"]
