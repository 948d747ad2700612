"""Fault plans: what strikes when, and that a plan read back is the plan that was written."""

from __future__ import annotations

import random
from pathlib import Path

from chaos.plans import Fault, FaultPlan, crashes, random_errors, save


def test_every_write_is_crashed_before_and_after() -> None:
    faults = [plan.faults[0] for plan in crashes("train_and_serve", 3)]

    assert [(1, False), (1, True), (2, False), (2, True), (3, False), (3, True)] == [
        (fault.write, fault.committed) for fault in faults
    ]
    assert {"Kill"} == {fault.deed for fault in faults}


def test_a_fault_strikes_its_write_and_as_many_that_follow_as_it_says() -> None:
    fault = Fault(write=4, deed="Answer", code=500, times=2)

    assert [4, 5] == [number for number in range(10) if fault.strikes(number)]


def test_the_same_seed_makes_the_same_errors() -> None:
    def plans(seed: int) -> list[FaultPlan]:
        chance = random.Random(seed)
        return [random_errors("train_and_serve", 20, chance) for _ in range(50)]

    assert plans(1) == plans(1)
    assert plans(1) != plans(2)


def test_a_saved_plan_is_read_back_as_it_was_with_the_problems_as_comments(tmp_path: Path) -> None:
    plan = FaultPlan("canary_promoted", (Fault(3, "Answer", committed=True, code=504), Fault(9, "Kill")))

    path = save(plan, tmp_path, ["O1: another end state\n+ one: more"])

    assert plan == FaultPlan.from_yaml(path.read_text())
    assert path.read_text().startswith("# O1: another end state\n# + one: more\n")
