"""The access rules that the engine declares are enough for everything it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import Plane
from tidemill.engine.kinds import PolicyRule, access_rules, leader_rules

from .conftest import Kube, Operator, children, client, eventually

pytestmark = [pytest.mark.api, pytest.mark.slow, pytest.mark.timeout(300)]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNT = "system:serviceaccount:default:operator"


def rule(of: PolicyRule) -> dict[str, Any]:
    return {"apiGroups": [of.group], "resources": [of.resource], "verbs": list(of.verbs)}


@pytest.fixture
def limited(plane: Plane, tmp_path: Path) -> Iterator[Operator]:
    """The operator as a service account that may do exactly what is declared."""
    account = {"kind": "ServiceAccount", "name": "operator", "namespace": "default"}
    role = {"rules": [rule(access) for access in (*access_rules(), *leader_rules())]}
    with client(plane) as http:
        for path, manifest in (
            ("/api/v1/namespaces/default/serviceaccounts", {}),
            (f"{RBAC}/clusterroles", role),
            (
                f"{RBAC}/clusterrolebindings",
                {
                    "subjects": [account],
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "operator"},
                },
            ),
        ):
            http.post(path, json={"metadata": {"name": "operator"}, **manifest}).raise_for_status()
        # Other tests leave their Lease behind, and one that is there need not be made.
        http.delete("/apis/coordination.k8s.io/v1/namespaces/default/leases")
        asked = http.post(
            "/api/v1/namespaces/default/serviceaccounts/operator/token", json={"spec": {"expirationSeconds": 3600}}
        )
        config = json.loads(plane.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": asked.raise_for_status().json()["status"]["token"]}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        operator = Operator(kubeconfig, tmp_path / "operator.log")
        yield operator
        operator.kill()
        for path in (
            f"{RBAC}/clusterrolebindings/operator",
            f"{RBAC}/clusterroles/operator",
            "/api/v1/namespaces/default/serviceaccounts/operator",
        ):
            http.delete(path).raise_for_status()


def test_the_declared_rights_are_enough_for_a_whole_life(plane: Plane, kube: Kube, limited: Operator) -> None:
    limited.start(TOY_LEASE="limited").wait_ready()
    kube.dataset("iris", services=2, jobs=1, mark="{}")
    eventually(lambda: kube.is_ready("iris"))
    kube.patch("Dataset", "iris", {"spec": {"services": 1, "port": 9090, "mark": None}})
    eventually(lambda: kube.is_ready("iris") and children(kube) == {("Service", "iris-0"), ("Job", "iris-0")})
    kube.patch("Job", "iris-0", {"spec": {"suspend": False}})
    eventually(lambda: kube.list("Job")[0]["spec"]["suspend"])
    eventually(lambda: [rule for rule in kube.list("Event") if rule["reason"] == "Settled"])
    assert limited.stop() == 0

    ours = [event for event in plane.audit() if event.user == ACCOUNT]

    assert ours
    assert [(event.verb, event.resource, event.name) for event in ours if event.code in (401, 403)] == []
    [leading] = leader_rules()
    assert {event.verb for event in ours if event.resource == leading.resource} == set(leading.verbs)


def test_the_operator_has_no_way_to_secrets(plane: Plane, limited: Operator) -> None:
    review = {
        "user": ACCOUNT,
        "groups": ["system:serviceaccounts", "system:authenticated"],
        "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "secrets"},
    }

    with client(plane) as http:
        answer = http.post(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews", json={"spec": review}
        ).raise_for_status()

    assert answer.json()["status"]["allowed"] is False
