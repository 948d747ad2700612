"""Build a user's Job that judges a candidate: the user's container, without anything of Tidemill."""

from __future__ import annotations

import math
from typing import Any

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.durations import seconds
from tidemill.api.inferenceservice import AnalysisMetric
from tidemill.children import names, pods
from tidemill.children.installation import Installation
from tidemill.contract.serving import SERVING_PORT

COMPONENT = "judge"


def name(service: InferenceService, candidate: ModelVersion, metric: AnalysisMetric, attempt: int = 0) -> str:
    """Return the Job's name; another candidate, another entry in the spec or another attempt is another Job."""
    entry = metric.model_dump_json(by_alias=True)
    return names.judge(service.name, service.metadata.uid, candidate.name, entry, attempt)


def job(
    service: InferenceService,
    candidate: ModelVersion,
    stable: str,
    metric: AnalysisMetric,
    installation: Installation,
    attempt: int = 0,
) -> dict[str, Any]:
    """Return the Job that runs a metric's container once, with the URLs of both versions in its environment.

    It has no rights, no token and no store credentials; it may write to its /tmp.
    """
    assert metric.job is not None, "a metric of type Job has a job"
    probe = metric.job
    domain = f"{service.namespace}.svc.{installation.cluster_domain}"
    addresses = {
        "TIDEMILL_MODEL": service.spec.model.name,
        "TIDEMILL_STABLE_VERSION": stable,
        "TIDEMILL_STABLE_URL": f"http://{names.service(service.name)}.{domain}",
        "TIDEMILL_CANDIDATE_VERSION": candidate.name,
        "TIDEMILL_CANDIDATE_URL": f"http://{names.candidate(service.name)}.{domain}:{SERVING_PORT}",
    }
    given = {variable.name: variable.value for variable in probe.env}
    container: dict[str, Any] = {
        "name": COMPONENT,
        "image": probe.image,
        "env": [{"name": variable, "value": value} for variable, value in (given | addresses).items()],
        "resources": pods.resources(None, cpu="50m", memory="64Mi"),
        "imagePullPolicy": installation.image_pull_policy,
        "securityContext": pods.RESTRICTED,
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }
    if probe.command:
        container["command"] = list(probe.command)
    if probe.args:
        container["args"] = list(probe.args)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": names.owned_by(
            service, name(service, candidate, metric, attempt), COMPONENT, {names.MODEL_VERSION: candidate.name}
        ),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": max(math.ceil(seconds(probe.timeout)), 1),
            "template": {
                "metadata": {"labels": names.labels(service, COMPONENT)},
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": installation.service_account,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": pods.UNPRIVILEGED,
                    "containers": [container],
                    "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "256Mi"}}],
                },
            },
        },
    }
