"""The Deployments of a service: pods that are spread, replaced one by one, and told how to answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support import monitors as make
from tidemill.api import InferenceService
from tidemill.children import names, pods, serving
from tidemill.children.installation import Installation
from tidemill.contract.serving import ServeOrder

HERE = Installation(
    workload_image="w:1", server_image="registry/server:1", store_secret="lake", service_account="science"
)
DIFFERENT: dict[str, Any] = {
    "model": {"name": "scoring"},
    "predictions": {
        "percent": 37,
        "retention": "7d",
        "redact": ["gender", "age"],
        "cloudEvents": {"url": "https://sink.example.com/x"},
    },
    "protocol": {"timeout": "1500ms", "maxBodyBytes": 4096, "batcher": {"maxBatchSize": 9}},
}
ROLES = ("Stable", "Candidate")
EACH = pytest.mark.parametrize("role", ROLES)


def service(**spec: Any) -> InferenceService:
    return InferenceService.model_validate(
        {
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u-2"},
            "spec": {"model": {"name": "fraud"}, **spec},
        }
    )


def deployed(role: str = "Stable", replicas: int | None = 2, **spec: Any) -> dict[str, Any]:
    return serving.deployment(service(**spec), make.version("fraud-2"), role, HERE, replicas)


def pod_of(role: str = "Stable", **spec: Any) -> dict[str, Any]:
    schema: dict[str, Any] = deployed(role, **spec)["spec"]["template"]["spec"]
    return schema


def container(role: str = "Stable", **spec: Any) -> dict[str, Any]:
    [result] = pod_of(role, **spec)["containers"]
    assert isinstance(result, dict)
    return result


def order(role: str = "Stable", **spec: Any) -> dict[str, Any]:
    order = deployed(role, **spec)["spec"]["template"]["metadata"]["annotations"]
    read: dict[str, Any] = json.loads(order[names.ORDER])
    return read


def test_every_field_of_the_spec_about_answering_is_in_the_order() -> None:
    expected = {
        "namespace": "shop",
        "service": "fraud",
        "model": "scoring",
        "role": "Stable",
        "version": {"name": "fraud-2", "uri": "s3://b/m", "digest": make.DIGEST},
        "logPercent": 37,
        "retentionSeconds": 7 * 24 * 3600.0,
        "redact": ["gender", "age"],
        "eventsUrl": "https://sink.example.com/x",
        "timeoutSeconds": 1.5,
        "maxBodyBytes": 4096,
        "batchRows": 9,
    }

    assert expected == order(**DIFFERENT)


def test_no_field_of_an_order_is_left_to_chance_here() -> None:
    usual, other = order(), order("Candidate", **DIFFERENT)

    same = {name for name, value in other.items() if usual.get(name) == value}
    assert {field.alias or name for name, field in ServeOrder.model_fields.items()} >= other.keys()
    assert {"namespace", "service", "version"} == same
    assert len(ServeOrder.model_fields) == len(other)


@EACH
def test_a_pod_is_told_its_role_and_knows_it_by_its_labels(role: str) -> None:
    labels = deployed(role)["spec"]["template"]["metadata"]["labels"]

    assert role == order(role)["role"]
    assert (role.lower(), "fraud-2") == (labels[names.ROLE], labels[names.MODEL_VERSION])
    assert deployed(role)["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_neither_role_selects_the_other_s_pods() -> None:
    stable, candidate = (serving.selector(service(), role) for role in ROLES)

    assert stable != candidate
    assert stable == serving.entry(service())["spec"]["selector"]
    assert candidate == serving.trial_entry(service())["spec"]["selector"]


@EACH
def test_pods_are_spread_over_nodes_and_zones_without_waiting_for_more_of_them(role: str) -> None:
    constraints = pod_of(role)["topologySpreadConstraints"]

    assert ["kubernetes.io/hostname", "topology.kubernetes.io/zone"] == [
        constraint["topologyKey"] for constraint in constraints
    ]
    for constraint in constraints:
        assert (1, "ScheduleAnyway") == (constraint["maxSkew"], constraint["whenUnsatisfiable"])
        assert {"matchLabels": serving.selector(service(), role)} == constraint["labelSelector"]


@EACH
def test_no_pod_goes_before_another_is_ready(role: str) -> None:
    strategy = deployed(role)["spec"]["strategy"]

    assert {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}} == strategy


def test_a_candidate_counts_once_it_has_been_ready_for_a_while() -> None:
    assert serving.SETTLE_SECONDS == deployed("Candidate")["spec"]["minReadySeconds"] > 0
    assert "minReadySeconds" not in deployed("Stable")["spec"]


@EACH
def test_a_pod_has_time_to_finish_what_it_answers_before_it_is_killed(role: str) -> None:
    env = {variable["name"]: variable.get("value") for variable in container(role)["env"]}
    drain = float(env["TIDEMILL_DRAIN_SECONDS"] or "")

    usual = order()["timeoutSeconds"]
    assert drain > serving.SETTLE_SECONDS
    assert drain + 2 * usual < pod_of(role)["terminationGracePeriodSeconds"]


@EACH
def test_a_pod_is_sent_requests_while_it_is_ready_and_killed_only_when_it_has_long_been_dead(role: str) -> None:
    made = container(role)
    startup, readiness, liveness = (made[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness"))

    assert "/v2/health/ready" == readiness["httpGet"]["path"]
    assert ["/v2/health/live"] * 2 == [startup["httpGet"]["path"], liveness["httpGet"]["path"]]
    assert {"http"} == {probe["httpGet"]["port"] for probe in (startup, readiness, liveness)}
    assert patience(readiness) <= 5
    assert 60 <= patience(startup)
    assert 10 * patience(readiness) < patience(liveness)


def patience(probe: dict[str, Any]) -> int:
    """Seconds until a probe that fails has its effect."""
    return int(probe["periodSeconds"] * probe["failureThreshold"])


@EACH
def test_a_pod_has_no_token_and_no_rights(role: str) -> None:
    pod = pod_of(role)

    assert (False, False) == (pod["automountServiceAccountToken"], pod["enableServiceLinks"])
    assert ("science", pods.UNPRIVILEGED) == (pod["serviceAccountName"], pod["securityContext"])
    assert pods.RESTRICTED == container(role)["securityContext"]


def test_a_pod_runs_what_the_installation_says_with_what_the_user_gives_it() -> None:
    wanted = {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}

    assert "registry/server:1" == container()["image"]
    assert wanted == container(resources=wanted)["resources"]
    assert {"requests"} == container()["resources"].keys()


def test_order_and_routes_are_files_of_the_pod() -> None:
    [volume] = [manifest["downwardAPI"]["items"] for manifest in pod_of()["volumes"] if manifest["name"] == "order"]
    results = {item["path"]: item["fieldRef"]["fieldPath"] for item in volume}

    assert {
        "order.json": f"metadata.annotations['{names.ORDER}']",
        "routes.json": f"metadata.annotations['{names.ROUTES}']",
    } == results


def test_an_autoscaler_owns_the_number_of_pods_where_there_is_one() -> None:
    assert 3 == deployed(replicas=3)["spec"]["replicas"]
    assert "replicas" not in deployed(replicas=None)["spec"]


def test_a_deployment_goes_with_its_service_and_says_which_artefact_it_serves() -> None:
    metadata = deployed()["metadata"]
    [owner] = metadata["ownerReferences"]

    assert ("InferenceService", "u-2", True) == (owner["kind"], owner["uid"], owner["controller"])
    assert make.DIGEST == metadata["annotations"][names.DIGEST]
