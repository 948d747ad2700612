"""`kubectl tidemill check | retrain | reset`: what a person asks of a DriftMonitor, as an annotation with the moment.

Nothing of the spec is touched, so what Git says stays true; a moment is answered once, however often it is seen. kubectl
itself is asked to annotate: whoever may use it as they are logged in may use this.
"""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from tidemill.api import GROUP, DriftMonitor
from tidemill.api.base import to_rfc3339
from tidemill.children import names

Monitor = Annotated[str, typer.Argument(help="The DriftMonitor.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Empty: that of kubectl's context.")]
Context = Annotated[str, typer.Option("--context", help="kubectl's context; empty: the current one.")]

_RESOURCE: Final = f"{DriftMonitor.plural}.{GROUP}"


def check(monitor: Monitor, namespace: Namespace = "", context: Context = "") -> None:
    """Check the window that ends now; what it finds counts no hit towards a retraining."""
    moment = _annotate(monitor, names.CHECK, namespace, context)
    typer.echo(f"the window up to {moment} is checked; kubectl get {_RESOURCE} {monitor} shows what it finds")


def retrain(monitor: Monitor, namespace: Namespace = "", context: Context = "") -> None:
    """Retrain as soon as nothing forbids it; cooldown and budget do not, bad data and a rollout do."""
    moment = _annotate(monitor, names.RETRAIN, namespace, context)
    typer.echo(f"a retraining is asked for at {moment}; the condition RetrainingAllowed says what it may wait for")


def reset(monitor: Monitor, namespace: Namespace = "", context: Context = "") -> None:
    """Close the circuit again: versions rejected before now count no longer."""
    moment = _annotate(monitor, names.RESET, namespace, context)
    typer.echo(f"versions rejected before {moment} count no longer")


def _annotate(monitor: str, annotation: str, namespace: str, context: str) -> str:
    """Write the moment into the annotation and return it; exits with what kubectl says where it refuses."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise typer.BadParameter("there is no kubectl on the PATH")
    moment = to_rfc3339(datetime.now(UTC))
    where = [*(("--context", context) if context else ()), *(("--namespace", namespace) if namespace else ())]
    said = [f"{annotation}={moment}", "--overwrite", "--field-manager=kubectl-tidemill"]
    command = [kubectl, *where, "annotate", f"{_RESOURCE}/{monitor}", *said]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        typer.echo(done.stderr.strip(), err=True)
        raise typer.Exit(1)
    return moment
