"""Kill the operator with SIGKILL, once at each stage of the loop."""

from collections.abc import Callable
from dataclasses import dataclass, field

from demo.story import NAME
from support import installation
from support.api import Api
from support.environment import Environment
from support.reaper import Reaper
from tidemill.api import DriftMonitor, InferenceService, TrainingJob
from tidemill.children import names


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the loop at which the operator dies."""

    name: str
    has_come: Callable[[Api, str], bool]


def _running_job(api: Api, namespace: str, component: str, owner: str) -> bool:
    jobs = api.all("Job", namespace, f"{names.COMPONENT}={component},{names.OWNER_NAME}={owner}")
    return any(not (job.get("status") or {}).get("completionTime") for job in jobs)


def _retraining(api: Api, namespace: str) -> TrainingJob | None:
    return next((run for run in api.read_all(TrainingJob, namespace) if run.name != NAME), None)


def _retraining_runs(api: Api, namespace: str) -> bool:
    run = _retraining(api, namespace)
    return run is not None and _running_job(api, namespace, "train", run.name)


def _rollout(api: Api, namespace: str, phase: str) -> bool:
    service = api.read(InferenceService, namespace, NAME)
    rollout = service.status.rollout if service else None
    return rollout is not None and rollout.phase == phase


def _canary_answers(api: Api, namespace: str) -> bool:
    service = api.read(InferenceService, namespace, NAME)
    rollout = service.status.rollout if service else None
    return rollout is not None and rollout.weight > 0


def _reference_moved(api: Api, namespace: str) -> bool:
    monitor = api.read(DriftMonitor, namespace, NAME)
    run = _retraining(api, namespace)
    reference = monitor.status.reference if monitor else None
    return reference is not None and run is not None and reference.version == run.status.model_version


MOMENTS = (
    Moment("rows are being read", lambda api, namespace: _running_job(api, namespace, "ingest", NAME)),
    Moment("the first model is being trained", lambda api, namespace: _running_job(api, namespace, "train", NAME)),
    Moment("pods are being started", lambda api, namespace: bool(api.all("Deployment", namespace))),
    Moment("a window is being checked", lambda api, namespace: _running_job(api, namespace, "check", NAME)),
    Moment("a retraining was ordered", lambda api, namespace: _retraining(api, namespace) is not None),
    Moment("the retraining runs", _retraining_runs),
    Moment("the candidate is being started", lambda api, namespace: _rollout(api, namespace, "Starting")),
    Moment("the candidate answers a share", _canary_answers),
    Moment("the candidate is being promoted", lambda api, namespace: _rollout(api, namespace, "Promoting")),
    Moment("the monitor has its new reference", _reference_moved),
)


@dataclass(slots=True)
class OperatorKiller:
    """Waits for one moment after the other, and kills the operator at each."""

    environment: Environment
    reaper: Reaper
    namespace: str
    to_come: list[Moment] = field(default_factory=lambda: list(MOMENTS))
    struck: list[str] = field(default_factory=list)

    def __call__(self) -> None:
        if self.to_come and self.to_come[0].has_come(self.environment.api, self.namespace):
            kill_operator(self.environment, self.reaper)
            self.struck.append(self.to_come.pop(0).name)


def kill_operator(environment: Environment, reaper: Reaper) -> None:
    """SIGKILL the operator's processes; its pod is replaced, so that the kubelet's back-off is not what is tested."""
    pod = environment.operator_pod()
    killed = reaper.kill(installation.NAMESPACE, pod)
    assert killed > 0, f"no process of pod {pod} was found"
    environment.api.delete("Pod", installation.NAMESPACE, pod, grace=0)
