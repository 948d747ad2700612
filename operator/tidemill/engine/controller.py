"""The visit: look, decide, act, for one object at a time, by as many workers as there are.

A visit never leaves with an exception: every way in which it can end has a place in `_end`, and a poisoned object disturbs
nobody but itself.
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
from tidemill.engine.events import Recorder
from tidemill.engine.measurements import Pods
from tidemill.engine.statuses import hindered, unreadable
from tidemill.engine.transitions import transitions
from tidemill.engine.workqueue import WorkQueue
from tidemill.plan.lookup import InvalidObjectError
from tidemill.plan.types import Answers, Notice, Plan, Question
from tidemill.plan.world import Key, Manifest, World

log = logging.getLogger(__name__)

VISIT_TIMEOUT_SECONDS = 30.0
"""Seconds that one visit may take."""
SLOW_RETRY_SECONDS = 30.0
"""Seconds before a refusal is tried again: nothing but a change will make the API server think otherwise."""


class Planner(Protocol):
    """What decides: pure functions of the world."""

    def visit(self, key: Key, world: World, installation: Installation, now: datetime, answers: Answers) -> Plan | None:
        """What shall be done about the object; None where it is gone."""
        ...

    def questions(self, key: Key, world: World) -> Question | None:
        """What to ask the pods before."""
        ...

    def dependents(self, manifest: Manifest, world: World) -> set[Key]:
        """Whose plans an object bears on."""
        ...


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the controller learns of the outside."""

    now: Callable[[], datetime]
    pods: Pods


class Controller:
    """Visits objects, as the queue says."""

    def __init__(
        self,
        planner: Planner,
        installation: Installation,
        store: ClusterCache,
        cluster: Applier,
        queue: WorkQueue[Key],
        recorder: Recorder,
        senses: Inputs,
    ) -> None:
        self._planner = planner
        self.installation = installation
        self._store = store
        self._cluster = cluster
        self._queue = queue
        self._recorder = recorder
        self._senses = senses
        self._work = asyncio.Event()
        self._stopping = False

    def nudge(self, keys: set[Key], *, urgent: bool = True) -> None:
        """Visit these soon."""
        for key in keys:
            self._queue.add(key, urgent=urgent)
        if keys:
            self._work.set()

    async def work(self) -> None:
        """Visit one object after the other, until told to stop."""
        while not self._stopping:
            key = self._queue.take()
            if key is None:
                await self._wait()
                continue
            try:
                await self._visit(key)
            finally:
                self._queue.done(key)
                self._work.set()

    def stop(self) -> None:
        """Begin no further visit."""
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
            self._work.set()  # every idle worker may find something due

    async def _visit(self, key: Key) -> None:
        began = time.perf_counter()
        result = "error"
        try:
            async with asyncio.timeout(VISIT_TIMEOUT_SECONDS):
                result = await self._plan_and_act(key)
            self._queue.forget(key)
        except errors.OperatorError as problem:
            result = self._again(key, problem)
        except TimeoutError:
            result = self._again(key, errors.Unavailable(f"the visit took more than {VISIT_TIMEOUT_SECONDS:.0f} s"))
        except (InvalidObjectError, ValidationError) as problem:
            result = "unreadable"
            await self._poisoned(key, problem)
        except Exception as bug:  # the last line: whatever a planner does, the others go on
            result = "bug"
            await self._bug(key, bug)
        metrics.RECONCILE_SECONDS.labels(key.kind, result).observe(time.perf_counter() - began)

    async def _plan_and_act(self, key: Key) -> str:
        question = self._planner.questions(key, self._store.world)
        answers = await self._senses.pods.answer(question) if question else ()
        live = self._store.world.get(*key)
        now = self._senses.now()
        plan = self._planner.visit(key, self._store.world, self.installation, now, answers)
        if live is None:
            self._cluster.forget(key)
            metrics.forget(key)
            self._queue.drop(key)
        if plan is None or live is None:
            return "gone"
        changed = False
        try:
            for manifest in plan.ensure:
                changed |= await self._cluster.ensure(manifest, key)
            for mark in plan.marks:
                changed |= await self._cluster.mark(mark, key)
        except errors.Refused as refusal:
            await self._hindered(key, plan, refusal, now)
            raise
        changed |= await self._report(key, plan.status)
        for retirement in plan.retire:
            changed |= await self._cluster.retire(retirement, key)
        if changed:
            for notice in plan.notices:
                await self._record(key, notice)
        if plan.wake is not None:
            self._queue.add_after(key, plan.wake)
            self._work.set()
        return "changed" if changed else "unchanged"

    async def _report(self, key: Key, status: Status) -> bool:
        live = self._store.world.get(*key)
        if live is None:
            return False
        before = live.get("status")
        wanted = status.to_wire()
        wrote = await self._cluster.report(key, live, wanted)
        if wrote:
            for milestone in transitions(key, before if isinstance(before, dict) else {}, wanted):
                metrics.count(milestone)
            log.info("%s: %s", key, _ready(status))
        return wrote

    async def _hindered(self, key: Key, plan: Plan, refusal: errors.Refused, now: datetime) -> None:
        reason = Reason.NAME_CONFLICT if isinstance(refusal, errors.NameConflict) else Reason.REFUSED
        live = self._store.world.get(*key)
        if live is None:
            return
        kind = type(plan.status)
        try:
            before = kind.model_validate(live.get("status") or {})
        except ValidationError:
            before = kind()
        generation = live["metadata"].get("generation", 0)
        status = hindered(before, reason, str(refusal), generation=generation, now=now)
        if await self._report(key, status):
            await self._record(key, Notice(reason, str(refusal), "Warning"))

    def _again(self, key: Key, problem: errors.OperatorError) -> str:
        name = type(problem).__name__
        metrics.RECONCILE_ERRORS.labels(key.kind, name).inc()
        at_least = SLOW_RETRY_SECONDS if isinstance(problem, errors.Refused) else getattr(problem, "retry_after", 0.0)
        delay = self._queue.retry(key, at_least=at_least)
        self._work.set()
        # Someone else writing first is everyday life, and so is an object that has just gone.
        level = logging.INFO if isinstance(problem, errors.Conflict | errors.Missing) else logging.WARNING
        log.log(level, "%s: %s: %s; again in %.1f s", key, name, problem, delay)
        return name.lower()

    async def _poisoned(self, key: Key, problem: Exception) -> None:
        metrics.RECONCILE_ERRORS.labels(key.kind, "Unreadable").inc()
        self._queue.retry(key, at_least=300.0)
        live = self._store.world.get(*key)
        if live is None:
            return
        message = (
            f"this object cannot be read: {' '.join(str(problem).split())[:512]}; mend the field, or delete the object"
        )
        try:
            said = unreadable(live, Reason.INVALID_SPEC, message, self._senses.now())
            if await self._cluster.complain(key, live, said):
                log.warning("%s: %s", key, message)
        except errors.OperatorError as further:
            log.warning("%s: it cannot be said in the status either: %s", key, further)

    async def _bug(self, key: Key, bug: Exception) -> None:
        metrics.RECONCILE_ERRORS.labels(key.kind, "Bug").inc()
        delay = self._queue.retry(key)
        log.exception("%s: a bug; again in %.1f s", key, delay)
        # The class alone: an Event whose words change each time would not be deduplicated.
        await self._record(
            key, Notice(Reason.INTERNAL_ERROR, f"{type(bug).__name__} in the operator; see its log", "Warning")
        )

    async def _record(self, key: Key, notice: Notice) -> None:
        about = self._store.world.get(*key)
        if about is not None:
            await self._recorder.record(notice, about)


def _ready(status: Any) -> str:
    ready = status.condition("Ready")
    return f"Ready={ready.status} {ready.reason}: {ready.message}" if ready else "status written"


__all__ = ["Controller", "Inputs", "Planner"]
