"""The settings of an installation for all workloads: images, and the names of what a namespace must have."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from typing import Any, Final, Literal

IMAGES: Final = "Workloads"


def setting(
    default: Any = MISSING,
    *,
    help: str,
    panel: str,
    value: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a setting: its option, its environment variable and its help follow from here; `value` is its path in the chart."""
    metadata = {
        "help": help,
        "panel": panel,
        "value": value,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
    }
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Installation:
    """The settings of this installation, from the chart."""

    workload_image: str = setting(
        help="Image of ingest, training, check and notify Jobs, and of warm workers.", panel=IMAGES
    )
    server_image: str = setting(help="Image of serving pods.", panel=IMAGES)
    image_pull_policy: str = setting(
        "IfNotPresent",
        help="Image pull policy for workload pods.",
        panel=IMAGES,
        value="images.pullPolicy",
        choices=("Always", "IfNotPresent", "Never"),
    )
    store_secret: str = setting(
        "tidemill-store",
        help="Secret in the namespace of a workload with the address and the credentials of the object store.",
        panel=IMAGES,
        value="store.secretName",
    )
    service_account: str = setting(
        "default",
        help="ServiceAccount of workload pods, in their own namespace; it needs no rights.",
        panel=IMAGES,
        value="workloads.serviceAccount",
    )
    cluster_domain: str = setting(
        "cluster.local", help="DNS suffix of the cluster.", panel=IMAGES, value="clusterDomain"
    )
    allow_private_webhooks: bool = setting(
        False,
        help="Allow notifications to private and link-local addresses, such as a receiver within the cluster.",
        panel=IMAGES,
        value="notifications.allowPrivateAddresses",
    )
    allow_private_sources: bool = setting(
        False,
        help="Allow https:// sources of Datasets at private and link-local addresses, such as a server within the cluster.",
        panel=IMAGES,
        value="sources.allowPrivateAddresses",
    )
    gateway: Literal["Off", "Absent", "On"] = "Off"
    """Whether HTTPRoutes are written: Off by the chart, Absent from the API server, or On."""
