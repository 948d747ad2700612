"""`kubectl tidemill refresh`: request a read of a Dataset's source by an annotation that holds the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from tidemill.api import Dataset
from tidemill.api.base import to_rfc3339
from tidemill.children import names
from tidemill.cli.kubectl import Context, Kubectl, Namespace, refuse

Name = Annotated[str, typer.Argument(help="Name of the Dataset.")]


def refresh(dataset: Name, namespace: Namespace = "", context: Context = "") -> None:
    """Read the source of a Dataset now, without waiting for its interval or for the pause after a failure."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.get(Dataset, dataset)
    if live.spec.suspend:
        refuse(f"Dataset '{dataset}' is suspended; set spec.suspend to false first")
    if live.metadata.deletion_timestamp is not None:
        refuse(f"Dataset '{dataset}' is being deleted")
    timestamp = to_rfc3339(datetime.now(UTC))
    kubectl.annotate(Dataset, dataset, names.REFRESH, timestamp)
    typer.echo(f"requested a read of the source at {timestamp}; run kubectl get dataset {dataset} to see the result")
