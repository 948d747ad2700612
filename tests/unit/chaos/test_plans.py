"""Fault plans: what strikes when, and that a plan read back is the plan that was written."""

from __future__ import annotations

from pathlib import Path

from chaos.plans import Fault, FaultPlan, Interference, save


def test_a_fault_strikes_its_request_and_as_many_that_follow_as_it_says() -> None:
    fault = Fault(write=4, deed="Answer", code=500, times=2)

    assert [4, 5] == [number for number in range(10) if fault.strikes(number)]


def test_a_fault_without_a_request_concerns_every_write_and_nothing_else() -> None:
    requests = ("create events", "apply jobs", "patch pods", "delete services", "list pods", "watch pods", "get jobs")

    assert requests[:4] == tuple(request for request in requests if Fault(1, "Reset").concerns(request))


def test_a_fault_concerns_one_request_or_every_request_of_a_verb() -> None:
    assert Fault(1, "Reset", request="patch pods").concerns("patch pods")
    assert not Fault(1, "Reset", request="patch pods").concerns("patch jobs/status")
    assert Fault(1, "Reset", request="watch").concerns("watch jobs")


def test_a_saved_plan_is_read_back_as_it_was_with_the_problems_as_comments(tmp_path: Path) -> None:
    plans = [
        FaultPlan("canary_promoted", (Fault(3, "Answer", committed=True, code=504), Fault(9, "Kill"))),
        FaultPlan("scaled", (Fault(3, "Stale", since=1, seconds=2.0),), series="C3", operators=2, elected=True),
        FaultPlan("train_and_serve", series="C12", interference=(Interference("Service", "fraud", "Edit"),)),
    ]
    for plan in plans:
        path = save(plan, tmp_path, ["O1: another end state\n+ one: more"])

        assert plan == FaultPlan.from_yaml(path.read_text())
        assert path.read_text().startswith("# O1: another end state\n# + one: more\n")
    assert 3 == len(list(tmp_path.iterdir()))
