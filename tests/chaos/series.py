"""The classes of faults: each makes plans out of what a run without faults has taught.

C1 a crash around each write; C2 two crashes, the second while the first is recovered from; C3 a new life that sees an older
world; C4 watch events that never come, healed by the next full list; C5 watches that have been forgotten (410); C6 each
kind of request answered with each error; C7 the API server and its store killed; C8 partitions, a slow way, and pods that
do not answer; C9 two operators, of which one has lost its Lease, or never needed one; C12 another manager; C13 quotas, limits, full nodes and slow pulls that come and go.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from chaos.oracles import Ending
from chaos.plans import WRITES, Deed, Fault, FaultPlan, Interference, Scarcity

LEADERS = "scaled_after_a_while"
"""The workload that goes on for longer than a Lease lasts; only for two leaders, because it takes long."""
CANARIES = ("canary_promoted", "canary_rolled_back", "drift_retrains", "drift_found_by_a_worker")


@dataclass(frozen=True)
class Lesson:
    """A workload without faults."""

    workload: str
    ending: Ending
    writes: int
    requests: Mapping[str, int] = field(default_factory=dict)
    """How many requests there were, by name."""


def crashes(lesson: Lesson, rng: random.Random | None = None) -> list[FaultPlan]:
    """C1: a crash before and one after each write."""
    return [
        FaultPlan(lesson.workload, (Fault(number, "Kill", committed),))
        for number in range(1, lesson.writes + 1)
        for committed in (False, True)
    ]


def pairs(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C2: a crash around each write, and another one around one of the three that follow."""
    return [
        FaultPlan(
            lesson.workload,
            (
                Fault(number, "Kill", rng.random() < 0.5),
                Fault(number + rng.randint(1, 3), "Kill", rng.random() < 0.5),
            ),
            series="C2",
        )
        for number in range(1, lesson.writes + 1)
    ]


def stale(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C3: a crash at every second write, after which the world is shown as it was up to ten writes ago."""
    return [
        FaultPlan(
            lesson.workload,
            (Fault(number, "Stale", since=max(1, number - rng.randint(1, 10)), seconds=1.0),),
            series="C3",
        )
        for number in range(2, lesson.writes + 1, 2)
    ]


def lost(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C4: from every second write on, no watch event comes for a while; the full list comes each two seconds instead."""
    return [
        FaultPlan(
            lesson.workload,
            (Fault(number, "Lose", seconds=rng.choice((0.3, 1.0, 2.0))),),
            series="C4",
            resync=2.0,
        )
        for number in range(1, lesson.writes + 1, 2)
    ]


def forgotten(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C5: at every third write the watches are cut, and when they may come back it is too late for where they were."""
    return [
        FaultPlan(lesson.workload, (Fault(number, "Forget", seconds=rng.choice((0.3, 1.0))),), series="C5", resync=10.0)
        for number in range(1, lesson.writes + 1, 3)
    ]


def errors(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C6: each kind of request that came by, with each kind of error."""
    plans: list[FaultPlan] = []
    for name, count in sorted(lesson.requests.items()):
        verb = name.partition(" ")[0]
        faults = _errors_of(name, is_write=verb in WRITES, at=rng.randint(1, count), rng=rng)
        plans += [FaultPlan(lesson.workload, (fault,), series="C6") for fault in faults]
    return plans


def _errors_of(name: str, *, is_write: bool, at: int, rng: random.Random) -> list[Fault]:
    codes = (409, 429, 500, 504) if is_write else (429, 500, 504)
    times = rng.choice((1, 1, 2, 3))
    return [
        *(Fault(at, "Answer", is_write and rng.random() < 0.5, code, times, request=name) for code in codes),
        Fault(at, "Reset", is_write, times=times, request=name),
        Fault(at, "Reset", times=times, request=name),
        Fault(at, "Silence", is_write and rng.random() < 0.5, request=name),
        Fault(at, "Answer", code=403, seconds=3.0, request=name),
    ]


def outages(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C7: the API server is killed at two of the writes, and etcd at two others."""
    deeds: tuple[Deed, ...] = ("KillApiServer", "KillEtcd") * 2
    at = rng.sample(range(1, lesson.writes + 1), len(deeds))
    return [
        FaultPlan(lesson.workload, (Fault(number, deed, rng.random() < 0.5),), series="C7")
        for number, deed in zip(at, deeds, strict=True)
    ]


def partitions(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C8: the API server out of reach, hard to reach, and pods that do not answer."""
    at = [rng.randint(1, lesson.writes) for _ in range(4)]
    faults = [
        Fault(at[0], "Partition", seconds=1.0),
        Fault(at[1], "Partition", seconds=10.0),
        Fault(at[2], "Slow", seconds=6.0),
        *([Fault(at[3], "Mute", seconds=3.0)] if lesson.workload in CANARIES else []),
    ]
    return [FaultPlan(lesson.workload, (fault,), series="C8") for fault in faults]


def leaders(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C9: the leader loses its Lease and nothing else; and two operators who both believe that they lead."""
    if lesson.workload == LEADERS:
        return [
            FaultPlan(
                lesson.workload,
                (Fault(number, "Unelect", seconds=600.0),),
                series="C9",
                operators=2,
                elected=True,
            )
            for number in range(1, lesson.writes + 1)
        ]
    kill = Fault(rng.randint(1, lesson.writes), "Kill", rng.random() < 0.5)
    return [
        FaultPlan(lesson.workload, (), series="C9", operators=2),
        FaultPlan(lesson.workload, (kill,), series="C9", operators=2),
    ]


MEDDLING = (
    Interference("Deployment", "fraud-stable", "Delete"),
    Interference("Deployment", "fraud-stable", "Edit"),
    Interference("Service", "fraud", "Delete"),
    Interference("Service", "fraud", "Edit"),
    Interference("Job", "payments-*", "Delete"),
    Interference("Job", "fraud-first-*", "Delete"),
    Interference("Dataset", "payments", "Status"),
    Interference("TrainingJob", "fraud-first", "Status"),
    Interference("ModelVersion", "fraud-*", "Status"),
    Interference("InferenceService", "fraud", "Status"),
)


def interference(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C12: another manager deletes, edits and relabels what is owned, once all is at rest."""
    if lesson.workload != "train_and_serve":
        return []
    return [FaultPlan(lesson.workload, series="C12", interference=(deed,)) for deed in MEDDLING]


SCARCE = ("train_and_serve", "canary_promoted", "drift_retrains")
"""Workloads that start pods of every kind, and would show it if a model were judged for its surroundings."""


def surroundings(lesson: Lesson, rng: random.Random) -> list[FaultPlan]:
    """C13: each kind of scarcity, once until it is told, and twice for a moment."""
    if lesson.workload not in SCARCE:
        return []
    plans = []
    causes: tuple[Literal["Quota", "LimitRange", "FullNode", "SlowPull"], ...]
    for cause in (causes := ("Quota", "LimitRange", "FullNode", "SlowPull")):
        first, second = sorted(rng.sample(range(1, lesson.writes), 2))
        moments = (Scarcity(first, cause, 1.5), Scarcity(second, rng.choice(causes), 1.5))
        plans.append(FaultPlan(lesson.workload, series="C13", scarcities=moments))
        # Early enough for a pod to be started after it.
        until_told = (Scarcity(rng.randint(1, max(lesson.writes // 2, 1)), cause),)
        plans.append(FaultPlan(lesson.workload, series="C13", scarcities=until_told))
    return plans


Series = Callable[[Lesson, random.Random], list[FaultPlan]]
SERIES: Mapping[str, Series] = {
    "C1": crashes,
    "C2": pairs,
    "C3": stale,
    "C4": lost,
    "C5": forgotten,
    "C6": errors,
    "C7": outages,
    "C8": partitions,
    "C9": leaders,
    "C12": interference,
    "C13": surroundings,
}
EACH = 2
"""How many workloads meet the same error to the same kind of request."""
EXCLUSIVE = ("C7",)
"""What strikes everybody on the stage, and is therefore played apart."""


def plans(lessons: Sequence[Lesson], chosen: Sequence[str], rng: random.Random) -> list[FaultPlan]:
    """Every plan of the classes chosen, in an order by chance, so that a short run sees something of everything."""
    made = [
        plan
        for name in chosen
        for lesson in lessons
        if (lesson.workload != LEADERS or name == "C9")
        for plan in SERIES[name](lesson, rng)
    ]
    rng.shuffle(made)
    asked: Counter[tuple[object, ...]] = Counter()
    return [plan for plan in made if plan.series != "C6" or _is_new(plan, asked)]


def _is_new(plan: FaultPlan, asked: Counter[tuple[object, ...]]) -> bool:
    """Whether its error to its request has been met by fewer than `EACH` plans; nearly all workloads ask the same."""
    [fault] = plan.faults
    error = (fault.request, fault.deed, fault.code, fault.committed)
    asked[error] += 1
    return asked[error] <= EACH
