"""A few of the fault plans that `python -m chaos run` plays by the hundred: whatever goes wrong, the end is the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from chaos.campaign import Reference, learn
from chaos.plans import Fault, FaultPlan, crashes, random_errors
from chaos.stage import Outcome, Stage, stage

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]
AT_ONCE = 4
LEARNT: dict[str, Reference] = {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("chaos")) as made:
        yield made


async def played(scene: Stage, plans: Sequence[FaultPlan]) -> list[Outcome]:
    """What comes of plans of one workload, some at a time."""
    workload = plans[0].workload
    if workload not in LEARNT:
        LEARNT[workload] = await learn(scene, workload, print)
    reference = LEARNT[workload]
    turn = asyncio.Semaphore(AT_ONCE)

    async def play(plan: FaultPlan) -> Outcome:
        async with turn:
            return await scene.play(plan, reference.ending)

    return await asyncio.gather(*map(play, plans))


def problems(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(f"{outcome.plan}: {problem}" for outcome in outcomes for problem in outcome.problems)


async def test_a_crash_around_a_write_changes_nothing_about_the_end(scene: Stage) -> None:
    outcomes = await played(scene, crashes("train_and_serve", 25)[1::7])

    assert not problems(outcomes)
    assert all(outcome.struck for outcome in outcomes)


async def test_a_crash_around_a_deletion_leaves_nothing_behind(scene: Stage) -> None:
    outcomes = await played(scene, crashes("deleted_while_training", 12)[-6:])

    assert not problems(outcomes)


async def test_errors_of_the_api_server_change_nothing_about_the_end(scene: Stage) -> None:
    chance = random.Random(7)
    quick = [plan for plan in (random_errors("train_and_serve", 25, chance) for _ in range(9)) if not _slow(plan)]

    assert not problems(await played(scene, quick))


async def test_a_watch_that_is_cut_loses_nothing(scene: Stage) -> None:
    plans = [FaultPlan("train_and_serve", (Fault(write, "CutWatches"),)) for write in (1, 12, 20)]

    assert not problems(await played(scene, plans))


def _slow(plan: FaultPlan) -> bool:
    return any(fault.deed == "Silence" for fault in plan.faults)
