"""`kubectl tidemill promote | abort | pause | resume`: what a person says to a rollout, as an annotation that names the candidate.

Nothing of the spec is touched, so what Git says stays true; and a word about one candidate is none about the next.
kubectl itself is asked to read and to annotate: whoever may use it as they are logged in may use this.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Annotated, Any

import typer

from tidemill.api import GROUP, InferenceService
from tidemill.children import names

Service = Annotated[str, typer.Argument(help="The InferenceService.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Empty: that of kubectl's context.")]
Context = Annotated[str, typer.Option("--context", help="kubectl's context; empty: the current one.")]
Full = Annotated[bool, typer.Option("--full", help="Skip every stage that is left.")]


class Kubectl:
    """The kubectl at hand, for one namespace and context."""

    def __init__(self, namespace: str, context: str) -> None:
        found = shutil.which("kubectl")
        if found is None:
            raise typer.BadParameter("there is no kubectl on the PATH")
        self._command = [found]
        if context:
            self._command += ["--context", context]
        if namespace:
            self._command += ["--namespace", namespace]

    def service(self, name: str) -> dict[str, Any]:
        """The InferenceService as it is now."""
        found: dict[str, Any] = json.loads(self._run("get", _resource(name), "--output=json"))
        return found

    def annotate(self, name: str, annotation: str, value: str | None) -> None:
        """Set an annotation, or take it away."""
        said = f"{annotation}-" if value is None else f"{annotation}={value}"
        self._run("annotate", _resource(name), said, "--overwrite", "--field-manager=kubectl-tidemill")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            typer.echo(done.stderr.strip(), err=True)
            raise typer.Exit(1)
        return done.stdout


def promote(service: Service, full: Full = False, namespace: Namespace = "", context: Context = "") -> None:
    """Let the candidate go on: past the stage it is in, or with --full to the end."""
    kubectl = Kubectl(namespace, context)
    rollout = _rollout(kubectl.service(service), service)
    version, stage = str(rollout["version"]), int(rollout.get("step") or 0) + 1
    if rollout["phase"] == "Starting" and not full:
        raise typer.BadParameter(
            f"{version} is not ready yet and in no stage that it could leave; --full skips them all"
        )
    kubectl.annotate(service, names.PROMOTE, version if full else f"{version}/{stage}")
    typer.echo(f"{version} is promoted" if full else f"{version} goes on from stage {stage}")


def abort(service: Service, namespace: Namespace = "", context: Context = "") -> None:
    """Roll the candidate back; it is quarantined and not tried again."""
    kubectl = Kubectl(namespace, context)
    version = str(_rollout(kubectl.service(service), service)["version"])
    kubectl.annotate(service, names.ABORT, version)
    typer.echo(f"{version} is rolled back")


def pause(service: Service, namespace: Namespace = "", context: Context = "") -> None:
    """Hold the candidate at the share it has; it is still judged, and rolled back where it fails."""
    kubectl = Kubectl(namespace, context)
    version = str(_rollout(kubectl.service(service), service)["version"])
    kubectl.annotate(service, names.PAUSE, version)
    typer.echo(f"{version} is held where it is; kubectl tidemill resume {service} lets it go on")


def resume(service: Service, namespace: Namespace = "", context: Context = "") -> None:
    """Take a pause back."""
    kubectl = Kubectl(namespace, context)
    kubectl.annotate(service, names.PAUSE, None)
    typer.echo(f"rollouts of {service} go on")


def _resource(name: str) -> str:
    return f"{InferenceService.plural}.{GROUP}/{name}"


def _rollout(service: dict[str, Any], name: str) -> dict[str, Any]:
    rollout: dict[str, Any] | None = (service.get("status") or {}).get("rollout")
    if not rollout:
        typer.echo(f"{name} has no rollout under way", err=True)
        raise typer.Exit(1)
    if rollout.get("phase") in {"Promoting", "RollingBack"}:
        typer.echo(f"{rollout.get('version')} is past that: {rollout['phase']}", err=True)
        raise typer.Exit(1)
    return rollout
