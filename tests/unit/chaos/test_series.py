"""The classes of faults: what each makes of a run without faults."""

from __future__ import annotations

import random
from collections import Counter

from chaos import series
from chaos.oracles import Ending
from chaos.series import CANARIES, LEADERS, SERIES, Lesson
from chaos.workloads import WORKLOADS

REQUESTS = {"list pods": 2, "watch pods": 2, "apply jobs": 3, "patch datasets/status": 5, "delete services": 1}


def lesson(workload: str = "train_and_serve", writes: int = 26) -> Lesson:
    return Lesson(workload, Ending((), Counter()), writes, REQUESTS)


def test_every_write_is_crashed_before_and_after() -> None:
    faults = [plan.faults[0] for plan in series.crashes(lesson(writes=3))]

    assert [(1, False), (1, True), (2, False), (2, True), (3, False), (3, True)] == [
        (fault.write, fault.committed) for fault in faults
    ]
    assert {"Kill"} == {fault.deed for fault in faults}


def test_of_two_crashes_the_second_strikes_soon_after_the_first() -> None:
    for plan in series.pairs(lesson(), random.Random(1)):
        first, second = plan.faults
        assert 1 <= second.write - first.write <= 3


def test_a_stale_view_is_always_older_than_the_crash() -> None:
    for plan in series.stale(lesson(), random.Random(1)):
        [fault] = plan.faults
        assert fault.since < fault.write


def test_every_kind_of_request_meets_every_kind_of_error() -> None:
    plans = series.errors(lesson(), random.Random(1))

    for name in REQUESTS:
        faults = [plan.faults[0] for plan in plans if plan.faults[0].request == name]
        codes = {fault.code for fault in faults if fault.deed == "Answer"}
        assert {429, 500, 504, 403} <= codes
        assert (409 in codes) == (not name.startswith(("list", "watch")))
        assert {"Reset", "Silence"} <= {fault.deed for fault in faults}


def test_an_error_strikes_a_request_that_comes_by() -> None:
    for plan in series.errors(lesson(), random.Random(1)):
        [fault] = plan.faults
        assert fault.write <= REQUESTS[fault.request]


def test_the_same_seed_makes_the_same_plans() -> None:
    def made(seed: int) -> list[str]:
        lessons = [lesson(name) for name in WORKLOADS]
        return [str(plan) for plan in series.plans(lessons, list(SERIES), random.Random(seed))]

    assert made(1) == made(1)
    assert made(1) != made(2)


def test_every_class_has_plans_and_there_are_at_least_ten_workloads() -> None:
    plans = series.plans([lesson(name) for name in WORKLOADS], list(SERIES), random.Random(1))

    assert set(SERIES) == {plan.series for plan in plans}
    assert 10 <= len({plan.workload for plan in plans if plan.series == "C1"})
    assert {*CANARIES, LEADERS} <= WORKLOADS.keys()


def test_the_same_error_to_the_same_request_is_met_by_few_workloads_and_no_error_is_left_out() -> None:
    lessons = [lesson(name) for name in WORKLOADS]
    alone = {(f.request, f.deed, f.code) for plan in series.errors(lesson(), random.Random(1)) for f in plan.faults}

    faults = [plan.faults[0] for plan in series.plans(lessons, ["C6"], random.Random(1))]

    assert alone == {(fault.request, fault.deed, fault.code) for fault in faults}
    assert series.EACH >= max(Counter((f.request, f.deed, f.code, f.committed) for f in faults).values())
