"""The settings of an installation for all workloads: images, and the names of what a namespace must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Installation:
    """The settings of this installation, from the chart."""

    workload_image: str
    """The image of ingest, training, check and notify Jobs, and of warm workers."""
    server_image: str
    """The image of serving pods."""
    image_pull_policy: str = "IfNotPresent"
    store_secret: str = "tidemill-store"
    """The Secret in a workload's own namespace that names the object store and the credentials for it."""
    service_account: str = "default"
    """The ServiceAccount of workload pods, in their own namespace; it needs no rights."""
    cluster_domain: str = "cluster.local"
    gateway: Literal["Off", "Absent", "On"] = "Off"
    """Whether HTTPRoutes are written: Off by the chart, Absent from the API server, or On."""
    allow_private_webhooks: bool = False
    """Whether notifications may go to private and link-local addresses, such as a receiver within the cluster."""
