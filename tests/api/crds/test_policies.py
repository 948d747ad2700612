"""The chart's admission policies and roles, tried by the people they are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from api.crds.people import APPROVER, EDITOR, VIEWER, YES, allowed, change, decide
from api.crds.server import BY_KIND, CHART, OPERATOR, SYSTEM, Manifest, Server, address, least
from tidemill.children import names

pytestmark = pytest.mark.usefixtures("people")
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
def version(server: Server) -> Iterator[Manifest]:
    """A version that waits for approval."""
    manifest = least("ModelVersion", name="waiting")
    manifest["spec"]["approval"] = {"policy": "Manual", "requiredApprovals": 2}
    answer = server.as_user(EDITOR).create(manifest)
    assert 201 == answer.status_code, answer.text
    yield manifest
    server.delete(manifest)


def test_an_approver_approves_in_their_own_name(server: Server, version: Manifest) -> None:
    assert (200, "") == decide(server.as_user(APPROVER), version, YES)


def test_an_approver_does_not_approve_in_another_s_name(server: Server, version: Manifest) -> None:
    code, message = decide(server.as_user(APPROVER), version, {"user": EDITOR, "verdict": "Approved"})

    assert 403 == code
    assert f"spec.approval.decisions[].user must be {APPROVER}" in message


def test_an_editor_does_not_approve(server: Server, version: Manifest) -> None:
    code, message = decide(server.as_user(EDITOR), version, {"user": EDITOR, "verdict": "Approved"})

    assert 403 == code
    assert "takes the verb approve on modelversions.tidemill.dev" in message


def test_a_version_does_not_arrive_approved(server: Server) -> None:
    manifest = least("ModelVersion", name="arriving")
    manifest["spec"]["approval"] = {"policy": "Manual", "decisions": [YES]}

    assert 403 == server.as_user(EDITOR).create(manifest, dry=True).status_code
    assert 403 == server.as_user(OPERATOR).create(manifest, dry=True).status_code


def test_nobody_takes_back_another_s_decision(server: Server, version: Manifest) -> None:
    assert (200, "") == decide(server.as_user(APPROVER), version, YES)
    for other in (server, server.as_user(EDITOR), server.as_user(OPERATOR)):
        assert 403 == decide(other, version)[0]
        assert 403 == decide(other, version, {**YES, "verdict": "Rejected"})[0]
    assert (200, "") == decide(server.as_user(APPROVER), version)


def test_a_standing_decision_is_in_nobody_s_way(server: Server, version: Manifest) -> None:
    assert (200, "") == decide(server.as_user(APPROVER), version, YES)
    assert (200, "") == change(server.as_user(EDITOR), version, {"spec": {"suspend": True}})


@pytest.mark.parametrize("easier", [{"policy": "Automatic"}, {"requiredApprovals": 1}], ids=str)
def test_an_editor_does_not_make_approval_easier(server: Server, version: Manifest, easier: Manifest) -> None:
    code, message = change(server.as_user(EDITOR), version, {"spec": {"approval": easier}})

    assert 403 == code
    assert "may not make approval easier" in message
    assert (200, "") == change(server.as_user(APPROVER), version, {"spec": {"approval": easier}})


def test_an_editor_may_make_approval_harder(server: Server, version: Manifest) -> None:
    assert (200, "") == change(server.as_user(EDITOR), version, {"spec": {"approval": {"requiredApprovals": 3}}})


def test_a_status_that_comes_with_a_new_object_is_not_taken(server: Server) -> None:
    manifest = least("ModelVersion", name="boasting")
    ready = {"type": "Ready", "status": "True", "reason": "Approved", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    manifest["status"] = {"observedGeneration": 1, "conditions": [ready]}
    answer = server.as_user(EDITOR).create(manifest, dry=True)

    assert 201 == answer.status_code
    assert {"observedGeneration": -1} == answer.json()["status"]


def test_a_status_is_written_by_nobody_else_in_any_other_way(server: Server, version: Manifest) -> None:
    """By replacing the object, by applying to either door, or by a patch of the object's own door."""
    editor = server.as_user(EDITOR)
    boast = {"status": {"observedGeneration": 9}}
    stored = server.read(version)
    path = address(version)

    assert 403 == editor.ask("PUT", f"{path}/status", {**stored, **boast}).status_code
    applied = {**{word: stored[word] for word in ("apiVersion", "kind")}, "metadata": version["metadata"], **boast}
    answer = editor.ask(
        "PATCH", f"{path}/status?fieldManager=tidemill&force=true", applied, Content_Type="application/apply-patch+yaml"
    )
    assert 403 == answer.status_code
    assert 200 == editor.merge(version, boast).status_code
    assert 200 == editor.ask("PUT", path, {**server.read(version), **boast}).status_code
    assert {"observedGeneration": -1} == server.read(version)["status"]


def test_the_door_of_the_status_does_not_let_marks_or_decisions_in(server: Server, version: Manifest) -> None:
    """Even the operator, who may use it, changes nothing but the status by it."""
    patch = {
        "metadata": {"labels": {names.MODEL: "x"}, "annotations": {names.QUARANTINE: "x"}},
        "spec": {"approval": {"decisions": [YES], "policy": "Automatic"}},
        "status": {"observedGeneration": 1},
    }
    assert 200 == server.as_user(OPERATOR).merge(version, patch, "status").status_code
    stored = server.read(version)

    assert [] == stored["spec"]["approval"].get("decisions", [])
    assert "Manual" == stored["spec"]["approval"]["policy"]
    assert names.QUARANTINE not in stored["metadata"].get("annotations", {})
    assert names.MODEL not in stored["metadata"].get("labels", {})


def test_all_labels_and_annotations_go_only_where_none_is_the_operator_s(server: Server, version: Manifest) -> None:
    """Removing the whole map is as good as removing what is in it."""
    marks = {"labels": {names.MODEL: "fraud"}, "annotations": {names.CAUSE: "x"}}
    assert (200, "") == change(server.as_user(OPERATOR), version, {"metadata": marks})
    for gone in ({"labels": None}, {"annotations": None}, {"labels": {}, "annotations": {}}):
        code, _ = change(server.as_user(EDITOR), version, {"metadata": gone})
        assert code == (200 if gone == {"labels": {}, "annotations": {}} else 403)
    replaced = server.read(version)
    replaced["metadata"] |= {"labels": {}, "annotations": {}}
    assert 403 == server.as_user(EDITOR).ask("PUT", address(version), replaced).status_code


@pytest.mark.parametrize("kind", BY_KIND)
def test_only_the_operator_writes_status(server: Server, kind: str) -> None:
    manifest = least(kind, name="watched")
    assert 201 == server.create(manifest).status_code
    patch = {"status": {"observedGeneration": 1}}
    code, message = change(server, manifest, patch, "status")
    answer = server.as_user(OPERATOR).merge(manifest, patch, "status")
    server.delete(manifest)

    assert 403 == code
    assert "status is written by the operator" in message
    assert 200 == answer.status_code, answer.text


@pytest.mark.parametrize("annotation", [names.CAUSE, names.ORDER, names.DIGEST])
def test_only_the_operator_leaves_its_marks(server: Server, version: Manifest, annotation: str) -> None:
    patch = {"metadata": {"annotations": {annotation: "x"}}}
    code, message = change(server, version, patch)

    assert 403 == code
    assert annotation in message
    assert (200, "") == change(server.as_user(OPERATOR), version, patch)
    assert 403 == change(server.as_user(EDITOR), version, {"metadata": {"annotations": {annotation: None}}})[0]


@pytest.mark.parametrize("label", [names.MODEL, names.TRAINING_JOB, names.MONITOR, names.OWNER_UID])
def test_only_the_operator_gives_its_labels(server: Server, version: Manifest, label: str) -> None:
    patch = {"metadata": {"labels": {label: "x"}}}

    assert 403 == change(server, version, patch)[0]
    assert (200, "") == change(server.as_user(OPERATOR), version, patch)


@pytest.mark.parametrize(
    "annotation", [*(name for name in names.PEOPLE if name != names.QUARANTINE), "example.com/mine"]
)
def test_people_set_the_annotations_that_are_theirs(server: Server, version: Manifest, annotation: str) -> None:
    assert (200, "") == change(server.as_user(EDITOR), version, {"metadata": {"annotations": {annotation: "x"}}})
    assert (200, "") == change(server.as_user(EDITOR), version, {"metadata": {"annotations": {annotation: None}}})


def test_an_approver_sets_and_lifts_a_quarantine_and_an_editor_does_not(server: Server, version: Manifest) -> None:
    def quarantine(user: str, text: str | None) -> tuple[int, str]:
        return change(server.as_user(user), version, {"metadata": {"annotations": {names.QUARANTINE: text}}})

    refused = quarantine(EDITOR, f"{EDITOR}: no reason")
    assert (200, "") == quarantine(APPROVER, f"{APPROVER}: trained on leaked labels")
    kept = quarantine(EDITOR, None)

    assert (403, 403) == (refused[0], kept[0])
    assert "may not set or lift a quarantine" in refused[1]
    assert "may not set or lift a quarantine" in kept[1]
    assert (200, "") == quarantine(APPROVER, None)


@pytest.mark.parametrize("text", ["trained on leaked labels", "bob: trained on leaked labels", f"{APPROVER}: "])
def test_a_quarantine_says_who_and_why(server: Server, version: Manifest, text: str) -> None:
    patch = {"metadata": {"annotations": {names.QUARANTINE: text}}}
    code, message = change(server.as_user(APPROVER), version, patch)

    assert 403 == code
    assert "must say who and why" in message


def test_the_operator_removes_the_quarantine_that_a_rollout_of_an_earlier_release_set(
    server: Server, version: Manifest
) -> None:
    mark = '{"reason": "errors", "message": "0.2 is above 0.01", "since": "2026-01-05T08:00:00Z"}'
    operator = server.as_user(OPERATOR)
    assert (200, "") == change(operator, version, {"metadata": {"annotations": {names.QUARANTINE: mark}}})
    assert (200, "") == change(operator, version, {"metadata": {"annotations": {names.QUARANTINE: None}}})


@pytest.mark.parametrize("kind", BY_KIND)
def test_the_cluster_s_own_roles_know_the_kinds(server: Server, kind: str) -> None:
    manifest = least(kind, name="roles")

    assert 201 == server.as_user(EDITOR).create(manifest).status_code
    assert 403 == server.as_user(VIEWER).create(least(kind, name="other"), dry=True).status_code
    assert "roles" == server.as_user(VIEWER).read(manifest)["metadata"]["name"]
    assert 200 == server.as_user(EDITOR).delete(manifest).status_code


def test_the_operator_may_do_all_that_it_does(server: Server) -> None:
    for rule in yaml.safe_load((CHART / "files" / "access.yaml").read_text())["controller"]:
        for verb in rule["verbs"]:
            assert allowed(server, verb, rule["apiGroups"][0], rule["resources"][0]), (verb, rule)


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        *((verb, "", "secrets") for verb in ("get", "list", "watch", "create", "patch", "delete")),
        *((verb, RBAC, "roles") for verb in ("get", "create", "bind", "escalate")),
        ("create", "", "pods"),
        ("delete", "", "pods"),
        ("create", "", "pods/exec"),
        ("create", "", "serviceaccounts/token"),
        ("list", "", "nodes"),
        ("list", "", "namespaces"),
        ("get", "", "configmaps"),
        ("impersonate", "", "users"),
        ("approve", "tidemill.dev", "modelversions"),
        ("delete", "tidemill.dev", "modelversions"),
        ("delete", "tidemill.dev", "trainingjobs"),
        ("patch", "tidemill.dev", "datasets"),
        ("patch", "tidemill.dev", "inferenceservices"),
        ("create", "tidemill.dev", "driftmonitors"),
        ("get", "apiextensions.k8s.io", "customresourcedefinitions"),
    ],
)
def test_the_operator_may_do_nothing_else(server: Server, verb: str, group: str, resource: str) -> None:
    assert not allowed(server, verb, group, resource)


def test_no_policy_has_a_type_error(server: Server) -> None:
    stored: list[dict[str, Any]] = server.ask(
        "GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    ).json()["items"]

    policies = ("approvals", "marks", "own-namespace", "own-workloads", "runs", "status")
    assert {f"tidemill-{policy}" for policy in policies} == {manifest["metadata"]["name"] for manifest in stored}
    for manifest in stored:
        server.kubectl(
            "wait",
            f"validatingadmissionpolicy/{manifest['metadata']['name']}",
            f"--for=jsonpath={{.status.observedGeneration}}={manifest['metadata']['generation']}",
            "--timeout=20s",
        )
        checked = server.ask(
            "GET", f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{manifest['metadata']['name']}"
        ).json()
        assert "expressionWarnings" not in checked["status"]["typeChecking"]


def test_the_credentials_of_the_store_survive_an_upgrade(server: Server) -> None:
    def secret(name: str, namespace: str) -> Manifest:
        stored: Manifest = server.ask("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}").json()["data"]
        return stored

    before = secret("tidemill-store", "default")
    server.helm("upgrade", "tidemill", CHART, "--namespace", SYSTEM)

    assert {"uri", "endpoint", "region", "access-key-id", "secret-access-key"} == before.keys()
    assert before == secret("tidemill-store", "default")
    assert before["secret-access-key"] == secret("tidemill-store-root", SYSTEM)["secret-access-key"]


@pytest.mark.parametrize("kind", BY_KIND)
def test_the_operator_s_own_namespace_holds_no_objects(server: Server, kind: str) -> None:
    answer = server.create(least(kind, namespace=SYSTEM), dry=True)

    assert 403 == answer.status_code
    assert f"'{SYSTEM}' is the operator's own" in answer.json()["message"]
    assert 403 == server.as_user(OPERATOR).create(least(kind, namespace=SYSTEM), dry=True).status_code


WORKLOADS: dict[str, tuple[str, Manifest]] = {
    "Pod": ("api/v1", {"containers": [{"name": "x", "image": "x"}]}),
    "Service": ("api/v1", {"ports": [{"port": 80}]}),
    "Job": (
        "apis/batch/v1",
        {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}},
    ),
    "Deployment": (
        "apis/apps/v1",
        {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "x", "image": "x"}]},
            },
        },
    ),
}


@pytest.mark.parametrize("kind", WORKLOADS)
def test_the_operator_runs_no_workload_next_to_itself(server: Server, kind: str) -> None:
    root, spec = WORKLOADS[kind]
    labels = {names.MANAGED_BY: names.MANAGER}
    version = root.removeprefix("apis/").removeprefix("api/")
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "labels": labels}, "spec": spec}
    # As the administrator, who may do all that roles grant: what is left is the policy.
    codes = {
        namespace: server.ask(
            "POST", f"/{root}/namespaces/{namespace}/{kind.lower()}s?dryRun=All", manifest
        ).status_code
        for namespace in (SYSTEM, "default")
    }
    unlabelled = {**manifest, "metadata": {"name": "x"}}
    other = server.ask("POST", f"/{root}/namespaces/{SYSTEM}/{kind.lower()}s?dryRun=All", unlabelled).status_code

    assert ({SYSTEM: 403, "default": 201}, 201) == (codes, other)
