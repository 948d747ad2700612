"""Situations that people reported of other operators, each on a real API server with a simulated kubelet.

Where a situation is shown elsewhere, `ELSEWHERE` names the test. What only a real pod shows is in tests/e2e.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from chaos.kubelet import Script
from chaos.stage import Stage, stage
from chaos.workloads import (
    IN_SERVICE,
    NO_CANDIDATE,
    SECOND,
    Apply,
    Delete,
    Edit,
    Gone,
    Release,
    Says,
    Step,
    Until,
    ready,
)
from cluster.paths import REPOSITORY
from stories import script
from tidemill.api.conditions import Reason
from tidemill.children import names
from tidemill.contract.reports import Failure, RunReport
from tidemill.plan.world import Manifest

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]


AT_ONCE = 6


@dataclass(frozen=True)
class Impose:
    """No new pod runs, for this cause."""

    cause: str


@dataclass(frozen=True)
class Lift:
    """New pods run again."""

    cause: str


@dataclass(frozen=True)
class Overdue:
    """The deadline of a Job, that of the training by default, is over."""

    job: str = "fraud-first*"


DATASET, RUN, SERVICE = ("Dataset", "payments"), ("TrainingJob", "fraud-first"), ("InferenceService", "fraud")
CPU = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
USED_UP = "no pod can be created: ResourceQuota 'scarce' is used up"
LIMIT = "no pod can be created: a LimitRange refuses the pod"
NO_ROOM = "the pod cannot be scheduled: 0/1 nodes are available: 1 Insufficient cpu; lower spec.resources.requests"
TRAINED: tuple[Step, ...] = (Apply(script.dataset()), Apply(script.training_job()), ready(*RUN))
SERVED = Apply(script.service(replicas=1))
LARGER = Apply(script.service(replicas=1, resources={"requests": {"cpu": "2", "memory": "64Mi"}}))
OVERDUE: Manifest = {
    "startTime": "2026-01-05T11:00:00Z",
    "conditions": [
        {"type": type_, "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": "2026-01-05T12:00:00Z"}
        for type_ in ("FailureTarget", "Failed")
    ],
}
BY_HAND = script.service(replicas=1)
BY_HAND["spec"]["rollout"]["steps"] = [{"weight": 25}]


JUDGED: Manifest = {
    **BY_HAND,
    "spec": {**BY_HAND["spec"], "rollout": {"steps": [{"weight": 25}], "analysis": script.SMOKE}},
}

QUICK = next(step.manifest for step in IN_SERVICE if isinstance(step, Apply) and step.manifest["kind"] == SERVICE[0])
SUSPENDED: Manifest = {**QUICK, "spec": {**QUICK["spec"], "suspend": True}}
WATCHED = script.monitor(interval="2s")
del WATCHED["spec"]["retraining"]
NEVER = script.monitor(schedule="0 0 30 2 *")
for unused in ("interval", "retraining"):
    del NEVER["spec"][unused]


def aborted(versions: list[str]) -> Manifest:
    """The annotation of a person who aborts the candidate; the candidate is the newest of `versions`."""
    return {"metadata": {"annotations": {names.ABORT: versions[-1]}}}


def promoted(versions: list[str]) -> Manifest:
    """The annotation of a person who promotes the candidate."""
    return {"metadata": {"annotations": {names.PROMOTE: versions[-1]}}}


def cut(versions: list[str]) -> Manifest:
    """An edit of the steps that cuts the share of the candidate, and adds a step."""
    return {"spec": {"rollout": {"steps": [{"weight": 10}, {"weight": 60}]}}}


CANARY: tuple[Step, ...] = (
    *TRAINED,
    Apply(BY_HAND),
    ready(*SERVICE),
    *SECOND,
    Until(*SERVICE, "rollout.phase", "Paused"),
    Until(*SERVICE, "candidate.weight", 25),
)
STUCK: tuple[Step | Impose, ...] = (
    *CANARY,
    Impose("FullNode"),
    Edit(*SERVICE, promoted),
    Until(*SERVICE, "rollout.phase", "Promoting"),
    Says(*SERVICE, NO_ROOM, "False", "RolloutComplete"),
    Says(*SERVICE, "answers all requests; replacing the stable pods", "False", "RolloutComplete"),
    Until(*SERVICE, "stable.ready", 1),
)
SITUATIONS: Mapping[str, tuple[Step | Impose | Lift | Overdue, ...]] = {
    "1: a quota leaves no pod for a training or an ingest": (
        Impose("Quota"),
        Apply(script.dataset()),
        Says(*DATASET, USED_UP),
        Lift("Quota"),
        ready(*DATASET),
        Impose("Quota"),
        Apply(script.training_job()),
        Says(*RUN, USED_UP),
        Lift("Quota"),
        ready(*RUN),
    ),
    "2: a limit is lower than a request of a training or a serving pod": (
        Apply(script.dataset()),
        ready(*DATASET),
        Impose("LimitRange"),
        Apply(script.training_job()),
        Says(*RUN, LIMIT),
        Lift("LimitRange"),
        ready(*RUN),
        Impose("LimitRange"),
        SERVED,
        Says(*SERVICE, LIMIT, "False"),
        Until(*SERVICE, "conditions.RolloutComplete.status", "False"),
        Lift("LimitRange"),
        ready(*SERVICE),
    ),
    "3: a quota asks for a limit that the pod lacks": (
        Impose("QuotaOfLimits"),
        Apply(script.dataset()),
        Says(*DATASET, "ResourceQuota 'scarce' requires a value for limits.cpu"),
        Apply(script.dataset(resources=CPU)),
        ready(*DATASET),
        Lift("QuotaOfLimits"),
    ),
    "4: a stable pod is Pending after an edit of its resources": (
        *TRAINED,
        SERVED,
        ready(*SERVICE),
        Impose("FullNode"),
        LARGER,
        Says(*SERVICE, NO_ROOM, "False"),
        Lift("FullNode"),
        ready(*SERVICE),
    ),
    "5: a full node during a promotion": (
        *STUCK,
        Lift("FullNode"),
        Until(*SERVICE, "history.0.outcome", "Promoted"),
        Until(*SERVICE, "stable.ready", 1),
        *NO_CANDIDATE,
    ),
    "6: an abort while a promotion is stuck": (
        *STUCK,
        Edit(*SERVICE, aborted),
        Until(*SERVICE, "history.0.reason", "Aborted"),
        Until(*SERVICE, "stable.weight", 100),
        ready(*SERVICE),
        *NO_CANDIDATE,
        Lift("FullNode"),
    ),
    "7: steps edited during a canary": (
        *CANARY,
        Edit(*SERVICE, cut),
        Until(*SERVICE, "rollout.weight", 10),
        Until(*SERVICE, "candidate.weight", 10),
        Until(*SERVICE, "stable.weight", 90),
        Says(*SERVICE, "step 1 of 2: 10% of requests", "False", "RolloutComplete"),
        Edit(*SERVICE, promoted),
        Until(*SERVICE, "history.0.outcome", "Promoted"),
        *NO_CANDIDATE,
    ),
    "9: a candidate finds no room, and is tried once there is some": (
        *IN_SERVICE,
        Apply(SUSPENDED),
        *SECOND,
        Impose("FullNode"),
        Apply(QUICK),
        Says(*SERVICE, NO_ROOM, "False", "RolloutComplete"),
        Lift("FullNode"),
        Until(*SERVICE, "history.0.outcome", "Promoted"),
        *NO_CANDIDATE,
    ),
    "12: the deadline of a Job whose pod never ran": (
        Apply(script.dataset()),
        ready(*DATASET),
        Impose("Quota"),
        Apply(script.training_job()),
        Says(*RUN, USED_UP),
        Until("Job", "fraud-first*"),
        Overdue(),
        Says(*RUN, f"the pod did not start before the deadline: {USED_UP}", "False"),
        Lift("Quota"),
        ready(*RUN),
    ),
    "13: a serving pod is killed for its memory": (
        *TRAINED,
        Impose("OutOfMemory"),
        SERVED,
        Says(*SERVICE, "was OOMKilled; it has no memory limit", "False"),
        Lift("OutOfMemory"),
        ready(*SERVICE),
    ),
    "22: a node is cordoned": (
        *TRAINED,
        Impose("Cordon"),
        SERVED,
        Says(*SERVICE, "1 node(s) were unschedulable; uncordon the node", "False"),
        Lift("Cordon"),
        ready(*SERVICE),
    ),
    "26: the Secret of the store is missing, and corrected": (
        Apply(script.dataset()),
        Says(*DATASET, "Secret 'tidemill-store' not found", "False"),
        Release("Credentials"),
        ready(*DATASET),
    ),
    "27: a schedule never fires, and is corrected": (
        *TRAINED,
        SERVED,
        ready(*SERVICE),
        Apply(NEVER),
        Says("DriftMonitor", "fraud", "schedule '0 0 30 2 *' never fires; set a date that exists", "False"),
        Until("DriftMonitor", "fraud", "conditions.Stalled.reason", "ScheduleNeverFires"),
        Edit("DriftMonitor", "fraud", lambda versions: {"spec": {"schedule": "* * * * *"}}),  # noqa: ARG005
        Until("DriftMonitor", "fraud", "conditions.Ready.reason", "Progressing"),
    ),
    "29: the service of a monitor is deleted and created again": (
        *TRAINED,
        SERVED,
        ready(*SERVICE),
        Apply(WATCHED),
        ready("DriftMonitor", "fraud"),
        Delete(*SERVICE),
        Until("DriftMonitor", "fraud", "conditions.Ready.reason", "DependencyNotReady"),
        Gone("Deployment", "fraud-stable"),
        SERVED,
        ready(*SERVICE),
        ready("DriftMonitor", "fraud"),
    ),
    "36: a Job that judges a candidate is refused by a quota": (
        *TRAINED,
        Apply(BY_HAND),
        ready(*SERVICE),
        *SECOND,
        Until(*SERVICE, "rollout.phase", "Paused"),
        Impose("Quota"),
        Apply(JUDGED),
        Says(*SERVICE, f"metric 'smoke' waits for its Job: {USED_UP}", "False", "RolloutComplete"),
        Until(*SERVICE, "conditions.RolloutComplete.reason", "Refused"),
        Overdue("fraud-judge*"),
        Says(*SERVICE, "; it is started again at ", "False", "RolloutComplete"),
        Until(*SERVICE, "rollout.jobs.0.attempt", 1),
        Lift("Quota"),
        Until(*SERVICE, "rollout.analysis.0.verdict", "Successful"),
        Until(*SERVICE, "rollout.phase", "Paused"),
    ),
    "34: a canary is aborted": (
        *TRAINED,
        Apply(BY_HAND),
        ready(*SERVICE),
        *SECOND,
        Until(*SERVICE, "rollout.phase", "Paused"),
        Edit(*SERVICE, aborted),
        Until(*SERVICE, "history.0.outcome", "RolledBack"),
        Until(*SERVICE, "conditions.Ready.status", "True"),
        *NO_CANDIDATE,
    ),
}

ELSEWHERE = {
    "5: a quota during a promotion": "tests/stories/golden/a_promotion_that_finds_no_room_is_given_the_candidates.txt",
    "27: time zones and broken schedules": "tests/unit/plan/runs/test_schedules.py",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("situations")) as made:
        yield made


def pods() -> Script:
    """Runs that go well, once the Secret of the store is there."""
    return Script({"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}, measured)


def measured(candidate: str) -> Any:
    return script.measures(candidate, right=97)()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lives(scene: Stage) -> AsyncIterator[Mapping[str, asyncio.Task[None]]]:
    """Every situation under way, some at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def live(name: str) -> None:
        async with turn:
            await _live(scene, name)

    tasks = {name: asyncio.create_task(live(name)) for name in SITUATIONS}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("name", SITUATIONS)
async def test_it_is_told_and_heals(lives: Mapping[str, asyncio.Task[None]], name: str) -> None:
    await lives[name]


async def _live(scene: Stage, name: str) -> None:
    given = pods()
    if name.startswith("26"):
        given.reports["Ingest"] = lambda order: (
            script.ingests(order) if "Credentials" not in given.held else _no_secret()
        )
        given.held.add("Credentials")
    async with scene.scene(given) as (play, around):
        for step in SITUATIONS[name]:
            match step:
                case Impose(cause):
                    await around.impose(cause)
                case Lift(cause):
                    await around.lift(cause)
                case Overdue(job):
                    await play.report("Job", job, OVERDUE)
                case _:
                    await play.take([step])


def _no_secret() -> RunReport:
    message = "Secret 'tidemill-store' not found; create it"
    return RunReport(failure=Failure(reason=Reason.STORE_CREDENTIALS_MISSING, message=message, retryable=True))


async def test_what_is_shown_elsewhere_is_there() -> None:
    assert all((REPOSITORY / path).exists() for path in ELSEWHERE.values())
