"""`kubectl tidemill upload`: put a file into the folder of a namespace in the object store, and name it in a Dataset.

A Job with the image of workload pods takes the file through `kubectl port-forward`, so that a person needs neither an address
nor keys of the store, only what the cluster role `edit` gives.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tidemill.api import API_VERSION, Dataset
from tidemill.api.sources import Source
from tidemill.children import uploads
from tidemill.children.installation import Installation
from tidemill.cli.kubectl import Context, Kubectl, Namespace, refuse
from tidemill.cli.upload.local_file import LocalFile, UnusableFile
from tidemill.cli.upload.pod import running_pod
from tidemill.cli.upload.progress import ProgressLine, size
from tidemill.cli.upload.transfer import TransferFailed, send
from tidemill.cli.upload.tunnel import Tunnel
from tidemill.contract.uploads import MAX_BYTES, SETTINGS, UploadOrder, plain_name

BAD_INPUT = 2

FileArgument = Annotated[Path, typer.Argument(help="A Parquet, CSV or JSON Lines file.")]
DatasetOption = Annotated[str, typer.Option("--dataset", "-d", help="Dataset whose source becomes the file.")]
CreateOption = Annotated[bool, typer.Option("--create", help="Create the Dataset if it does not exist.")]
TargetOption = Annotated[str, typer.Option("--target", help="Column to predict, for a Dataset that is created.")]
KeepOption = Annotated[
    bool, typer.Option("--print", help="Print the source for your manifest, and leave the Dataset as it is.")
]
ImageOption = Annotated[str, typer.Option("--image", help="Workload image; by default that of the installation.")]


def upload(
    file: FileArgument,
    dataset: DatasetOption,
    create: CreateOption = False,
    target: TargetOption = "",
    only_print: KeepOption = False,
    image: ImageOption = "",
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Put a file into the object store, and set spec.source.uri of a Dataset to it. An upload that was cut continues."""
    kubectl = Kubectl(namespace, context)
    live = kubectl.find(Dataset, dataset)
    if live is not None and live.metadata.deletion_timestamp is not None:
        refuse(f"Dataset '{dataset}' is being deleted; wait until it is gone, and use --create")
    installation = _installation(kubectl, image)
    try:
        order = _upload(file, kubectl, installation)
    except (UnusableFile, OSError) as error:
        typer.echo(f"tidemill upload: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    except TransferFailed as failure:
        refuse(str(failure))
    if live is None:
        manifest = _manifest(dataset, order.uri, target)
        if create and not only_print:
            kubectl.create(manifest)
            typer.echo(f"created Dataset '{dataset}'; run kubectl get dataset {dataset} to see the result")
            return
        typer.echo("apply this manifest, or run the command with --create:", err=True)
        typer.echo(json.dumps(manifest, indent=2))
    elif only_print:
        typer.echo(f"spec.source.uri: {order.uri}")
    elif live.spec.source.uri == order.uri:
        typer.echo(f"Dataset '{dataset}' has this source already; nothing is changed")
    else:
        kubectl.merge(Dataset, dataset, {"spec": {"source": {**_no_source(), "uri": order.uri}}})
        typer.echo(f"set the source of Dataset '{dataset}'; run kubectl get dataset {dataset} to see the result")


def _installation(kubectl: Kubectl, image: str) -> Installation:
    """Return how workload pods run here, as the chart tells it in a ConfigMap."""
    text = kubectl.run("get", "configmap", SETTINGS, "--output=json", "--ignore-not-found")
    if not text.strip() and not image:
        refuse(
            f"there is no ConfigMap '{SETTINGS}' in the namespace; add the namespace to the chart's value workloadNamespaces, or name the "
            "workload image with --image"
        )
    given = json.loads(text).get("data") or {} if text.strip() else {}
    defaults = Installation(workload_image=image or given.get("image", ""), server_image="")
    return Installation(
        workload_image=defaults.workload_image,
        server_image="",
        image_pull_policy=given.get("pullPolicy", defaults.image_pull_policy),
        store_secret=given.get("storeSecret", defaults.store_secret),
        service_account=given.get("serviceAccount", defaults.service_account),
    )


def _upload(path: Path, kubectl: Kubectl, installation: Installation) -> UploadOrder:
    reading = ProgressLine(f"reading {path.name}", time.monotonic)
    file = LocalFile.read(path, max_bytes=MAX_BYTES, note=reading.show)
    reading.end()
    token = secrets.token_urlsafe(32)
    order = UploadOrder(
        namespace=kubectl.namespace(),
        file=plain_name(path.name),
        size=file.size,
        digest=file.digest,
        token_digest=f"sha256:{hashlib.sha256(token.encode()).hexdigest()}",
    )
    job = uploads.take(order, installation)
    kubectl.create(job)
    name = job["metadata"]["name"]
    sending = ProgressLine(f"sending {path.name}", time.monotonic)
    try:
        # The pod is looked up for each connection: if it has ended, its last words are the reason.
        was_there = send(
            file,
            order,
            token,
            lambda: Tunnel(kubectl.command, running_pod(kubectl, name)),
            note=sending.show,
            pause=time.sleep,
        )
    finally:
        sending.end()
        kubectl.run("delete", "job", name, "--ignore-not-found", "--wait=false")
    verb = "was in the store already" if was_there else f"is in the store ({size(file.size)}, digest checked)"
    typer.echo(f"{path.name} {verb}: {order.uri}")
    return order


def _manifest(dataset: str, uri: str, target: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"source": {"uri": uri}}
    if target:
        spec["columns"] = [{"name": target, "role": "Target"}]
    return {"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": dataset}, "spec": spec}


def _no_source() -> dict[str, None]:
    """Return a merge patch that removes every kind of source."""
    return {field.alias or name: None for name, field in Source.model_fields.items()}
