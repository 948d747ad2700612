"""The settings of one operator process: one table, from which the options, the environment variables and their help follow."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Final, NamedTuple, get_type_hints

from tidemill.children.installation import Installation, setting

PROCESS: Final = "This process"
LIMITS: Final = "Limits"


@dataclass(frozen=True, slots=True)
class Settings:
    """Decided by the command line, the environment or the chart."""

    installation: Installation
    namespaces: tuple[str, ...] = setting(
        (), help="Namespaces to watch, separated by commas; empty means all.", panel=PROCESS, value="namespaces"
    )
    kubeconfig: str = setting(
        "", help="Kubeconfig file; empty means the ServiceAccount of the pod, else KUBECONFIG.", panel=PROCESS
    )
    namespace: str = setting("tidemill-system", help="Namespace of the operator itself.", panel=PROCESS)
    identity: str = setting(
        "", help="Name of this process in Events and in the Lease; empty means the host name.", panel=PROCESS
    )
    leader_elect: bool = setting(False, help="Wait for a Lease before acting.", panel=PROCESS)
    lease: str = setting("tidemill", help="Name of the Lease; releases in one namespace need one each.", panel=PROCESS)
    prometheus: tuple[str, ...] = setting(
        (),
        help="Base URLs that rollout analyses may query, separated by commas; the first is the default.",
        panel=PROCESS,
        value="analysis.prometheus",
    )
    gateway_api: bool = setting(
        False,
        help="Write HTTPRoutes for services whose traffic.provider is GatewayAPI.",
        panel=PROCESS,
        value="traffic.gatewayAPI.enabled",
    )
    metrics_address: str = setting(":9090", help="Address that serves /metrics, /healthz and /readyz.", panel=PROCESS)
    log_level: str = setting(
        "INFO",
        help="Log level.",
        panel=PROCESS,
        value="controller.logLevel",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: str = setting(
        "text", help="Log format.", panel=PROCESS, value="controller.logFormat", choices=("text", "json")
    )
    workers: int = setting(
        8,
        help="Number of objects reconciled at the same time.",
        panel=LIMITS,
        value="controller.workers",
        minimum=1,
        maximum=256,
    )
    requests_per_second: float = setting(
        400.0,
        help="Average number of requests per second to the API server.",
        panel=LIMITS,
        value="controller.requestsPerSecond",
        minimum=1,
    )
    burst: int = setting(
        800,
        help="Number of requests that may be sent at once after a quiet time.",
        panel=LIMITS,
        value="controller.burst",
        minimum=1,
    )
    resync_seconds: float = setting(
        300.0,
        help="Seconds between two full lists of all objects.",
        panel=LIMITS,
        value="controller.resyncSeconds",
        minimum=5,
    )

    def __post_init__(self) -> None:
        if not self.identity:
            object.__setattr__(self, "identity", socket.gethostname())

    @property
    def metrics_host(self) -> str:
        """The address to listen on; all of them if none is given.

        >>> Settings(Installation("a", "b")).metrics_host
        '0.0.0.0'
        """
        return self.metrics_address.rpartition(":")[0].strip("[]") or "0.0.0.0"

    @property
    def metrics_port(self) -> int:
        """The port to listen on; 0 means a free one."""
        return int(self.metrics_address.rpartition(":")[2])


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    type: Any
    default: Any
    """MISSING where it must be given."""
    help: str
    panel: str
    value: str
    """The path in the values of the chart; empty where the chart computes it."""
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    is_of_installation: bool

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"TIDEMILL_{self.name.upper()}"


def table() -> tuple[Setting, ...]:
    """Return every setting, those of the installation first."""
    return tuple(
        Setting(
            **_declared(declared),
            name=declared.name,
            type=get_type_hints(owner)[declared.name],
            default=declared.default,
            is_of_installation=owner is Installation,
        )
        for owner, declared in _fields()
    )


def _fields() -> Iterator[tuple[type, Field[Any]]]:
    for owner in (Installation, Settings):
        for declared in fields(owner):
            if declared.metadata:
                yield owner, declared


def _declared(declared: Field[Any]) -> dict[str, Any]:
    return dict(declared.metadata)


def build(values: dict[str, Any]) -> Settings:
    """Return the settings for `values` by name; those that are left out have their default."""
    by_owner: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for row in table():
        if row.name in values:
            by_owner[row.is_of_installation][row.name] = values[row.name]
    return Settings(installation=Installation(**by_owner[True]), **by_owner[False])


__all__ = ["MISSING", "Setting", "Settings", "build", "table"]
