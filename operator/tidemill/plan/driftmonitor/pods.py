"""The pods that stand beside a monitor: who takes what other systems say, and who carries its checks out while they are warm."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.api import DriftMonitor
from tidemill.children import names, receiving, worker
from tidemill.children.installation import Installation
from tidemill.plan.driftmonitor import windows
from tidemill.plan.lookup import is_being_deleted, is_ours
from tidemill.plan.types import Retirement
from tidemill.plan.world import Manifest, World, key_of


@dataclass(frozen=True, slots=True)
class MonitorPod:
    """What a companion needs while it is wanted, and what of it goes when it is not."""

    ensure: tuple[Manifest, ...] = ()
    retire: tuple[Retirement, ...] = ()


def receiver(monitor: DriftMonitor, world: World, installation: Installation) -> MonitorPod:
    """The pod that takes what other systems say, while a check asks for it."""
    if receiving.is_needed(monitor):
        manifests = (
            receiving.service(monitor),
            receiving.deployment(monitor, installation, windows.log_retention(monitor)),
        )
        return MonitorPod(ensure=manifests)
    name = names.receiver(monitor.name)
    return _retired(monitor, world, ("Deployment", "Service"), name, "no check of type External is left")


def warm(monitor: DriftMonitor, world: World, installation: Installation) -> MonitorPod:
    """The pod that is asked for checks, while the monitor wants one."""
    if worker.is_needed(monitor):
        return MonitorPod(ensure=(worker.deployment(monitor, installation, windows.MAX_RUN_SECONDS),))
    return _retired(monitor, world, ("Deployment",), names.worker(monitor.name), "no warm worker is wanted")


def unwanted(monitor: DriftMonitor, world: World, installation: Installation) -> tuple[Retirement, ...]:
    """What of both goes because the monitor does not ask for it, whatever else it waits for."""
    return (*receiver(monitor, world, installation).retire, *warm(monitor, world, installation).retire)


def _retired(monitor: DriftMonitor, world: World, kinds: tuple[str, ...], name: str, reason: str) -> MonitorPod:
    """Those of the monitor's own objects of this name go that are there."""
    existing = [world.get(kind, monitor.namespace, name) for kind in kinds]
    return MonitorPod(
        retire=tuple(
            Retirement(key_of(manifest), manifest["metadata"]["uid"], reason)
            for manifest in existing
            if manifest is not None and is_ours(manifest, monitor.metadata.uid) and not is_being_deleted(manifest)
        )
    )
