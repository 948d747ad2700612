"""What the installation decides for all workloads: images and the names of what a namespace must hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Installation:
    """How this Tidemill was installed; the chart fills it in."""

    workload_image: str
    """Runs ingest, training and check Jobs, and warm workers."""
    server_image: str
    """Runs serving pods."""
    image_pull_policy: str = "IfNotPresent"
    store_secret: str = "tidemill-store"
    """The Secret in a workload's own namespace that names the object store and the credentials for it."""
    service_account: str = "default"
    """The ServiceAccount of workload pods, in their own namespace; it needs no rights at all."""
    cluster_domain: str = "cluster.local"
    gateway: Literal["Off", "Absent", "On"] = "Off"
    """Whether HTTPRoutes are written: not asked for, asked for where the API server serves none, or yes."""
    allow_private_webhooks: bool = False
    """Whether notifications may go to private and link-local addresses, such as a receiver within the cluster."""
