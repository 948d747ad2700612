"""`kubectl tidemill promote | abort | pause | resume | retry`: control a rollout by an annotation that names the version.

The spec is not touched, so what Git says stays true; and a request about one candidate does not apply to the next. Each
command reads the service first, and writes nothing where the request would have no effect.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from tidemill.api import InferenceService
from tidemill.api.base import to_rfc3339
from tidemill.api.rollout import RolloutStatus
from tidemill.children import names
from tidemill.cli.kubectl import Context, Kubectl, Namespace, refuse

Service = Annotated[str, typer.Argument(help="Name of the InferenceService.")]
Version = Annotated[str, typer.Option("--version", help="ModelVersion; by default the one rolled back last.")]
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
    """Roll the candidate back; this service does not try it again until kubectl tidemill retry."""
    kubectl = Kubectl(namespace, context)
    version = _rollout(kubectl.get(InferenceService, service), aborting=True).version
    kubectl.annotate(InferenceService, service, names.ABORT, version)
    typer.echo(f"requested the rollback of {version}; run kubectl tidemill retry {service} to try it again later")


def retry(service: Service, version: Version = "", namespace: Namespace = "", context: Context = "") -> None:
    """Try a version again that this service rolled back, whether it was aborted, rejected, or found no room."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(InferenceService, service)
    chosen, rolled_back_at = _rolled_back(live, version)
    # The verdict counts until its own time, which may be later than this machine's clock.
    request = f"{chosen}/{to_rfc3339(max(datetime.now(UTC), rolled_back_at))}"
    changes: dict[str, str | None] = {names.RETRY: request}
    if live.metadata.annotations.get(names.ABORT) == chosen:
        changes[names.ABORT] = None
    kubectl.annotate_all(InferenceService, service, changes)
    typer.echo(f"requested another try of {chosen}; it begins if no newer version may be served, or if it is pinned")


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


def _rolled_back(service: InferenceService, version: str) -> tuple[str, datetime]:
    """Return the version to try again and the time of its rollback, or say why there is none."""
    stable = service.status.stable.version if service.status.stable else ""
    entries = [(entry.version, entry.at) for entry in service.status.rejected or ()]
    entries += [(ended.version, ended.at) for ended in service.status.history if ended.outcome == "RolledBack"]
    times: dict[str, datetime] = {}
    for name, at in entries:
        times[name] = max(at, times.get(name, at))
    times.pop(stable, None)
    if service.status.rollout is not None and service.status.rollout.phase != "RollingBack":
        times.pop(service.status.rollout.version, None)
    if version and version not in times:
        refuse(f"InferenceService '{service.name}' did not roll '{version}' back; there is nothing to try again")
    if not times:
        refuse(f"InferenceService '{service.name}' has rolled no version back; there is nothing to try again")
    chosen = version or max(times, key=lambda name: times[name])
    return chosen, times[chosen]


def _rollout(service: InferenceService, *, aborting: bool = False) -> RolloutStatus:
    """Return the rollout that a request can still change, or say why there is none.

    An abort has an effect while the stable pods are being replaced and while the service is suspended, too.
    """
    rollout = service.status.rollout
    if rollout is None:
        refuse(f"InferenceService '{service.name}' has no rollout in progress; create a new ModelVersion to begin one")
    if rollout.phase == "Promoting" and not aborting:
        refuse(f"{rollout.version} is being promoted already; wait for the rollout to end")
    if rollout.phase == "RollingBack":
        refuse(f"{rollout.version} is being rolled back already; wait for the rollout to end")
    if service.spec.suspend and not aborting:
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
