"""One operator's turn: a burst of objects, rest, single changes at a fixed rate, and a restart with nothing to do."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.operator.clock import AuditLog, Progress, Timeline
from benchmarks.operator.contenders import Contender
from benchmarks.operator.loads import Hands, create, edit, make_namespace, name_of

CREATORS = 8
"""Connections that create objects at the same time."""
A_SECOND = 10.0
"""Single changes a second, once the burst is over."""
CHANGES = 100
IDLE_SECONDS = 15.0
AFTER_READY = 40.0
"""Seconds after a restarted operator says it is ready in which writes are counted: longer than until Tidemill lists everything for the second time."""


@dataclass
class Result:
    """What was found of one operator and so many objects; seconds, megabytes, and counts by verb and resource."""

    contender: str
    objects: int
    converged: int = 0
    rate: float = 0.0
    burst_p50: float = math.nan
    burst_p99: float = math.nan
    burst_cpu: float = 0.0
    burst_writes: dict[str, int] = field(default_factory=dict)
    burst_reads: dict[str, int] = field(default_factory=dict)
    rss_start: float = 0.0
    rss_peak: float = 0.0
    rss_settled: float = 0.0
    idle_cpu_percent: float = math.nan
    idle_writes: int = 0
    create_p50: float = math.nan
    create_p99: float = math.nan
    edit_p50: float = math.nan
    edit_p99: float = math.nan
    edit_converged_p50: float = math.nan
    edit_converged_p99: float = math.nan
    edit_writes: dict[str, int] = field(default_factory=dict)
    edit_cpu: float = math.nan
    restart_ready: float = math.nan
    restart_rest: float = math.nan
    restart_cpu: float = math.nan
    restart_writes: dict[str, int] = field(default_factory=dict)
    restart_peak: float = math.nan

    def to_wire(self) -> dict[str, Any]:
        return asdict(self)


async def play(contender: Contender, hands: Hands, audit: AuditLog, objects: int, *, minutes: float) -> Result:
    """Measure everything; what does not end within `minutes` is said to be as far as it came."""
    timeline = audit.timelines.setdefault(contender.namespace, Timeline())
    result = Result(contender.name, objects)
    await make_namespace(hands, contender.namespace)
    contender.start()
    try:
        await asyncio.to_thread(contender.wait_answering)
        result.rss_start = contender.resident
        if await _burst(contender, hands, audit, timeline, result, minutes):
            await _rest(contender, audit, timeline, result)
            await _changes(contender, hands, audit, timeline, result)
            contender.stop()
            await _restart(contender, audit, timeline, result)
    finally:
        contender.stop()
    return result


async def _burst(
    contender: Contender, hands: Hands, audit: AuditLog, timeline: Timeline, result: Result, minutes: float
) -> bool:
    worked = contender.worked
    await create(hands, contender.namespace, range(result.objects), at_a_time=CREATORS)
    complete = await _until_converged(audit, timeline, seconds=60 * minutes)
    result.burst_cpu = contender.worked - worked
    result.converged = timeline.converged
    result.burst_writes, result.burst_reads = dict(timeline.writes), dict(timeline.reads)
    changes = [progress for changes in timeline.changes.values() for progress in changes]
    ends = [progress.converged for progress in changes if progress.converged is not None]
    if ends:
        result.rate = len(ends) / (max(ends) - min(progress.asked for progress in changes))
    result.burst_p50, result.burst_p99 = _quantiles(changes)
    result.rss_peak = contender.peak
    return complete


async def _rest(contender: Contender, audit: AuditLog, timeline: Timeline, result: Result) -> None:
    await asyncio.to_thread(contender.wait_at_rest, seconds=60)
    audit.look()
    # Events and the like that came after the last status belong to the burst too.
    result.burst_writes, result.burst_reads = dict(timeline.writes), dict(timeline.reads)
    writes, worked = timeline.writes.total(), contender.worked
    await asyncio.sleep(IDLE_SECONDS)
    audit.look()
    result.idle_cpu_percent = 100 * (contender.worked - worked) / IDLE_SECONDS
    result.idle_writes = timeline.writes.total() - writes
    result.rss_settled = contender.resident


async def _changes(contender: Contender, hands: Hands, audit: AuditLog, timeline: Timeline, result: Result) -> None:
    before, worked = Counter(timeline.writes), contender.worked
    chosen = range(0, result.objects, max(1, result.objects // CHANGES))[:CHANGES]
    await edit(hands, contender.namespace, chosen, word="second", a_second=A_SECOND)
    await _until_converged(audit, timeline, seconds=60)
    await asyncio.to_thread(contender.wait_at_rest, seconds=20)
    audit.look()
    edited = [timeline.changes[name_of(number)][-1] for number in chosen]
    result.edit_cpu = contender.worked - worked
    result.edit_writes = dict(timeline.writes - before)
    result.edit_p50, result.edit_p99 = _quantiles(edited, child=True)
    result.edit_converged_p50, result.edit_converged_p99 = _quantiles(edited)
    begun = time.monotonic()
    fresh = range(result.objects, result.objects + CHANGES)
    for index, number in enumerate(fresh):
        await asyncio.sleep(max(0.0, begun + index / A_SECOND - time.monotonic()))
        await create(hands, contender.namespace, [number], at_a_time=1)
    await _until_converged(audit, timeline, seconds=60)
    result.create_p50, result.create_p99 = _quantiles([timeline.changes[name_of(number)][0] for number in fresh])
    result.rss_peak = contender.peak


async def _restart(contender: Contender, audit: AuditLog, timeline: Timeline, result: Result) -> None:
    await asyncio.sleep(1.0)
    audit.look()
    before = Counter(timeline.writes)
    contender.start()
    result.restart_ready = await asyncio.to_thread(contender.wait_answering)
    began = time.monotonic()
    rest = await asyncio.to_thread(contender.wait_at_rest, seconds=300)
    result.restart_rest = result.restart_ready + rest
    result.restart_cpu = contender.worked
    await asyncio.sleep(max(0.0, began + AFTER_READY - time.monotonic()))
    audit.look()
    result.restart_writes = dict(timeline.writes - before)
    result.restart_peak = contender.peak


async def _until_converged(audit: AuditLog, timeline: Timeline, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        audit.look()
        if timeline.all_converged:
            return True
        await asyncio.sleep(0.5)
    return False


def _quantiles(changes: list[Progress], *, child: bool = False) -> tuple[float, float]:
    """The median and the 99th percentile of the seconds from asking to the child, or to the end; never is infinite."""
    ends = [progress.child if child else progress.converged for progress in changes]
    took = sorted(
        end - progress.asked if end is not None else math.inf for progress, end in zip(changes, ends, strict=True)
    )
    return took[len(took) // 2], took[min(len(took) - 1, math.ceil(0.99 * len(took)) - 1)]
