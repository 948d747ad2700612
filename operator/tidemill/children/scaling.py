"""How many stable pods there are, and how few there may be: the HorizontalPodAutoscaler and the PodDisruptionBudget."""

from __future__ import annotations

from typing import Any

from tidemill.api import InferenceService
from tidemill.api.inferenceservice import Autoscaling
from tidemill.children import names, serving

IN_FLIGHT = "tidemill_predictions_in_flight"
"""An average over seconds, so that a look now and then means something; a pod has a series for each version it has met lately,
which the adapter adds up."""


def autoscaler(service: InferenceService, wish: Autoscaling, *, at_least: int = 0) -> dict[str, Any]:
    """The autoscaler of the stable pods.

    `at_least` holds the number up while another version answers part of the requests: its pods are idle then, and must be
    enough at once when the share comes back.
    """
    metric: dict[str, Any] = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": wish.target}},
    }
    if wish.metric == "RequestsInFlight":
        metric = {
            "type": "Pods",
            "pods": {
                "metric": {"name": IN_FLIGHT},
                "target": {"type": "AverageValue", "averageValue": str(wish.target)},
            },
        }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": names.owned_by(service, names.stable(service.name), serving.COMPONENT),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.stable(service.name)},
            "minReplicas": min(max(wish.min_replicas, at_least), wish.max_replicas),
            "maxReplicas": wish.max_replicas,
            "metrics": [metric],
        },
    }


def disruption_budget(service: InferenceService) -> dict[str, Any]:
    """Lets nodes be drained one stable pod at a time; a pod that is not ready holds nobody up."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.owned_by(service, names.stable(service.name), serving.COMPONENT),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": serving.selector(service, "Stable")},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
