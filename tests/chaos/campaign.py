"""Many plans in a row: everything that the classes of faults have to offer; counted, and failures kept."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos import series
from chaos.plans import FaultPlan, save
from chaos.series import EXCLUSIVE, SERIES, Lesson
from chaos.stage import Outcome, Stage

Say = Callable[[str], None]
APART_AT_ONCE = 10
"""Plans side by side that kill servers: each waits for all the others' outages."""


@dataclass
class Counts:
    """What was tried and what came of it."""

    plans: Counter[str] = field(default_factory=Counter)
    """By class of faults."""
    unstruck: Counter[str] = field(default_factory=Counter)
    """Plans whose fault never came."""
    failed: Counter[str] = field(default_factory=Counter)
    failures: list[Path] = field(default_factory=list)
    possible: dict[str, int] = field(default_factory=dict)
    """Writes of each workload without faults."""
    covered: dict[str, set[tuple[int, bool]]] = field(default_factory=dict)
    """By workload: the writes before and after which the operator was killed."""
    requests: set[str] = field(default_factory=set)
    """Kinds of requests that were answered with an error."""
    healed: int = 0
    """Fields that another manager changed, and that were healed."""
    late: int = 0
    """Plans that came to the right end only with the full look that follows a start."""
    outages: Counter[str] = field(default_factory=Counter)
    deposed_after: list[float] = field(default_factory=list)
    """Seconds until an operator that was cut off from its Lease was gone."""
    seconds: float = 0.0

    def count(self, outcome: Outcome) -> None:
        plan = outcome.plan
        self.plans[plan.series] += 1
        self.unstruck[plan.series] += not outcome.struck and bool(plan.faults or plan.scarcities)
        self.failed[plan.series] += bool(outcome.problems)
        self.healed += outcome.meddled
        self.late += outcome.late
        if outcome.deposed_after is not None:
            self.deposed_after.append(outcome.deposed_after)
        for fault in plan.faults:
            if fault.request and outcome.struck:
                self.requests.add(fault.request)
            if fault.deed == "Kill" and any(fault.strikes(write.number) for write in outcome.writes):
                self.covered.setdefault(plan.workload, set()).add((fault.write, fault.committed))

    def summary(self) -> str:
        lines = ["class  plans  no fault came  failures"]
        lines += [
            f"{name:5} {count:6} {self.unstruck[name]:14} {self.failed[name]:9}"
            for name, count in sorted(self.plans.items(), key=lambda entry: int(entry[0][1:]))
        ]
        lines += [
            f"{name}: killed around {len(self.covered.get(name, ()))} of {2 * writes} points ({writes} writes)"
            for name, writes in self.possible.items()
        ]
        points = sum(2 * writes for writes in self.possible.values())
        covered = sum(len(result) for result in self.covered.values())
        lines += [
            f"writes covered: {covered} of {points} points, before and after each write of {len(self.possible)} workloads",
            f"kinds of requests answered with an error: {len(self.requests)}",
            f"fields changed by another manager and healed: {self.healed}",
            f"servers killed: {sum(self.outages.values())} times ({dict(self.outages)})",
            f"plans that the first full list after a restart had to put right: {self.late}",
        ]
        if self.deposed_after:
            lines.append(f"an operator without its Lease was gone after at most {max(self.deposed_after):.1f} s")
        lines.append(f"{sum(self.plans.values())} plans in {self.seconds / 60:.1f} min, {len(self.failures)} failures")
        return "\n".join([*lines, *(f"  {_replay(path)}" for path in self.failures)])


def _replay(path: Path) -> str:
    return f"PYTHONPATH=operator:tests .venv/bin/python -m chaos replay {path}"


async def learn(stage: Stage, workload: str, say: Say) -> Lesson:
    """Play a workload twice without faults: its end is the measure, and the second run must already meet it."""
    first = await stage.play(FaultPlan(workload))
    _expect_no_problems(first)
    assert first.ending is not None
    second = await stage.play(FaultPlan(workload), first.ending)
    _expect_no_problems(second)
    writes = min(len(first.writes), len(second.writes))
    say(f"{workload}: {writes} writes, {second.seconds:.1f} s")
    return Lesson(workload, first.ending, writes, first.seen.requests)


class Unfit(Exception):
    """A workload does not even end the same without faults, so nothing can be learned from it."""


def _expect_no_problems(outcome: Outcome) -> None:
    if outcome.problems:
        raise Unfit(f"{outcome.plan}\n" + "\n".join((*outcome.problems, *map(str, outcome.writes))))


async def campaign(
    stage: Stage,
    workloads: Sequence[str],
    chosen: Sequence[str],
    *,
    seed: int,
    minutes: float,
    most: int,
    at_once: int,
    failures: Path,
    say: Say,
) -> Counts:
    """Play at most so many plans of the chosen classes for at most so long; plans under way are ended."""
    began = time.monotonic()
    counts = Counts()
    rng = random.Random(seed)
    turn = asyncio.Semaphore(at_once)

    async def lesson_of(workload: str) -> Lesson:
        async with turn:
            return await learn(stage, workload, say)

    lessons = await asyncio.gather(*map(lesson_of, workloads))
    counts.possible = {lesson.workload: lesson.writes for lesson in lessons if lesson.workload != series.LEADERS}
    endings = {lesson.workload: lesson.ending for lesson in lessons}
    apart = [name for name in chosen if name in EXCLUSIVE]
    together = [name for name in chosen if name not in EXCLUSIVE]
    budget = itertools.count(1)

    async def work(plans: Iterator[FaultPlan]) -> None:
        for plan in plans:
            if time.monotonic() - began > 60 * minutes or next(budget) > most:
                return
            outcome = await stage.play(plan, endings[plan.workload])
            counts.count(outcome)
            if outcome.problems:
                counts.failures.append(save(plan, failures, [*outcome.problems, *map(str, outcome.writes)]))
            verdict = (
                "FAILED"
                if outcome.problems
                else "ok"
                if outcome.struck or not (plan.faults or plan.scarcities)
                else "ok, no fault came"
            )
            say(f"{sum(counts.plans.values()):5} {plan}: {verdict}, {outcome.seconds:.1f} s")

    async def all_of(plans: Iterable[FaultPlan], lanes: int = at_once) -> None:
        shared = iter(plans)
        await asyncio.gather(*(work(shared) for _ in range(lanes)))

    # What kills servers comes first, so that the time for it is certain; then everything once, then further pairs.
    await all_of(series.plans(lessons, apart, rng), min(at_once, APART_AT_ONCE))
    await stage.outages.over()
    await all_of(itertools.chain(series.plans(lessons, together, rng), _further(lessons, together, rng)))
    counts.outages = stage.outages.counted
    counts.seconds = time.monotonic() - began
    return counts


def _further(lessons: Sequence[Lesson], chosen: Sequence[str], rng: random.Random) -> Iterator[FaultPlan]:
    """The classes in which chance has a say, again and again with other chances."""
    again = [name for name in chosen if name in {"C2", "C3", "C4", "C6", "C8"}]
    while again:
        yield from series.plans(lessons, again, rng)


__all__ = ["SERIES", "Counts", "Lesson", "Unfit", "campaign", "learn"]
