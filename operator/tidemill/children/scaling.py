"""Build the HorizontalPodAutoscaler and the PodDisruptionBudget of the stable pods."""

from __future__ import annotations

from typing import Any

from tidemill.api import InferenceService
from tidemill.api.inferenceservice import Autoscaling
from tidemill.children import names, serving

IN_FLIGHT = "tidemill_predictions_in_flight"
"""A gauge averaged over seconds; a pod has a series for each version it has served lately, which the adapter adds up."""


def autoscaler(service: InferenceService, spec: Autoscaling, *, at_least: int = 0) -> dict[str, Any]:
    """Return the autoscaler of the stable pods.

    `at_least` keeps the number while a candidate answers part of the requests: the stable pods are idle then, and must
    suffice at once when the share returns.
    """
    metric: dict[str, Any] = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": spec.target}},
    }
    if spec.metric == "RequestsInFlight":
        metric = {
            "type": "Pods",
            "pods": {
                "metric": {"name": IN_FLIGHT},
                "target": {"type": "AverageValue", "averageValue": str(spec.target)},
            },
        }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": names.owned_by(service, names.stable(service.name), serving.COMPONENT),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.stable(service.name)},
            "minReplicas": min(max(spec.min_replicas, at_least), spec.max_replicas),
            "maxReplicas": spec.max_replicas,
            "metrics": [metric],
        },
    }


def disruption_budget(service: InferenceService) -> dict[str, Any]:
    """Return a budget that lets nodes be drained one stable pod at a time; a pod that is not ready does not block a drain."""
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
