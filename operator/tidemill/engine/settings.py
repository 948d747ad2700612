"""How one operator process runs; every value has a flag and an environment variable of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.children.installation import Installation


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line or the chart decides."""

    installation: Installation
    namespaces: tuple[str, ...] = ()
    """Only these are watched; empty means the whole cluster."""
    kubeconfig: str = ""
    """A kubeconfig file; empty means the pod's service account, else the usual places."""
    workers: int = 8
    """How many objects are visited at a time."""
    requests_per_second: float = 400.0
    """Budget of requests to the API server."""
    burst: int = 800
    """Requests that may be made at once after a quiet time."""
    resync_seconds: float = 300.0
    """How often everything is listed."""
    prometheus: tuple[str, ...] = ()
    """Base URLs of the Prometheus servers that analyses of rollouts may ask; the first where they name none."""
    gateway_api: bool = False
    """Whether to write HTTPRoutes for services that want a Gateway to split their requests."""
    metrics_host: str = "0.0.0.0"
    metrics_port: int = 9090
    leader_elect: bool = False
    """Whether to wait for a Lease before acting, so that a second replica can stand by."""
    namespace: str = "tidemill-system"
    """Where the operator itself runs, and its Lease lies."""
    identity: str = "tidemill"
    """This process, in Events and in the Lease: the pod's name."""
    log_level: str = "INFO"
    log_format: str = "text"
