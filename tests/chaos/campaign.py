"""Many plans in a row: a crash around every write of every workload, then errors by chance; counted, and failures kept."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.oracles import Ending
from chaos.plans import FaultPlan, crashes, random_errors, save
from chaos.stage import Outcome, Stage

Say = Callable[[str], None]


@dataclass(frozen=True)
class Reference:
    """A workload without faults."""

    ending: Ending
    writes: int


@dataclass
class Tally:
    """What was tried and what came of it."""

    plans: int = 0
    unstruck: int = 0
    """Plans whose write never came."""
    failures: list[Path] = field(default_factory=list)
    possible: dict[str, int] = field(default_factory=dict)
    """Writes of each workload without faults."""
    covered: dict[str, set[tuple[int, bool]]] = field(default_factory=dict)
    """By workload: the writes before and after which the operator was killed."""

    def count(self, outcome: Outcome) -> None:
        self.plans += 1
        self.unstruck += not outcome.struck
        for fault in outcome.plan.faults:
            if fault.deed == "Kill" and any(fault.strikes(write.number) for write in outcome.writes):
                self.covered.setdefault(outcome.plan.workload, set()).add((fault.write, fault.committed))

    def told(self) -> str:
        lines = [
            f"{name}: killed around {len(self.covered.get(name, ()))} of {2 * writes} points ({writes} writes)"
            for name, writes in self.possible.items()
        ]
        plans = f"{self.plans} plans, {self.unstruck} of them met no write, {len(self.failures)} failures"
        return "\n".join([*lines, plans, *(f"  {path}" for path in self.failures)])


async def learn(stage: Stage, workload: str, say: Say) -> Reference:
    """Play a workload twice without faults: its end is the measure, and the second run must already meet it."""
    first = await stage.play(FaultPlan(workload))
    _expect_no_problems(first)
    assert first.ending is not None
    second = await stage.play(FaultPlan(workload), first.ending)
    _expect_no_problems(second)
    writes = max(len(first.writes), len(second.writes))
    say(f"{workload}: {writes} writes, {second.seconds:.1f} s")
    return Reference(first.ending, writes)


class Unfit(Exception):
    """A workload does not even end the same without faults, so nothing can be learnt from it."""


def _expect_no_problems(outcome: Outcome) -> None:
    if outcome.problems:
        raise Unfit(f"{outcome.plan}\n" + "\n".join(outcome.problems))


async def campaign(
    stage: Stage,
    workloads: Sequence[str],
    *,
    seed: int,
    minutes: float,
    at_once: int,
    failures: Path,
    say: Say,
) -> Tally:
    """Play crashes around every write, then random errors until the time is over; plans under way are ended."""
    until = time.monotonic() + 60 * minutes
    tally = Tally()
    learnt = await asyncio.gather(*(learn(stage, workload, say) for workload in workloads))
    references = dict(zip(workloads, learnt, strict=True))
    tally.possible = {workload: reference.writes for workload, reference in references.items()}
    plans = _plans(references, random.Random(seed))

    async def work() -> None:
        while time.monotonic() < until:
            plan = next(plans)
            outcome = await stage.play(plan, references[plan.workload].ending)
            tally.count(outcome)
            if outcome.problems:
                tally.failures.append(save(plan, failures, [*outcome.problems, *map(str, outcome.writes)]))
            said = "FAILED" if outcome.problems else "ok" if outcome.struck else "ok, met no write"
            say(f"{tally.plans:5} {plan}: {said}, {outcome.seconds:.1f} s")

    await asyncio.gather(*(work() for _ in range(at_once)))
    return tally


def _plans(references: dict[str, Reference], chance: random.Random) -> Iterator[FaultPlan]:
    """Every crash once, in an order by chance so that a short run sees something of everything; then errors without end."""
    every = [plan for workload, reference in references.items() for plan in crashes(workload, reference.writes)]
    chance.shuffle(every)
    yield from every
    while True:
        workload = chance.choice(sorted(references))
        yield random_errors(workload, references[workload].writes, chance)
