"""`tidemill controller`: the operator process, as its pod runs it."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from tidemill.children.installation import Installation
from tidemill.engine.settings import Settings

_IMAGES = "Images of workloads"
_PROCESS = "This process"
_LIMITS = "Limits"


def controller(
    workload_image: Annotated[
        str,
        typer.Option(
            envvar="TIDEMILL_WORKLOAD_IMAGE", help="Runs ingest, training and check Jobs.", rich_help_panel=_IMAGES
        ),
    ],
    server_image: Annotated[
        str, typer.Option(envvar="TIDEMILL_SERVER_IMAGE", help="Runs serving pods.", rich_help_panel=_IMAGES)
    ],
    image_pull_policy: Annotated[
        str, typer.Option(envvar="TIDEMILL_IMAGE_PULL_POLICY", help="Of workload pods.", rich_help_panel=_IMAGES)
    ] = "IfNotPresent",
    store_secret: Annotated[
        str,
        typer.Option(
            envvar="TIDEMILL_STORE_SECRET",
            help="Names the object store, in each workload's namespace.",
            rich_help_panel=_IMAGES,
        ),
    ] = "tidemill-store",
    service_account: Annotated[
        str,
        typer.Option(
            envvar="TIDEMILL_SERVICE_ACCOUNT", help="Of workload pods; needs no rights.", rich_help_panel=_IMAGES
        ),
    ] = "default",
    cluster_domain: Annotated[
        str, typer.Option(envvar="TIDEMILL_CLUSTER_DOMAIN", help="The cluster's DNS suffix.", rich_help_panel=_IMAGES)
    ] = "cluster.local",
    allow_private_webhooks: Annotated[
        bool,
        typer.Option(
            envvar="TIDEMILL_ALLOW_PRIVATE_WEBHOOKS",
            help="Let notifications go to private and link-local addresses.",
            rich_help_panel=_IMAGES,
        ),
    ] = False,
    namespaces: Annotated[
        str,
        typer.Option(
            envvar="TIDEMILL_NAMESPACES",
            help="Watch only these, separated by commas; empty: all.",
            rich_help_panel=_PROCESS,
        ),
    ] = "",
    kubeconfig: Annotated[
        str,
        typer.Option(
            envvar="TIDEMILL_KUBECONFIG",
            help="Empty: the pod's service account, else KUBECONFIG.",
            rich_help_panel=_PROCESS,
        ),
    ] = "",
    namespace: Annotated[
        str, typer.Option(envvar="TIDEMILL_NAMESPACE", help="Where the operator itself runs.", rich_help_panel=_PROCESS)
    ] = "tidemill-system",
    identity: Annotated[
        str, typer.Option(envvar="TIDEMILL_IDENTITY", help="This process: its pod's name.", rich_help_panel=_PROCESS)
    ] = "",
    leader_elect: Annotated[
        bool,
        typer.Option(envvar="TIDEMILL_LEADER_ELECT", help="Wait for a Lease before acting.", rich_help_panel=_PROCESS),
    ] = False,
    prometheus: Annotated[
        str,
        typer.Option(
            envvar="TIDEMILL_PROMETHEUS",
            help="Base URLs that analyses of rollouts may ask, separated by commas; the first where they name none.",
            rich_help_panel=_PROCESS,
        ),
    ] = "",
    gateway_api: Annotated[
        bool,
        typer.Option(
            envvar="TIDEMILL_GATEWAY_API",
            help="Write HTTPRoutes for services whose traffic.provider is GatewayAPI.",
            rich_help_panel=_PROCESS,
        ),
    ] = False,
    metrics_address: Annotated[
        str,
        typer.Option(
            envvar="TIDEMILL_METRICS_ADDRESS", help="Serves /metrics, /healthz, /readyz.", rich_help_panel=_PROCESS
        ),
    ] = ":9090",
    log_level: Annotated[
        str, typer.Option(envvar="TIDEMILL_LOG_LEVEL", help="DEBUG, INFO, WARNING or ERROR.", rich_help_panel=_PROCESS)
    ] = "INFO",
    log_format: Annotated[
        str, typer.Option(envvar="TIDEMILL_LOG_FORMAT", help="text or json.", rich_help_panel=_PROCESS)
    ] = "text",
    workers: Annotated[
        int,
        typer.Option(
            envvar="TIDEMILL_WORKERS", min=1, max=256, help="Objects visited at a time.", rich_help_panel=_LIMITS
        ),
    ] = 8,
    requests_per_second: Annotated[
        float,
        typer.Option(envvar="TIDEMILL_REQUESTS_PER_SECOND", min=1, help="To the API server.", rich_help_panel=_LIMITS),
    ] = 400.0,
    burst: Annotated[
        int,
        typer.Option(
            envvar="TIDEMILL_BURST", min=1, help="Requests at once after a quiet time.", rich_help_panel=_LIMITS
        ),
    ] = 800,
    resync_seconds: Annotated[
        float,
        typer.Option(
            envvar="TIDEMILL_RESYNC_SECONDS", min=5, help="How often everything is listed.", rich_help_panel=_LIMITS
        ),
    ] = 300.0,
) -> None:
    """Run the operator: watch the five kinds, and make them true."""
    host, port = _address(metrics_address)
    settings = Settings(
        installation=Installation(
            workload_image=workload_image,
            server_image=server_image,
            image_pull_policy=image_pull_policy,
            store_secret=store_secret,
            service_account=service_account,
            cluster_domain=cluster_domain,
            allow_private_webhooks=allow_private_webhooks,
        ),
        namespaces=_listed(namespaces),
        prometheus=_listed(prometheus),
        gateway_api=gateway_api,
        kubeconfig=kubeconfig,
        workers=workers,
        requests_per_second=requests_per_second,
        burst=burst,
        resync_seconds=resync_seconds,
        metrics_host=host,
        metrics_port=port,
        leader_elect=leader_elect,
        namespace=namespace,
        identity=identity or socket.gethostname(),
        log_level=_one_of(log_level.upper(), ("DEBUG", "INFO", "WARNING", "ERROR"), "--log-level"),
        log_format=_one_of(log_format.lower(), ("text", "json"), "--log-format"),
    )
    try:
        # The command line also runs where the operator's libraries are not installed.
        from tidemill import app
    except ImportError as absent:
        raise typer.BadParameter(f"{absent}; install tidemill[controller]") from absent
    from tidemill.engine.connection import NotConnectedError

    try:
        code = app.run(settings)
    except NotConnectedError as problem:
        typer.echo(f"tidemill controller: {problem}", err=True)
        code = 2
    raise typer.Exit(code)


def _listed(text: str) -> tuple[str, ...]:
    """What commas separate, each once.

    >>> _listed("a, b,,a")
    ('a', 'b')
    """
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _address(text: str) -> tuple[str, int]:
    """Host and port; no host means all of them.

    >>> _address(":9090"), _address("127.0.0.1:0")
    (('0.0.0.0', 9090), ('127.0.0.1', 0))
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter(f"{text!r} is not host:port, such as :9090", param_hint="--metrics-address")
    return host.strip("[]") or "0.0.0.0", int(port)


def _one_of(value: str, known: tuple[str, ...], flag: str) -> str:
    if value not in known:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(known)}", param_hint=flag)
    return value
