"""The operator may do what it does, and not more."""

from __future__ import annotations

from chart.conftest import Manifest, Render
from tidemill.engine.kinds import access_rules, gateway_rules, leader_rules

READ = {"get", "list", "watch"}


def rules(objects: list[Manifest], name: str) -> dict[str, set[str]]:
    """Verbs by resource, of one role."""
    (role,) = [
        manifest
        for manifest in objects
        if manifest["kind"] in ("ClusterRole", "Role") and manifest["metadata"]["name"] == name
    ]
    return {f"{rule['apiGroups'][0]}/{rule['resources'][0]}": set(rule["verbs"]) for rule in role["rules"]}


def test_the_role_is_what_the_engine_declares(render: Render) -> None:
    objects = render({"controller.replicas": 2})

    assert {f"{rule.group}/{rule.resource}": set(rule.verbs) for rule in access_rules()} == rules(
        objects, "tidemill-controller"
    )
    assert {f"{rule.group}/{rule.resource}": set(rule.verbs) for rule in leader_rules()} == rules(
        objects, "tidemill-leader"
    )


def test_routes_are_written_only_where_the_chart_says_so(render: Render) -> None:
    declared = {f"{rule.group}/{rule.resource}": set(rule.verbs) for rule in (*access_rules(), *gateway_rules())}

    assert declared == rules(render({"traffic.gatewayAPI.enabled": True}), "tidemill-controller")


def test_no_role_has_a_wildcard(render: Render) -> None:
    for manifest in render({"controller.replicas": 2}):
        for rule in manifest.get("rules", ()) if manifest["kind"] in ("ClusterRole", "Role") else ():
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], manifest["metadata"]["name"]


def test_no_role_touches_secrets_roles_or_people(render: Render) -> None:
    forbidden = {
        "secrets",
        "configmaps",
        "roles",
        "rolebindings",
        "clusterroles",
        "clusterrolebindings",
        "serviceaccounts",
        "nodes",
        "users",
    }
    for manifest in render({"controller.replicas": 2}):
        if manifest["kind"] in ("ClusterRole", "Role"):
            assert set() == forbidden & {
                resource.split("/")[0] for rule in manifest["rules"] for resource in rule["resources"]
            }


def test_pods_are_watched_and_annotated_and_never_made(render: Render) -> None:
    assert {"list", "watch", "patch"} == rules(render(), "tidemill-controller")["/pods"]


def test_specs_of_people_are_only_read(render: Render) -> None:
    """What the operator makes of its own kinds are runs and versions, and it deletes none of them."""
    granted = rules(render(), "tidemill-controller")

    for plural in ("datasets", "inferenceservices", "driftmonitors"):
        assert READ == granted[f"tidemill.dev/{plural}"]
    for plural in ("trainingjobs", "modelversions"):
        assert READ | {"create", "patch"} == granted[f"tidemill.dev/{plural}"]


def test_status_is_only_patched(render: Render) -> None:
    granted = rules(render(), "tidemill-controller")

    assert {"patch"} == set.union(*(verbs for resource, verbs in granted.items() if resource.endswith("/status")))


def test_the_verb_approve_is_the_approver_s_alone(render: Render) -> None:
    holders = [
        manifest["metadata"]["name"]
        for manifest in render()
        if "approve" in str(manifest.get("rules")) and manifest["kind"] == "ClusterRole"
    ]

    assert ["tidemill-approver"] == holders


def test_viewers_only_look(render: Render) -> None:
    viewers = [
        manifest
        for manifest in render()
        if manifest["kind"] == "ClusterRole" and manifest["metadata"]["name"].endswith("-viewer")
    ]

    assert 5 == len(viewers)
    assert READ == {verb for manifest in viewers for rule in manifest["rules"] for verb in rule["verbs"]}


def test_nobody_but_the_operator_is_given_status(render: Render) -> None:
    for manifest in render():
        if manifest["kind"] == "ClusterRole" and not manifest["metadata"]["name"].endswith("-controller"):
            for rule in manifest["rules"]:
                if any(resource.endswith("/status") for resource in rule["resources"]):
                    assert READ >= set(rule["verbs"])
