"""Some of the fault plans that `python -m chaos run` plays by the thousand: whatever goes wrong, the end is the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from chaos import series
from chaos.campaign import learn
from chaos.plans import Fault, FaultPlan
from chaos.series import LEADERS, Lesson
from chaos.stage import Outcome, Stage, stage
from chaos.windows import windows
from chaos.workloads import WORKLOADS

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.asyncio(loop_scope="module"),
]
AT_ONCE = 10
# How many plans of each class; always the same ones, of all workloads. Together they take about five minutes of two cores.
HOW_MANY = {"C1": 40, "C2": 20, "C3": 15, "C4": 15, "C5": 8, "C6": 40, "C7": 2, "C8": 6, "C9": 5, "C12": 12, "C13": 12}
LESSONS: dict[str, Lesson] = {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("chaos")) as made:
        yield made


async def lessons(scene: Stage, names: Sequence[str]) -> list[Lesson]:
    """What the workloads teach without faults, learned once."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def teach(name: str) -> None:
        async with turn:
            LESSONS[name] = await learn(scene, name, print)

    await asyncio.gather(*(teach(name) for name in names if name not in LESSONS))
    return [LESSONS[name] for name in names]


async def played(scene: Stage, plans: Sequence[FaultPlan]) -> list[Outcome]:
    """What comes of the plans, some at a time."""
    await lessons(scene, sorted({plan.workload for plan in plans}))
    turn = asyncio.Semaphore(AT_ONCE)

    async def play(plan: FaultPlan) -> Outcome:
        async with turn:
            return await scene.play(plan, LESSONS[plan.workload].ending)

    return await asyncio.gather(*map(play, plans))


def problems(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(f"{outcome.plan}: {problem}" for outcome in outcomes for problem in outcome.problems)


@pytest.mark.parametrize("name", HOW_MANY)
async def test_whatever_goes_wrong_the_end_is_the_same(scene: Stage, name: str) -> None:
    workloads = [workload for workload in WORKLOADS if workload != LEADERS or name == "C9"]
    plans = series.plans(await lessons(scene, workloads), [name], random.Random(7))

    outcomes = await played(scene, plans[: HOW_MANY[name]])
    await scene.outages.over()

    assert not problems(outcomes), problems(outcomes)
    # A life whose writes fall together, as on a busy machine, may be over before the write at which its fault was to come.
    assert sum(bool(outcome.struck) for outcome in outcomes) >= len(outcomes) // 3, "faults came"


async def test_each_of_twenty_drift_windows_with_a_crash_has_one_training(scene: Stage) -> None:
    result = await windows(scene, 20, seed=7, at_once=5, say=print)

    assert [] == result.problems
    assert 20 <= result.crashed


REFUSED = {
    "a version that may not be made yet is made later": ("train_and_serve", "apply modelversions"),
    "a retraining that may not be made yet is made later": ("drift_retrains", "apply trainingjobs"),
    "a run that may not be made yet is made later": ("train_and_serve", "apply jobs"),
    "a candidate that may not be made yet is made later": ("canary_promoted", "apply deployments"),
}


@pytest.mark.parametrize(("workload", "request_"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_refused_for_a_while_is_not_forgotten(scene: Stage, workload: str, request_: str) -> None:
    fault = Fault(1, "Answer", code=403, seconds=3.0, request=request_)

    outcomes = await played(scene, [FaultPlan(workload, (fault,), series="C6")])

    assert not problems(outcomes), problems(outcomes)
    assert all(outcome.struck for outcome in outcomes)
