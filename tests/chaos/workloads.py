"""What people do, step by step: each workload is a script of applies, and of how far things must have come in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chaos.kubelet import Script
from stories import script
from tidemill.contract.reports import Ingested, RunReport
from tidemill.plan.world import Manifest


@dataclass(frozen=True)
class Apply:
    """What a user applies."""

    manifest: Manifest


@dataclass(frozen=True)
class Delete:
    """What a user deletes."""

    kind: str
    name: str


@dataclass(frozen=True)
class Edit:
    """What a user changes of an object: the first whose name begins so, with `*`."""

    kind: str
    name: str
    patch: Callable[[list[str]], Manifest]
    """A merge patch, made of the names of the ModelVersions that there are, the oldest first."""


@dataclass(frozen=True)
class Until:
    """Wait until the object (the first whose name begins so, with `*`) says `value` at `path`, of its newest spec."""

    kind: str
    name: str
    path: str = ""
    value: Any = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.path}={self.value}" if self.path else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Says:
    """Wait until a condition of an object has this status, and its message this text."""

    kind: str
    name: str
    text: str
    status: str = "Unknown"
    condition: str = "Ready"

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.condition}={self.status}: {self.text}"


@dataclass(frozen=True)
class Gone:
    """Wait until there is no such object."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"no {self.kind} {self.name}"


@dataclass(frozen=True)
class Hold:
    """Runs of a task do not end, from now on."""

    task: str


@dataclass(frozen=True)
class Release:
    """They may end again."""

    task: str


@dataclass(frozen=True)
class Pause:
    """Let time pass."""

    seconds: float


Step = Apply | Edit | Delete | Until | Says | Gone | Hold | Release | Pause


@dataclass(frozen=True)
class Workload:
    """A piece of life with a beginning and an end that is always the same."""

    name: str
    steps: tuple[Step, ...]
    script: Callable[[], Script]


def ready(kind: str, name: str) -> Until:
    return Until(kind, name, "conditions.Ready.status", "True")


def _moving_source() -> Script:
    """Another file is another revision."""

    def ingests(order: Manifest) -> RunReport:
        uri = str(order["source"]["uri"])
        result = Ingested(
            digest=script.digest(uri), uri=uri, rows=1000, bytes=4000, columns=5, features=4, target="fraud"
        )
        return RunReport(ingested=result)

    made = _quiet()
    made.reports["Ingest"] = ingests
    return made


def _quiet() -> Script:
    return Script({"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()})


def _with_a_candidate(right: int) -> Callable[[], Script]:
    def make() -> Script:
        made = _quiet()
        made.measurements = lambda candidate: script.measures(candidate, right=right)()
        return made

    return make


def _with_drift() -> Script:
    """Drift for the first version that is looked at, none for those that follow."""
    made = _with_a_candidate(97)()
    first: set[str] = set()

    def checks(order: Manifest) -> RunReport:
        version = order["version"]["name"]
        first.update({version} if not first else ())
        report: RunReport = script.checks("Failing" if version in first else "Passing")(order)
        return report

    made.reports["Check"] = checks
    return made


def _service(replicas: int = 1) -> Manifest:
    """The shop's service with a canary that does not take long."""
    manifest = script.service(replicas=replicas)
    rollout = manifest["spec"]["rollout"]
    rollout["steps"] = [{"weight": 25, "pause": "1s"}, {"weight": 50, "pause": "1s"}]
    rollout["analysis"]["interval"] = "1s"
    return manifest


def _monitor(**spec: Any) -> Manifest:
    window = {"size": "10s", "minimumSamples": 100, "minimumLabels": 50}
    return script.monitor(interval="2s", window=window, **spec)


IN_SERVICE: tuple[Step, ...] = (
    Apply(script.dataset()),
    Apply(script.training_job()),
    Apply(_service()),
    ready("TrainingJob", "fraud-first"),
    ready("InferenceService", "fraud"),
)
NO_CANDIDATE: tuple[Step, ...] = (
    Until("InferenceService", "fraud", "conditions.RolloutComplete.status", "True"),
    Gone("Deployment", "fraud-candidate"),
    Gone("Service", "fraud-candidate"),
)
SECOND: tuple[Step, ...] = (
    # Creation times are whole seconds, and of two versions of the same second the newer one is not known.
    Pause(1.1),
    Apply(script.training_job("fraud-second")),
    ready("TrainingJob", "fraud-second"),
)


APPROVED = {"spec": {"approval": {"decisions": [{"user": "ada", "verdict": "Approved"}]}}}


def _approved_by_hand() -> Manifest:
    manifest = script.training_job()
    manifest["spec"]["version"]["approval"] = {"policy": "Manual"}
    return manifest


def _scaled_to(replicas: int) -> tuple[Step, ...]:
    return (
        Apply(_service(replicas)),
        Until("Deployment", "fraud-stable", "readyReplicas", replicas),
        Until("InferenceService", "fraud", "replicas", replicas),
        ready("InferenceService", "fraud"),
    )


def _rollout_ended(outcome: str) -> tuple[Step, ...]:
    return (Until("InferenceService", "fraud", "history.0.outcome", outcome), *NO_CANDIDATE)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("train_and_serve", IN_SERVICE, _quiet),
        Workload("scaled", (*IN_SERVICE, *_scaled_to(3), *_scaled_to(1)), _quiet),
        # As long as a Lease takes to expire, so that somebody else leads when the rest is done.
        Workload("scaled_after_a_while", (*IN_SERVICE, Pause(20.0), *_scaled_to(2)), _quiet),
        Workload(
            "source_edited_while_training",
            (
                Hold("Train"),
                Apply(script.dataset()),
                Apply(script.training_job()),
                Until("Pod", "fraud-first*"),
                Apply(script.dataset(source={"uri": "s3://lake/more.parquet"})),
                Until("Dataset", "payments", "revision.digest", script.digest("s3://lake/more.parquet")),
                Release("Train"),
                ready("TrainingJob", "fraud-first"),
                ready("ModelVersion", "fraud*"),
                ready("Dataset", "payments"),
            ),
            _moving_source,
        ),
        Workload(
            "deleted_with_all_it_owns",
            (
                *IN_SERVICE,
                Delete("InferenceService", "fraud"),
                Gone("Deployment", "fraud*"),
                Gone("Service", "fraud*"),
                Gone("Pod", "fraud-stable*"),
                Delete("TrainingJob", "fraud-first"),
                Gone("Job", "fraud-first*"),
                Delete("Dataset", "payments"),
                Gone("Job", "payments*"),
                Gone("Pod", "*"),
                ready("ModelVersion", "fraud*"),
            ),
            _quiet,
        ),
        Workload(
            "approved_by_a_person",
            (
                Apply(script.dataset()),
                Apply(_approved_by_hand()),
                Apply(_service()),
                Until("ModelVersion", "fraud*", "conditions.Approved.reason", "AwaitingApproval"),
                Edit("ModelVersion", "fraud*", lambda versions: APPROVED),  # noqa: ARG005
                ready("InferenceService", "fraud"),
            ),
            _quiet,
        ),
        Workload(
            "pinned_version",
            (
                *IN_SERVICE,
                Edit("InferenceService", "fraud", lambda versions: {"spec": {"model": {"version": versions[0]}}}),
                *SECOND,
                ready("ModelVersion", "fraud*"),
                Until("InferenceService", "fraud", "conditions.RolloutComplete.status", "True"),
            ),
            _quiet,
        ),
        Workload(
            "deleted_while_training",
            (
                Hold("Train"),
                Apply(script.dataset()),
                Apply(script.training_job()),
                Until("Pod", "fraud-first*"),
                Delete("TrainingJob", "fraud-first"),
                Gone("Job", "fraud-first*"),
                Gone("Pod", "fraud-first*"),
                ready("Dataset", "payments"),
            ),
            _quiet,
        ),
        Workload(
            "suspended_and_resumed",
            (
                Hold("Train"),
                Apply(script.dataset()),
                Apply(script.training_job()),
                Until("Pod", "fraud-first*"),
                Apply(script.training_job(suspend=True)),
                Until("TrainingJob", "fraud-first", "conditions.Suspended.status", "True"),
                Gone("Job", "fraud-first*"),
                Gone("Pod", "fraud-first*"),
                Release("Train"),
                Apply(script.training_job(suspend=False)),
                ready("TrainingJob", "fraud-first"),
                ready("ModelVersion", "fraud*"),
            ),
            _quiet,
        ),
        Workload("canary_rolled_back", (*IN_SERVICE, *SECOND, *_rollout_ended("RolledBack")), _with_a_candidate(70)),
        Workload("canary_promoted", (*IN_SERVICE, *SECOND, *_rollout_ended("Promoted")), _with_a_candidate(97)),
        Workload(
            "drift_retrains",
            (
                *IN_SERVICE,
                Apply(_monitor()),
                Until("DriftMonitor", "fraud", "history.0.outcome", "Promoted"),
                *_rollout_ended("Promoted"),
                Until("DriftMonitor", "fraud", "lastRun.verdict", "Passing"),
                Apply(_monitor(suspend=True)),
                Until("DriftMonitor", "fraud", "conditions.Ready.reason", "Suspended"),
            ),
            _with_drift,
        ),
        Workload(
            "drift_found_by_a_worker",
            (
                *IN_SERVICE,
                Apply(_monitor(execution="WarmWorker")),
                Until("DriftMonitor", "fraud", "conditions.WorkerReady.status", "True"),
                Until("DriftMonitor", "fraud", "history.0.outcome", "Promoted"),
                *_rollout_ended("Promoted"),
                Until("DriftMonitor", "fraud", "lastRun.verdict", "Passing"),
                Apply(_monitor(execution="WarmWorker", suspend=True)),
                Until("DriftMonitor", "fraud", "conditions.Ready.reason", "Suspended"),
                Gone("Deployment", "fraud-worker"),
                Gone("Pod", "fraud-worker*"),
            ),
            _with_drift,
        ),
    )
}
