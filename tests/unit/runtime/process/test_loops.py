"""Background loops: they survive errors, and say whether they turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tidemill.runtime.process.loops import MAX_FAILURES, MAX_MISSED_PERIODS, MAX_RETRY_SECONDS, Loop, Loops


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def loops(time: Time) -> AsyncIterator[Loops]:
    made = Loops(clock=lambda: time.now, sleep=time.sleep)
    yield made
    await made.stop(1.0)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_loop_that_fails_is_started_again_with_longer_and_longer_pauses(loops: Loops, time: Time) -> None:
    starts = 0
    done = asyncio.Event()

    async def run(loop: Loop) -> None:
        nonlocal starts
        starts += 1
        if starts <= 12:
            raise RuntimeError("no luck")
        loop.turned()
        done.set()
        await asyncio.Event().wait()

    loops.start("log", run, required=True)
    await done.wait()

    (loop,) = loops
    assert (12, 0, "") == (loop.errors, loop.failures, loops.problem())
    assert [0.1, 0.2, 0.4, 0.8] == time.slept[:4]
    assert MAX_RETRY_SECONDS == max(time.slept)


async def test_one_error_does_not_end_another_loop(loops: Loops) -> None:
    turns = 0

    async def fail(_: Loop) -> None:
        raise ValueError("broken")

    async def turn(_: Loop) -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    loops.start("broken", fail)
    loops.start("sound", turn)
    await settle()
    before = turns
    await settle()

    assert before < turns


@pytest.mark.parametrize(("required", "problem"), [(True, "the loop 'routes' failed 5 times in a row"), (False, "")])
async def test_a_loop_that_goes_on_failing_counts_where_it_is_required(
    loops: Loops, required: bool, problem: str
) -> None:
    async def fail(loop: Loop) -> None:
        if loop.errors == MAX_FAILURES:
            await asyncio.Event().wait()
        raise RuntimeError("no luck")

    loops.start("routes", fail, required=required)
    await asyncio.sleep(0)
    await settle()
    await settle()

    assert loops.problem().startswith(problem)
    assert bool(problem) == bool(loops.problem())


async def test_a_loop_that_hangs_counts_after_so_many_periods(loops: Loops, time: Time) -> None:
    async def hang(_: Loop) -> None:
        await asyncio.Event().wait()

    loops.start("routes", hang, period=0.25, required=True)
    time.now += 0.25 * MAX_MISSED_PERIODS
    assert "" == loops.problem()
    time.now += 1.0

    assert "the loop 'routes' has not run for 16 s" == loops.problem()


async def test_a_loop_without_a_period_may_wait_for_work_for_any_time(loops: Loops, time: Time) -> None:
    async def wait(_: Loop) -> None:
        await asyncio.Event().wait()

    loops.start("comparisons", wait, required=True)
    time.now += 1e6

    assert "" == loops.problem()


async def test_a_loop_whose_task_is_cancelled_from_elsewhere_has_ended(loops: Loops) -> None:
    async def wait(_: Loop) -> None:
        await asyncio.Event().wait()

    loops.start("comparisons", wait, required=True).cancel()
    await settle()

    assert "the loop 'comparisons' has ended" == loops.problem()


async def test_one_that_returns_has_done_its_work(loops: Loops) -> None:
    async def run(_: Loop) -> None:
        return

    loops.start("profile", run, required=True)
    await settle()

    assert [] == list(loops)
    assert "" == loops.problem()


async def test_errors_of_pieces_of_work_are_counted_and_stop_nothing(loops: Loops) -> None:
    async def run(loop: Loop) -> None:
        for _ in range(100):
            loop.survived(ValueError("a row of a client"))
        await asyncio.Event().wait()

    loops.start("comparisons", run, required=True)
    await settle()

    (loop,) = loops
    assert (100, "") == (loop.errors, loops.problem())


async def test_errors_that_lie_far_apart_are_not_in_a_row(loops: Loops, time: Time) -> None:
    async def run(loop: Loop) -> None:
        if loop.errors > 3 * MAX_FAILURES:
            await asyncio.Event().wait()
        time.now += 3_600.0
        raise RuntimeError("once an hour")

    loops.start("log", run, required=True)
    for _ in range(10):
        await settle()

    (loop,) = loops
    assert (3 * MAX_FAILURES + 1, 1, "") == (loop.errors, loop.failures, loop.problem())
