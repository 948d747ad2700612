"""Whether a live object is as a manifest says."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.engine.diff import applicable, differences, differs

# What the API server made of a Job like the one below: defaults filled in, empty things dropped, quantities respelled.
LIVE_JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": "iris-1",
        "namespace": "science",
        "uid": "u1",
        "generation": 1,
        "labels": {"a": "b", "foreign": "label"},
    },
    "spec": {
        "backoffLimit": 0,
        "completionMode": "NonIndexed",
        "completions": 1,
        "manualSelector": False,
        "parallelism": 1,
        "suspend": False,
        "ttlSecondsAfterFinished": 60,
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}},
        "template": {
            "metadata": {"labels": {"batch.kubernetes.io/job-name": "iris-1"}},
            "spec": {"containers": [{"name": "run", "image": "tidemill/workload:1"}], "dnsPolicy": "ClusterFirst"},
        },
    },
    "status": {},
}

LIVE_DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "iris", "namespace": "science", "uid": "u2"},
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "securityContext": {},
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "server",
                        "image": "tidemill/server:1",
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                        "env": [{"name": "A", "value": "1"}, {"name": "B"}],
                        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
                        "volumeMounts": [{"name": "order", "mountPath": "/order"}],
                    },
                    {"name": "injected-proxy", "image": "mesh:1"},
                ],
                "volumes": [
                    {
                        "name": "order",
                        "downwardAPI": {
                            "defaultMode": 420,
                            "items": [
                                {"path": "order.json", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
                            ],
                        },
                    },
                    {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
                ],
            }
        },
    },
}


def deployment(**pod: Any) -> dict[str, Any]:
    """A manifest that mentions only this of its pods."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "iris", "namespace": "science"},
        "spec": {"template": {"spec": pod}},
    }


def container(**fields: Any) -> dict[str, Any]:
    return deployment(containers=[{"name": "server", **fields}])


AS_WE_SAY: dict[str, dict[str, Any]] = {
    "a default that we do not mention": container(image="tidemill/server:1"),
    "a quantity in another spelling": container(resources={"requests": {"cpu": "0.5", "memory": "1024Mi"}}),
    "a quantity as a number": container(resources={"requests": {"cpu": 0.5, "memory": 2**30}}),
    "a quantity finer than what is stored": container(resources={"requests": {"cpu": "0.4999001", "memory": "1Gi"}}),
    "a port without its default protocol": container(ports=[{"containerPort": 8080, "name": "http"}]),
    "an empty value, which is not stored": container(env=[{"name": "B", "value": ""}]),
    "an empty list, which is not stored": deployment(tolerations=[]),
    "an empty map, which is not stored": deployment(nodeSelector={}),
    "an empty structure, which is stored": deployment(securityContext={}),
    "false, where false is not stored": deployment(hostNetwork=False),
    "false, where false is stored": deployment(automountServiceAccountToken=False),
    "a list with a key, in another order": container(env=[{"name": "B"}, {"name": "A", "value": "1"}]),
    "one of two containers, the other is injected": deployment(containers=[{"name": "server"}]),
    "a list without a key, with defaults inside": deployment(
        volumes=[
            {
                "name": "order",
                "downwardAPI": {"items": [{"path": "order.json", "fieldRef": {"fieldPath": "metadata.name"}}]},
            }
        ]
    ),
    "nothing at all, said as null": deployment(dnsPolicy=None),
}

NOT_AS_WE_SAY: dict[str, tuple[dict[str, Any], str]] = {
    "a request that a user took back": (
        container(resources={"requests": {"cpu": "500m"}}),
        "spec.template.spec.containers[server].resources.requests.memory: 1Gi → absent",
    ),
    "all requests that a user took back": (
        container(resources={}),
        "spec.template.spec.containers[server].resources.requests: {'cpu': '500m', 'memory': '1Gi'} → absent",
    ),
    "another image": (
        container(image="tidemill/server:2"),
        "spec.template.spec.containers[server].image: tidemill/server:1 → tidemill/server:2",
    ),
    "a container that is missing": (
        deployment(containers=[{"name": "other"}]),
        "spec.template.spec.containers[other]: absent → {'name': 'other'}",
    ),
    "another quantity": (
        container(resources={"requests": {"cpu": "501m"}}),
        "spec.template.spec.containers[server].resources.requests.cpu: 500m → 501m",
    ),
    "a quantity that was never set": (
        container(resources={"limits": {"cpu": "1"}}),
        "spec.template.spec.containers[server].resources.limits: absent → {'cpu': '1'}",
    ),
    "a volume of another type": (
        deployment(volumes=[{"name": "order", "emptyDir": {}}]),
        "spec.template.spec.volumes[order].emptyDir: absent → {}",
    ),
    "false, where absence means true": (
        deployment(enableServiceLinks=False),
        "spec.template.spec.enableServiceLinks: absent → False",
    ),
    "true for false": (
        deployment(automountServiceAccountToken=True),
        "spec.template.spec.automountServiceAccountToken: False → True",
    ),
    "another port": (
        container(ports=[{"containerPort": 9090}]),
        "spec.template.spec.containers[server].ports[9090/TCP]: absent → {'containerPort': 9090}",
    ),
    "arguments in another number": (
        container(args=["serve"]),
        "spec.template.spec.containers[server].args: absent → ['serve']",
    ),
}


@pytest.mark.parametrize("wanted", AS_WE_SAY.values(), ids=AS_WE_SAY.keys())
def test_what_the_api_server_makes_of_a_manifest_is_no_difference(wanted: dict[str, Any]) -> None:
    assert None is differs(wanted, LIVE_DEPLOYMENT)


@pytest.mark.parametrize(("wanted", "expected"), NOT_AS_WE_SAY.values(), ids=NOT_AS_WE_SAY.keys())
def test_a_change_is_found_and_named(wanted: dict[str, Any], expected: str) -> None:
    assert expected == str(differs(wanted, LIVE_DEPLOYMENT))


def test_every_difference_is_found_not_only_the_first() -> None:
    wanted = {"kind": "Deployment", "metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 3, "paused": True}}

    results = [difference.path for difference in differences(wanted, LIVE_DEPLOYMENT)]

    assert results == [("metadata", "labels"), ("spec", "replicas"), ("spec", "paused")]


def test_a_one_is_not_a_true() -> None:
    assert differs({"kind": "X", "spec": {"flag": True}}, {"spec": {"flag": 1}}) is not None


def test_the_template_of_an_existing_job_is_settled_because_it_can_no_longer_change() -> None:
    wanted = {
        **LIVE_JOB,
        "spec": {"template": {"spec": {"containers": [{"name": "run", "image": "tidemill/workload:2"}]}}},
    }

    assert None is differs(wanted, LIVE_JOB)


def test_the_rest_of_a_job_can_still_be_applied_because_its_template_is_taken_from_the_live_one() -> None:
    wanted = {**LIVE_JOB, "spec": {"suspend": True, "template": {"spec": {"containers": []}}}}

    body = applicable(wanted, LIVE_JOB)

    assert LIVE_JOB["spec"]["template"] == body["spec"]["template"]
    assert body["spec"]["suspend"] is True
    assert wanted["spec"] == {"suspend": True, "template": {"spec": {"containers": []}}}


def test_labels_of_others_are_their_own_business() -> None:
    assert None is differs({"kind": "Job", "metadata": {"labels": {"a": "b"}}}, LIVE_JOB)
