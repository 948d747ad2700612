"""A Prometheus in the cluster, where keda.yaml looks for one, that scrapes the pods of one service.

Debian builds it without discovery by the Kubernetes API, so it finds the pods by the name of a headless Service.
"""

import json
from typing import Any
from urllib.parse import quote

from cluster import Cluster
from cluster.progress import step
from keda.images import PROMETHEUS
from support.api import Api
from support.kubectl import apply_manifests, kubectl
from support.runner import SECURITY
from tidemill.children import names
from tidemill.contract.serving import SERVING_PORT

NAMESPACE = "monitoring"
NAME = "prometheus"
PORT = 9090
PODS = "every-pod"


class Prometheus:
    """The server, asked through the API server."""

    def __init__(self, cluster: Cluster, api: Api, *, watched: str, service: str) -> None:
        """Start it for a service in the namespace `watched`, and return when it is ready."""
        self._api = api
        with step("starting Prometheus"):
            apply_manifests(cluster, watched, [_every_pod(service)])
            apply_manifests(cluster, NAMESPACE, _manifests(_configuration(watched)))
            kubectl(cluster, "wait", f"pod/{NAME}", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=90s")

    def number(self, query: str) -> float | None:
        """What a query gives; None where there is nothing yet."""
        reply = self._api.ask_pod(NAMESPACE, NAME, PORT, f"api/v1/query?query={quote(query)}")
        result = json.loads(reply)["data"]["result"]
        return float(result[0]["value"][1]) if result else None


def _configuration(watched: str) -> str:
    # The labels are those that scrape.yaml and the chart's PodMonitor give.
    job = {
        "job_name": "tidemill-serving",
        "dns_sd_configs": [
            {
                "names": [f"{PODS}.{watched}.svc.cluster.local"],
                "type": "A",
                "port": SERVING_PORT,
                "refresh_interval": "5s",
            }
        ],
        "relabel_configs": [{"target_label": "namespace", "replacement": watched}],
    }
    return json.dumps({"global": {"scrape_interval": "5s"}, "scrape_configs": [job]})


def _every_pod(service: str) -> dict[str, Any]:
    """A name for all serving pods of a service that answer."""
    selector = {names.OWNER_NAME: service, names.COMPONENT: "server"}
    spec = {"clusterIP": "None", "selector": selector, "ports": [{"name": "http", "port": SERVING_PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": PODS}, "spec": spec}


def _manifests(configuration: str) -> list[dict[str, Any]]:
    container = {
        "name": NAME,
        "image": PROMETHEUS,
        "args": ["--config.file=/configuration/prometheus.yaml", "--storage.tsdb.path=/tmp/data"],
        "ports": [{"name": "web", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": "web"}, "periodSeconds": 1},
        "securityContext": SECURITY,
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/configuration"},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "configuration", "configMap": {"name": NAME}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }
    labels = {"app": NAME}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME},
            "data": {"prometheus.yaml": configuration},
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": labels}, "spec": pod},
        # The name that the Prometheus operator gives it, which is the one that keda.yaml asks.
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "prometheus-operated"},
            "spec": {"selector": labels, "ports": [{"name": "web", "port": PORT}]},
        },
    ]
