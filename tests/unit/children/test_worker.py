"""The warm worker of a monitor: a pod like a check Job's, that stays."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from support import monitors as make
from support.monitors import NOW
from tidemill.children import jobs, names, pods, worker
from tidemill.children.installation import Installation
from tidemill.contract.orders import CheckOrder
from tidemill.contract.serving import VersionOrder

HERE = Installation(
    workload_image="registry/workload:1", server_image="s", store_secret="lake", service_account="science"
)
OWN = ("name", "args", "ports", "readinessProbe")
"""What a container that is asked has of its own."""


def pod_of_job(**spec: Any) -> dict[str, Any]:
    monitor = make.monitor(**spec)
    order = CheckOrder(
        namespace=monitor.namespace,
        monitor=monitor.name,
        service=monitor.log,
        start=NOW - timedelta(hours=1),
        end=NOW,
        version=VersionOrder(name="fraud-1", uri="s3://b/m", digest=make.DIGEST),
        checks=monitor.spec.checks,
        minimum_samples=1,
        minimum_labels=1,
    )
    made = jobs.run(monitor, order, HERE, resources=monitor.spec.resources)
    schema: dict[str, Any] = made["spec"]["template"]["spec"]
    return schema


def deployed(**spec: Any) -> dict[str, Any]:
    return worker.deployment(make.monitor(execution="WarmWorker", **spec), HERE, 900.0)


def test_its_pod_is_that_of_a_check_job_but_for_what_it_does() -> None:
    for spec in ({}, {"resources": {"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}}}):
        job, warm = pod_of_job(**spec), deployed(**spec)["spec"]["template"]["spec"]
        of_job, of_worker = (
            {name: value for name, value in pod["containers"][0].items() if name not in OWN} for pod in (job, warm)
        )
        assert "Never" == job.pop("restartPolicy")
        del job["containers"], warm["containers"]

        assert of_job == of_worker
        assert job == warm


def test_it_runs_restricted_and_without_a_token() -> None:
    pod = deployed()["spec"]["template"]["spec"]

    assert (pods.UNPRIVILEGED, False) == (pod["securityContext"], pod["automountServiceAccountToken"])
    assert pods.RESTRICTED == pod["containers"][0]["securityContext"]


def test_it_is_told_whose_checks_it_carries_out() -> None:
    made = deployed()

    order = json.loads(made["spec"]["template"]["metadata"]["annotations"][names.ORDER])
    assert {"namespace": "shop", "monitor": "fraud", "service": "fraud", "deadlineSeconds": 900.0} == order


def test_it_dies_with_its_monitor_and_selects_its_own_pod_alone() -> None:
    made = deployed()
    [owner] = made["metadata"]["ownerReferences"]

    assert ("fraud-worker", "DriftMonitor", "u-1") == (made["metadata"]["name"], owner["kind"], owner["uid"])
    assert made["spec"]["selector"]["matchLabels"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert {"type": "Recreate"} == made["spec"]["strategy"]


def test_it_is_there_only_for_who_asks_for_it_and_checks() -> None:
    needed = [
        worker.is_needed(make.monitor(**spec))
        for spec in ({}, {"execution": "WarmWorker"}, {"execution": "WarmWorker", "suspend": True})
    ]

    assert [False, True, False] == needed
