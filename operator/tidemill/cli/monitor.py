"""`kubectl tidemill check | retrain | reset`: request something of a DriftMonitor by an annotation that holds the time.

The spec is not touched, so what Git says stays true; one request is answered once, however often it is seen. Each command
reads the monitor first, and writes nothing where the request would have no effect.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from tidemill.api import DriftMonitor, TrainingJob
from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import Condition, Reason
from tidemill.children import names
from tidemill.cli.kubectl import Context, Kubectl, Namespace, refuse

Monitor = Annotated[str, typer.Argument(help="Name of the DriftMonitor.")]

NEEDS_AN_EDIT: Final = frozenset(
    {Reason.CIRCUIT_OPEN, Reason.RETRAINING_OFF, Reason.INVALID_SPEC, Reason.UNSUPPORTED, Reason.DEPENDENCY_NOT_READY}
)
"""Reasons that hold a retraining back until a person acts; other reasons pass by themselves."""


def check(monitor: Monitor, namespace: Namespace = "", context: Context = "") -> None:
    """Check the window that ends now; the result does not count towards the retraining trigger."""
    kubectl = Kubectl(namespace, context)
    _require_active(kubectl.get(DriftMonitor, monitor))
    timestamp = _request(kubectl, monitor, names.CHECK)
    typer.echo(
        f"requested a check of the window up to {timestamp}; run kubectl get driftmonitor {monitor} to see the result"
    )


def retrain(monitor: Monitor, namespace: Namespace = "", context: Context = "") -> None:
    """Retrain as soon as nothing forbids it; cooldown and budget do not forbid it, bad data and a rollout do."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(DriftMonitor, monitor)
    _require_active(live)
    policy = live.spec.retraining
    if policy is None:
        refuse(f"DriftMonitor '{monitor}' has no spec.retraining; add it with the TrainingJob to use as template")
    if policy.mode != "Act":
        refuse(f"spec.retraining.mode of DriftMonitor '{monitor}' is '{policy.mode}'; set it to 'Act' first")
    kubectl.get(TrainingJob, policy.template.training_job)
    held = _current(live, "RetrainingAllowed")
    if _is_circuit_open(live):
        refuse(f"the circuit of DriftMonitor '{monitor}' is open; run kubectl tidemill reset {monitor} first")
    if held is not None and held.status == "False" and held.reason in NEEDS_AN_EDIT:
        refuse(f"DriftMonitor '{monitor}' cannot retrain: {held.message}")
    timestamp = _request(kubectl, monitor, names.RETRAIN)
    typer.echo(f"requested a retraining at {timestamp}; the condition RetrainingAllowed says what it waits for")


def reset(monitor: Monitor, namespace: Namespace = "", context: Context = "") -> None:
    """Close the circuit breaker: versions that were rejected before now are not counted."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(DriftMonitor, monitor)
    policy = live.spec.retraining
    if policy is None:
        refuse(f"DriftMonitor '{monitor}' has no spec.retraining, and so no circuit breaker")
    if not _is_circuit_open(live):
        counted = live.status.retraining.consecutive_rejected
        refuse(
            f"the circuit of DriftMonitor '{monitor}' is not open: {counted} of {policy.circuit_breaker.rejected} "
            "rejected versions in a row; there is nothing to reset"
        )
    timestamp = _request(kubectl, monitor, names.RESET)
    typer.echo(f"requested a circuit breaker reset: rejections before {timestamp} are ignored")


def _require_active(monitor: DriftMonitor) -> None:
    """Refuse where the operator does not check this monitor at all."""
    if monitor.spec.suspend:
        refuse(f"DriftMonitor '{monitor.name}' is suspended; set spec.suspend to false first")
    if monitor.metadata.deletion_timestamp is not None:
        refuse(f"DriftMonitor '{monitor.name}' is being deleted")
    stalled, ready = _current(monitor, "Stalled"), _current(monitor, "Ready")
    if stalled is not None and stalled.status == "True":
        refuse(f"DriftMonitor '{monitor.name}' is stalled: {stalled.message}")
    if ready is not None and ready.status == "False" and ready.reason == Reason.DEPENDENCY_NOT_READY:
        refuse(f"DriftMonitor '{monitor.name}' cannot check anything yet: {ready.message}")


def _is_circuit_open(monitor: DriftMonitor) -> bool:
    policy = monitor.spec.retraining
    if policy is None:
        return False
    return monitor.status.retraining.consecutive_rejected >= policy.circuit_breaker.rejected


def _current(monitor: DriftMonitor, condition: str) -> Condition | None:
    """Return the condition where it speaks of the spec as it is now."""
    current = monitor.status.condition(condition)
    return current if current is not None and current.observed_generation == monitor.metadata.generation else None


def _request(kubectl: Kubectl, monitor: str, annotation: str) -> str:
    """Write the time into the annotation, and return it."""
    timestamp = to_rfc3339(datetime.now(UTC))
    kubectl.annotate(DriftMonitor, monitor, annotation, timestamp)
    return timestamp
