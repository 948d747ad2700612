"""Check runs asked of a warm worker: when, by which name, until when, and counted once whatever is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest

from stories import script
from stories.fake_cluster import INSTALLATION, OURS, FakeCluster
from stories.openings import in_service, newest
from support import monitors as make
from support.monitors import NOW, ago
from tidemill import plan
from tidemill.api import DriftMonitor
from tidemill.api.conditions import Reason
from tidemill.api.monitorstatus import WorkerStatus
from tidemill.children import names
from tidemill.contract.reports import Checked, Failure, RunReport
from tidemill.plan import Key, World
from tidemill.plan.driftmonitor import warm_worker
from tidemill.plan.types import CheckResponse

RUN = "fraud-0a1b2c3d-1"
REPORT = RunReport(checked=Checked(samples=500, verdict="Passing"))


def pod(*, ready: bool = True, address: str = "10.0.0.7", owner: str = "u-1", leaving: bool = False) -> dict[str, Any]:
    labels = {names.OWNER_UID: owner, names.COMPONENT: "worker"}
    metadata: dict[str, Any] = {"name": f"w-{owner}", "namespace": "shop", "uid": "p-1", "labels": labels}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-05T11:59:59Z"
    status = {"podIP": address, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return {"kind": "Pod", "metadata": metadata, "status": status}


def monitor(asked: WorkerStatus | None = None) -> DriftMonitor:
    watched = make.monitor(execution="WarmWorker")
    return watched.model_copy(update={"status": watched.status.model_copy(update={"worker": asked})})


def response(outcome: Literal["Reported", "Running", "Unheard", "Refused"], **more: Any) -> tuple[CheckResponse]:
    return (CheckResponse(RUN, outcome, **more),)


WARM = World([pod()])
ASKED = WorkerStatus(run=RUN, at=ago(seconds=2))


def test_before_anybody_asks_the_status_says_so() -> None:
    begun = warm_worker.carry_on(monitor(), RUN, WARM, (), NOW)

    assert (WorkerStatus(run=RUN, at=NOW), 0.0, False) == (begun.status, begun.wake, begun.by_job)
    assert warm_worker.request(monitor(), RUN, "{}", WARM) is None
    asked = warm_worker.request(monitor(begun.status), RUN, "{}", WARM)
    assert asked is not None
    assert (RUN, f"http://10.0.0.7:8080/checks/{RUN}", "{}") == (asked.run, asked.url, asked.order)


@pytest.mark.parametrize(
    "result",
    [
        World(),
        World([pod(ready=False)]),
        World([pod(address="")]),
        World([pod(leaving=True)]),
        World([pod(owner="u-2")]),
    ],
    ids=["no pod", "not ready", "no address", "leaving", "another monitor's"],
)
def test_a_worker_that_is_not_ready_is_not_waited_for(result: World) -> None:
    begun = warm_worker.carry_on(monitor(), RUN, result, (), NOW)
    later = warm_worker.carry_on(monitor(ASKED), RUN, result, (), NOW)

    assert [True, True] == [begun.by_job, later.by_job]
    assert ["Normal", "Warning"] == [notice.type for notice in (*begun.notices, *later.notices)]
    assert warm_worker.request(monitor(ASKED), RUN, "{}", result) is None


def test_a_report_ends_the_run() -> None:
    assert REPORT == warm_worker.carry_on(monitor(ASKED), RUN, WARM, response("Reported", report=REPORT), NOW).report


def test_the_answer_to_another_run_says_nothing_of_this_one() -> None:
    heard = warm_worker.carry_on(monitor(ASKED), "fraud-99999999-1", WARM, response("Reported", report=REPORT), NOW)

    assert (None, "fraud-99999999-1", NOW) == (heard.report, heard.status.run, heard.status.at)


PATIENCE = {
    "a run under way is waited for": ("Running", 899, False),
    "but not longer than for a Job": ("Running", 901, True),
    "a worker that cannot be heard is asked again": ("Unheard", 9, False),
    "for some seconds": ("Unheard", 11, True),
    "one that refuses is not": ("Refused", 1, True),
}


@pytest.mark.parametrize("case", PATIENCE)
def test_how_long_a_worker_is_waited_for(case: str) -> None:
    outcome, seconds, by_job = PATIENCE[case]
    asked = ASKED.model_copy(update={"at": ago(seconds=seconds)})

    heard = warm_worker.carry_on(monitor(asked), RUN, WARM, response(outcome, message="answers 400: odd"), NOW)

    assert by_job == heard.by_job
    assert by_job == bool(heard.notices)
    assert by_job or heard.wake == 1.0


def test_a_run_that_was_given_up_stays_a_jobs() -> None:
    given_up = ASKED.model_copy(update={"given_up": "the warm worker is not ready"})

    heard = warm_worker.carry_on(monitor(given_up), RUN, WARM, response("Reported", report=REPORT), NOW)

    assert (True, None, ()) == (heard.by_job, heard.report, heard.notices)
    assert warm_worker.request(monitor(given_up), RUN, "{}", WARM) is None


# The whole planner, in a pretend cluster


def watched(cluster: FakeCluster, **spec: Any) -> FakeCluster:
    """A service with a monitor whose first window has been checked by a warm worker."""
    in_service(cluster)
    cluster.apply(script.monitor(execution="WarmWorker", **spec))
    cluster.run(minutes=1, seconds=30)
    return cluster


def test_what_is_asked_is_what_the_job_would_be_told() -> None:
    key = Key("DriftMonitor", "shop", "fraud")
    warm, cold = watched(FakeCluster()), FakeCluster()
    in_service(cold)
    cold.apply(script.monitor())
    cold.run(minutes=1, seconds=5)
    warm.run(seconds=35)

    question = plan.questions(key, warm.world, warm.now)

    assert question is not None
    [asked] = question.checks
    [pod_of_job] = [
        manifest
        for result, manifest in cold.objects.items()
        if result.kind == "Pod" and manifest["metadata"]["labels"][names.COMPONENT] == "check"
    ]
    before = dict(cold.objects)
    assert f"{asked.run}-pod" != pod_of_job["metadata"]["name"]
    cold.run(minutes=1)
    values = {
        manifest["metadata"]["name"]: manifest["metadata"]["annotations"][names.ORDER]
        for result, manifest in cold.objects.items()
        if result not in before and result.kind == "Pod"
    }
    assert {f"{asked.run}-pod": asked.order} == values


def test_a_check_of_a_warm_worker_is_no_job() -> None:
    made = watched(FakeCluster())

    assert [] == [
        name for name in made.named("Job") if made.get("Job", name)["metadata"]["labels"][names.COMPONENT] == "check"
    ]
    assert "Passing" == made.get("DriftMonitor", "fraud")["status"]["lastRun"]["verdict"]


def test_what_may_be_otherwise_next_time_is_asked_for_again_as_another_run() -> None:
    made = watched(FakeCluster())
    failure = Failure(reason=Reason.INTERNAL_ERROR, message="a fault of Tidemill", retryable=True)
    made.reports["Check"] = lambda _: RunReport(failure=failure)
    made.run(seconds=38)
    first = made.get("DriftMonitor", "fraud")["status"]

    made.reports["Check"] = script.checks("Passing")
    made.run(seconds=20)
    second = made.get("DriftMonitor", "fraud")["status"]

    assert ("Failed", 1) == (first["attempt"]["outcome"], first["attempt"]["number"])
    assert ("Succeeded", 2) == (second["attempt"]["outcome"], second["attempt"]["number"])
    assert "" == second["worker"]["givenUp"]


@pytest.mark.parametrize("change", [{"suspend": True}, {"execution": "Job"}])
def test_a_worker_goes_when_nobody_is_to_ask_it(change: dict[str, Any]) -> None:
    made = watched(FakeCluster())
    assert "fraud-worker" in made.named("Deployment")

    made.apply(script.monitor(**{"execution": "WarmWorker", **change}))
    made.run(seconds=10)

    assert "fraud-worker" not in made.named("Deployment")


class Forgetful(FakeCluster):
    """The operator dies before the n-th write of the monitor's status, having asked and heard already."""

    dies_before = 0
    written = 0

    def _write_status(self, key: Key, status: dict[str, Any]) -> bool:
        if key.kind == "DriftMonitor" and self.objects[key].get("status") != status:
            self.written += 1
            if self.written == self.dies_before:
                self.wakes.clear()
                self.dirty |= dict.fromkeys(manifest for manifest in self.objects if manifest.kind in OURS)
                return False
        return super()._write_status(key, status)


def tide(cluster: FakeCluster) -> tuple[list[str], Any, Any]:
    """The retrainings that drift brings, what became of them, and how the monitor's checks stand then."""
    watched(cluster)
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=2, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=2)
    status = cluster.get("DriftMonitor", "fraud")["status"]
    retrained = [name for name in cluster.named("TrainingJob") if "-retrain-" in name]
    return retrained, status["history"], status["checks"]


def test_whichever_write_is_lost_a_window_counts_once_and_a_tide_retrains_once() -> None:
    cluster = Forgetful()
    expected = tide(cluster)
    assert 1 == len(expected[0])
    assert cluster.written > 15

    for number in range(1, cluster.written + 1):
        forgetful = Forgetful()
        forgetful.dies_before = number
        assert expected == tide(forgetful), number


def test_a_worker_that_forgets_between_two_questions_is_asked_anew() -> None:
    made = watched(FakeCluster())
    made.run(seconds=35)
    assert len(made.checks_begun) == 2

    made.checks_begun.clear()
    made.run(seconds=5)

    status = made.get("DriftMonitor", "fraud")["status"]
    assert ("Succeeded", "2026-01-05T09:03:00Z") == (status["attempt"]["outcome"], status["lastRun"]["end"])


def test_a_visit_without_answers_neither_waits_for_ever_nor_spins() -> None:
    key = Key("DriftMonitor", "shop", "fraud")
    made = watched(FakeCluster())
    made.run(seconds=35)

    unasked = plan.visit(key, made.world, INSTALLATION, made.now)

    assert unasked is not None
    assert 0.0 == unasked.wake
    later = plan.visit(key, made.world, INSTALLATION, made.now + timedelta(seconds=901))
    assert later is not None
    assert ["CheckedByJob"] == [notice.reason for notice in later.notices]
