"""`kubectl tidemill promote | abort | pause | resume`: control a rollout by an annotation that names the candidate.

The spec is not touched, so what Git says stays true; and a request about one candidate does not apply to the next. Each
command reads the service first, and writes nothing where the request would have no effect.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.api import InferenceService
from tidemill.api.rollout import RolloutStatus
from tidemill.children import names
from tidemill.cli.kubectl import Context, Kubectl, Namespace, refuse

Service = Annotated[str, typer.Argument(help="Name of the InferenceService.")]
Full = Annotated[bool, typer.Option("--full", help="Skip every stage that is left.")]


def promote(service: Service, full: Full = False, namespace: Namespace = "", context: Context = "") -> None:
    """Promote the candidate to its next stage, or with --full to all requests."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(InferenceService, service)
    rollout = _rollout(live)
    version, request = rollout.version, _promotion(live, rollout, full=full)
    kubectl.annotate(InferenceService, service, names.PROMOTE, request)
    if full:
        typer.echo(f"requested the promotion of {version} to all requests, as soon as its pods are ready")
    else:
        typer.echo(f"requested that {version} leave stage {rollout.step + 1}")


def abort(service: Service, namespace: Namespace = "", context: Context = "") -> None:
    """Roll the candidate back; it is rejected and not tried again."""
    kubectl = Kubectl(namespace, context)
    version = _rollout(kubectl.get(InferenceService, service), promoting=True).version
    kubectl.annotate(InferenceService, service, names.ABORT, version)
    typer.echo(f"requested the rollback of {version}")


def pause(service: Service, namespace: Namespace = "", context: Context = "") -> None:
    """Hold the candidate at its current share; it is still analysed, and rolled back if a metric fails."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(InferenceService, service)
    version = _rollout(live).version
    if _is_paused(live, version):
        refuse(f"the rollout of {version} is paused already; run kubectl tidemill resume {service} to continue it")
    kubectl.annotate(InferenceService, service, names.PAUSE, version)
    typer.echo(f"requested a pause of {version}; run kubectl tidemill resume {service} to continue the rollout")


def resume(service: Service, namespace: Namespace = "", context: Context = "") -> None:
    """Continue a rollout that was paused by `pause`."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(InferenceService, service)
    rollout = _rollout(live)
    if not _is_paused(live, rollout.version):
        remedy = (
            f"run kubectl tidemill promote {service}" if rollout.phase == "Paused" else "there is nothing to resume"
        )
        refuse(f"the rollout of {rollout.version} was not paused by a person; {remedy}")
    kubectl.annotate(InferenceService, service, names.PAUSE, None)
    typer.echo(f"requested that the rollout of {rollout.version} continue")


def _rollout(service: InferenceService, *, promoting: bool = False) -> RolloutStatus:
    """Return the rollout that a request can still change, or say why there is none.

    `promoting` says that the request still has an effect while the stable pods are being replaced.
    """
    rollout = service.status.rollout
    if rollout is None:
        refuse(f"InferenceService '{service.name}' has no rollout in progress; create a new ModelVersion to begin one")
    if rollout.phase == "Promoting" and not promoting:
        refuse(f"{rollout.version} is being promoted already; wait for the rollout to end")
    if rollout.phase == "RollingBack":
        refuse(f"{rollout.version} is being rolled back already; wait for the rollout to end")
    if service.spec.suspend:
        refuse(f"InferenceService '{service.name}' is suspended; set spec.suspend to false first")
    return rollout


def _promotion(service: InferenceService, rollout: RolloutStatus, *, full: bool) -> str:
    """Return the value of the annotation, or say why it would have no effect."""
    requested, _, stage = service.metadata.annotations.get(names.PROMOTE, "").partition("/")
    if requested == rollout.version and not stage:
        refuse(
            f"the promotion of {rollout.version} to all requests is requested already; wait until its pods are ready"
        )
    if full:
        return rollout.version
    if rollout.phase == "Starting":
        refuse(f"{rollout.version} is not ready and has no stage to leave; wait, or use --full to skip all stages")
    if _is_paused(service, rollout.version):
        refuse(f"the rollout of {rollout.version} is paused; run kubectl tidemill resume {service.name} first")
    if requested == rollout.version and stage.isdecimal() and int(stage) > rollout.step:
        refuse(f"{rollout.version} may leave stage {rollout.step + 1} already; wait for the next analysis")
    return f"{rollout.version}/{rollout.step + 1}"


def _is_paused(service: InferenceService, version: str) -> bool:
    return service.metadata.annotations.get(names.PAUSE) == version
