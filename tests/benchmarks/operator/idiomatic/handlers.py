"""The same work as kopf's documentation would have it: a Dataset gets a Job, and the Job's report becomes its status.

Run by `kopf run`. Handlers of creation, update and resumption make the Job with the official client's models, and say so in
`patch.status`; an event handler of Jobs reads what the pod reported, and patches the Dataset that owns the Job. Settings are
kopf's own but for two that spare this operator work: it posts Events for warnings only, and Jobs are watched by label.
"""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime
from typing import Any

import kopf
import kubernetes
from kubernetes.client import (
    ApiException,
    BatchV1Api,
    CoreV1Api,
    CustomObjectsApi,
    V1Capabilities,
    V1Container,
    V1EmptyDirVolumeSource,
    V1Job,
    V1JobSpec,
    V1ObjectMeta,
    V1PodSecurityContext,
    V1PodSpec,
    V1PodTemplateSpec,
    V1ResourceRequirements,
    V1SeccompProfile,
    V1SecretVolumeSource,
    V1SecurityContext,
    V1Volume,
    V1VolumeMount,
)

GROUP, VERSION, PLURAL = "tidemill.dev", "v1alpha1", "datasets"
MANAGED = {"app.kubernetes.io/managed-by": "idiomatic"}
OWNER, ORDER = "idiomatic.dev/dataset", "tidemill.dev/order"


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    kubernetes.config.load_kube_config()
    settings.posting.level = logging.WARNING
    settings.watching.label_selectors["batch", "v1", "jobs"] = (
        f"app.kubernetes.io/managed-by={MANAGED['app.kubernetes.io/managed-by']}"
    )


@kopf.on.resume(GROUP, VERSION, PLURAL)
@kopf.on.create(GROUP, VERSION, PLURAL)
@kopf.on.update(GROUP, VERSION, PLURAL, field="spec")
def ensure_job(
    spec: kopf.Spec, status: kopf.Status, meta: kopf.Meta, name: str, namespace: str, patch: kopf.Patch, **_: Any
) -> None:
    """The Job that this spec asks for; one that is there already is left alone."""
    order = order_for(namespace, name, dict(spec))
    job = build_job(job_name(name, order), name, order)
    kopf.adopt(document := kubernetes.client.ApiClient().sanitize_for_serialization(job))
    try:
        BatchV1Api().create_namespaced_job(namespace, document)
    except ApiException as problem:
        if problem.status != 409:
            raise
        if status.get("observedGeneration") == meta["generation"]:
            return
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["conditions"] = conditions("Unknown", "Progressing", "the source is being read", meta["generation"])


@kopf.on.event("batch", "v1", "jobs", labels=MANAGED)
def job_changed(body: kopf.Body, name: str, namespace: str, **_: Any) -> None:
    """A Job that has ended is reported in the status of its Dataset."""
    ended = {condition["type"] for condition in body.status.get("conditions", ()) if condition["status"] == "True"}
    if not ended & {"Complete", "Failed"}:
        return
    api = CustomObjectsApi()
    owner = body.metadata.labels[OWNER]
    try:
        dataset = api.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, owner)
    except ApiException as problem:
        if problem.status == 404:
            return
        raise
    if name != job_name(owner, order_for(namespace, owner, dataset["spec"])):
        return  # of an earlier spec
    report = read_report(name, namespace)
    known = dataset.get("status", {})
    generation = dataset["metadata"]["generation"]
    revision = known.get("revision") or {}
    if report is None or revision.get("digest") == report["digest"]:
        return
    status = {
        "observedGeneration": generation,
        "revision": {**report, "createdAt": now()},
        "conditions": conditions("True", "Succeeded", f"{report['rows']} rows", generation),
    }
    api.patch_namespaced_custom_object_status(GROUP, VERSION, namespace, PLURAL, owner, {"status": status})


def order_for(namespace: str, name: str, spec: dict[str, Any]) -> str:
    """What the Job is told, and known by."""
    return json.dumps({"task": "Ingest", "namespace": namespace, "dataset": name, **spec}, sort_keys=True)


def job_name(dataset: str, order: str) -> str:
    return f"{dataset}-{hashlib.sha256(order.encode()).hexdigest()[:8]}"


def read_report(job: str, namespace: str) -> dict[str, Any] | None:
    """What the Job's pod left in its termination message."""
    for pod in CoreV1Api().list_namespaced_pod(namespace, label_selector=f"job-name={job}").items:
        for container in pod.status.container_statuses or ():
            ended = container.state.terminated
            if ended and ended.message:
                document: dict[str, Any] | None = json.loads(ended.message).get("ingested")
                return document
    return None


def conditions(status: str, reason: str, message: str, generation: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": now(),
        }
    ]


def build_job(name: str, dataset: str, order: str) -> V1Job:
    labels = {**MANAGED, OWNER: dataset}
    container = V1Container(
        name="workload",
        image="tidemill/workload:1",
        image_pull_policy="IfNotPresent",
        args=["run"],
        resources=V1ResourceRequirements(requests={"cpu": "250m", "memory": "512Mi"}),
        security_context=V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=V1Capabilities(drop=["ALL"]),
        ),
        volume_mounts=[
            V1VolumeMount(name="scratch", mount_path="/tmp"),
            V1VolumeMount(name="store", mount_path="/var/run/tidemill/store", read_only=True),
        ],
    )
    pod = V1PodSpec(
        restart_policy="Never",
        automount_service_account_token=False,
        security_context=V1PodSecurityContext(
            run_as_non_root=True, run_as_user=65532, seccomp_profile=V1SeccompProfile(type="RuntimeDefault")
        ),
        containers=[container],
        volumes=[
            V1Volume(name="scratch", empty_dir=V1EmptyDirVolumeSource(size_limit="2Gi")),
            V1Volume(name="store", secret=V1SecretVolumeSource(secret_name="tidemill-store", optional=True)),
        ],
    )
    template = V1PodTemplateSpec(metadata=V1ObjectMeta(labels=labels, annotations={ORDER: order}), spec=pod)
    return V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=V1ObjectMeta(name=name, labels=labels),
        spec=V1JobSpec(
            backoff_limit=0, active_deadline_seconds=3600, ttl_seconds_after_finished=3600, template=template
        ),
    )


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
