"""Build the Deployments and Services of an InferenceService."""

from __future__ import annotations

from typing import Any

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.durations import seconds
from tidemill.children import names, pods
from tidemill.children.installation import Installation
from tidemill.contract.orders import to_text
from tidemill.contract.serving import SERVING_PORT, ServeOrder, VersionOrder

SERVER = "server"
COMPONENT = "server"
SETTLE_SECONDS = 5
"""How long a candidate must be ready before it counts: longer than nodes need for a new address."""
DRAIN_SECONDS = 8
"""How long a pod answers after it was told to stop: longer than endpoints need to remove it."""


def selector(service: InferenceService, role: str) -> dict[str, str]:
    """Return the labels that select the pods of one role."""
    return {names.OWNER_UID: service.metadata.uid, names.ROLE: role.lower()}


def entry(service: InferenceService) -> dict[str, Any]:
    """Return the Service for clients, which selects the stable pods."""
    return _service(service, names.service(service.name), "Stable")


def trial_entry(service: InferenceService) -> dict[str, Any]:
    """Return the Service by which stable pods reach the candidate."""
    return _service(service, names.candidate(service.name), "Candidate")


def deployment(
    service: InferenceService, version: ModelVersion, role: str, installation: Installation, replicas: int | None
) -> dict[str, Any]:
    """Return the Deployment that serves `version` in `role`; with `replicas` None an autoscaler owns the number.

    Pods are replaced one at a time and only by ready ones, so that there is always a pod that answers.
    """
    name = names.stable(service.name) if role == "Stable" else names.candidate(service.name)
    extra = {names.ROLE: role.lower(), names.MODEL_VERSION: version.name}
    order = serve_order(service, version, role)
    container = {
        "name": SERVER,
        "image": installation.server_image,
        "args": ["serve", "--order", "/tidemill/order/order.json", "--port", str(SERVING_PORT)],
        "ports": [{"name": "http", "containerPort": SERVING_PORT}],
        "env": [
            {"name": "TIDEMILL_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "TIDEMILL_DRAIN_SECONDS", "value": str(DRAIN_SECONDS)},
        ],
        "resources": pods.resources(service.spec.resources, cpu="100m", memory="256Mi"),
        "startupProbe": probe("/v2/health/live", period=1, failures=120),
        "readinessProbe": probe("/v2/health/ready", period=1, failures=2),
        "livenessProbe": probe("/v2/health/live", period=10, failures=6),
    }
    spec: dict[str, Any] = {
        "selector": {"matchLabels": selector(service, role)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": 300,
        "template": {
            "metadata": {
                "labels": names.labels(service, COMPONENT) | extra,
                "annotations": {names.ORDER: to_text(order)},
            },
            "spec": {
                "terminationGracePeriodSeconds": DRAIN_SECONDS + 22,
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": key,
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": selector(service, role)},
                    }
                    for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
                ],
                **pods.pod(installation, container, files={"order.json": names.ORDER, "routes.json": names.ROUTES}),
            },
        },
    }
    if role == "Candidate":
        spec["minReadySeconds"] = SETTLE_SECONDS
    if replicas is not None:
        spec["replicas"] = replicas
    metadata = names.owned_by(service, name, COMPONENT, extra)
    metadata["annotations"] = {names.DIGEST: version.spec.artifact.digest}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def serve_order(service: InferenceService, version: ModelVersion, role: str) -> ServeOrder:
    """Return the order of a serving pod."""
    return ServeOrder(
        namespace=service.namespace,
        service=service.name,
        model=service.spec.model.name,
        role="Stable" if role == "Stable" else "Candidate",
        version=pin(version),
        log_percent=service.spec.predictions.percent,
        retention_seconds=seconds(service.spec.predictions.retention),
        redact=service.spec.predictions.redact,
        events_url=service.spec.predictions.cloud_events.url if service.spec.predictions.cloud_events else "",
        timeout_seconds=seconds(service.spec.protocol.timeout),
        max_body_bytes=service.spec.protocol.max_body_bytes,
        batch_rows=service.spec.protocol.batcher.max_batch_size,
    )


def pin(version: ModelVersion) -> VersionOrder:
    """Return exactly this version, for an order."""
    return VersionOrder(name=version.name, uri=version.spec.artifact.uri, digest=version.spec.artifact.digest)


def probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }


def _service(service: InferenceService, name: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.owned_by(service, name, COMPONENT, {names.ROLE: role.lower()}),
        "spec": {
            "selector": selector(service, role),
            "ports": [
                {
                    "name": "http",
                    "port": 80 if role == "Stable" else SERVING_PORT,
                    "targetPort": "http",
                    "protocol": "TCP",
                }
            ],
        },
    }
