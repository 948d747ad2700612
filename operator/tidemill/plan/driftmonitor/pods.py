"""Plan the long-running pods of a monitor: the receiver of signals and payloads, and the warm worker."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.api import DriftMonitor
from tidemill.api.conditions import PendingCondition, Reason, false, true
from tidemill.children import names, receiving, worker
from tidemill.children.installation import Installation
from tidemill.plan.diagnosis import deployment_problem
from tidemill.plan.driftmonitor import windows
from tidemill.plan.lookup import is_being_deleted, is_ours, is_ready, label
from tidemill.plan.types import Retirement
from tidemill.plan.world import Manifest, World, key_of


@dataclass(frozen=True, slots=True)
class MonitorPod:
    """The objects of a pod while it is needed, and those to delete when it is not."""

    ensure: tuple[Manifest, ...] = ()
    retire: tuple[Retirement, ...] = ()


def receiver(monitor: DriftMonitor, world: World, installation: Installation) -> MonitorPod:
    """Return the receiver, while a check or the target needs one."""
    if receiving.is_needed(monitor):
        manifests = (
            receiving.service(monitor),
            receiving.deployment(monitor, installation, windows.log_retention(monitor)),
        )
        return MonitorPod(ensure=manifests)
    name = names.receiver(monitor.name)
    return _retired(monitor, world, ("Deployment", "Service"), name, "no check of type External needs it")


def warm(monitor: DriftMonitor, world: World, installation: Installation) -> MonitorPod:
    """Return the warm worker, while the monitor has one."""
    if worker.is_needed(monitor):
        return MonitorPod(ensure=(worker.deployment(monitor, installation, windows.MAX_RUN_SECONDS),))
    return _retired(
        monitor,
        world,
        ("Deployment",),
        names.worker(monitor.name),
        "spec.execution is not WarmWorker, or the monitor is suspended",
    )


def conditions_of(monitor: DriftMonitor, world: World) -> list[PendingCondition]:
    """Return ReceiverReady, if the monitor has a receiver: without it, signals and payloads are lost."""
    if not receiving.is_needed(monitor):
        return []
    running = [
        pod
        for pod in world.labelled("Pod", monitor.namespace, names.OWNER_UID, monitor.metadata.uid)
        if label(pod, names.COMPONENT) == receiving.COMPONENT and not is_being_deleted(pod)
    ]
    if any(map(is_ready, running)):
        return [true("ReceiverReady", Reason.REPLICAS_READY)]
    deployment = world.get("Deployment", monitor.namespace, names.receiver(monitor.name))
    problem = deployment_problem(deployment, running, world.events) or "the pod is starting"
    message = f"{problem}; until the receiver is ready, signals and payloads are refused"
    return [false("ReceiverReady", Reason.REPLICAS_NOT_READY, message)]


def unwanted(monitor: DriftMonitor, world: World, installation: Installation) -> tuple[Retirement, ...]:
    """Return the pods to delete because the monitor does not need them, whatever else it waits for."""
    return (*receiver(monitor, world, installation).retire, *warm(monitor, world, installation).retire)


def _retired(monitor: DriftMonitor, world: World, kinds: tuple[str, ...], name: str, reason: str) -> MonitorPod:
    """Retire the monitor's own objects of this name."""
    existing = [world.get(kind, monitor.namespace, name) for kind in kinds]
    return MonitorPod(
        retire=tuple(
            Retirement(key_of(manifest), manifest["metadata"]["uid"], reason)
            for manifest in existing
            if manifest is not None and is_ours(manifest, monitor.metadata.uid) and not is_being_deleted(manifest)
        )
    )
