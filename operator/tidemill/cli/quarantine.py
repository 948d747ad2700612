"""`kubectl tidemill quarantine | lift`: exclude a ModelVersion from all services, and end that.

The annotation says who and why; setting and removing it takes the RBAC verb `approve` on modelversions.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.api import ModelVersion
from tidemill.children import names
from tidemill.cli.kubectl import Context, Kubectl, Namespace, refuse
from tidemill.plan.quarantine import quarantine_of

Version = Annotated[str, typer.Argument(help="Name of the ModelVersion.")]
Why = Annotated[str, typer.Option("--reason", help="Why no service may use the version, in one sentence.")]


def quarantine(version: Version, reason: Why, namespace: Namespace = "", context: Context = "") -> None:
    """Exclude a version from all services; one that serves it changes to the newest version that may be served."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(ModelVersion, version)
    why = " ".join(reason.split())
    if not why:
        refuse("--reason is empty; say in one sentence why no service may use the version")
    if present := quarantine_of(live):
        refuse(f"ModelVersion '{version}' is {present}; run kubectl tidemill lift {version} first")
    kubectl.annotate(ModelVersion, version, names.QUARANTINE, f"{kubectl.user()}: {why}")
    served = ", ".join(entry.inference_service for entry in live.status.served_by)
    typer.echo(f"requested the quarantine of {version}" + (f"; it is served by {served}" if served else ""))


def lift(version: Version, namespace: Namespace = "", context: Context = "") -> None:
    """Lift the quarantine of a version; services may roll it out again."""
    kubectl = Kubectl(namespace, context)
    if not kubectl.get(ModelVersion, version).metadata.annotations.get(names.QUARANTINE):
        refuse(f"ModelVersion '{version}' is not quarantined; there is nothing to lift")
    kubectl.annotate(ModelVersion, version, names.QUARANTINE, None)
    typer.echo(f"requested that the quarantine of {version} be lifted")
