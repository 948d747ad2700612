"""What the chart makes of its values, and what it refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml

from chart.conftest import CHART, Manifest, Render, helm
from cluster.commands import CommandFailed
from tidemill.api.crds import crds
from tidemill.contract.uploads import SETTINGS
from tidemill.engine import metrics
from tidemill.engine.settings import Setting, table
from tidemill.runtime.retention import exposition as sweeper
from tidemill.runtime.serve.telemetry import metrics as serving

COMPONENT = "app.kubernetes.io/component"
EVERYTHING: Manifest = {
    "controller.replicas": 2,
    "networkPolicies.enabled": True,
    "podDisruptionBudget.enabled": True,
    "monitoring.serviceMonitor.enabled": True,
    "monitoring.podMonitor.enabled": True,
    "monitoring.rules.enabled": True,
    "monitoring.dashboards.enabled": True,
    "workloadNamespaces": ["science", "risk"],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}}],
}
BUCKET: Manifest = {
    "workloadNamespaces": ["science"],
    "store.embedded.enabled": False,
    "store.uri": "s3://lake/models",
    "store.accessKeyId": "a",
    "store.secretAccessKey": "b",
}


def of_kind(objects: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in objects if manifest["kind"] == kind}


def pods(objects: list[Manifest]) -> dict[str, Manifest]:
    return {name: manifest["spec"]["template"]["spec"] for name, manifest in of_kind(objects, "Deployment").items()}


def test_lint_finds_nothing() -> None:
    output = helm("lint", "--strict", CHART)

    assert "0 chart(s) failed" in output
    assert "[WARNING]" not in output


@pytest.mark.parametrize(
    "values", [{}, EVERYTHING, BUCKET, {"namespaces": ["science"]}], ids=["plain", "everything", "bucket", "namespaced"]
)
def test_no_object_is_made_twice(render: Render, values: Manifest) -> None:
    names = [
        (manifest["kind"], manifest["metadata"].get("namespace"), manifest["metadata"]["name"])
        for manifest in render(values)
    ]

    assert len(names) == len(set(names))


def test_every_object_says_whose_it_is(render: Render) -> None:
    for manifest in render(EVERYTHING | {"extraObjects": []}):
        labels = manifest["metadata"]["labels"]
        assert ("tidemill", "Helm", "tidemill") == tuple(
            labels[f"app.kubernetes.io/{word}"] for word in ("instance", "managed-by", "part-of")
        ), manifest["metadata"]["name"]


def test_the_definitions_are_those_of_the_models(render: Render) -> None:
    rendered = of_kind(render(), "CustomResourceDefinition")

    assert {manifest["metadata"]["name"]: manifest["spec"] for manifest in crds()} == {
        name: manifest["spec"] for name, manifest in rendered.items()
    }


@pytest.mark.parametrize(("keep", "policy"), [(True, "keep"), (False, None)])
def test_the_definitions_are_kept_unless_said_otherwise(render: Render, keep: bool, policy: str | None) -> None:
    for manifest in of_kind(render({"crds.keep": keep}), "CustomResourceDefinition").values():
        assert policy == manifest["metadata"].get("annotations", {}).get("helm.sh/resource-policy")


def test_the_definitions_can_be_left_to_somebody_else(render: Render) -> None:
    assert {} == of_kind(render({"crds.enabled": False}), "CustomResourceDefinition")


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["plain", "everything"])
def test_pods_keep_the_restricted_standard(render: Render, values: Manifest) -> None:
    result = pods(render(values))

    assert {"tidemill", "tidemill-store"} == result.keys()
    for pod in result.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert "RuntimeDefault" == pod["securityContext"]["seccompProfile"]["type"]
        for container in pod["containers"]:
            security = container["securityContext"]
            assert (False, True) == (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"])
            assert ["ALL"] == security["capabilities"]["drop"]
            assert "memory" in container["resources"]["limits"]


def test_only_the_operator_has_a_token(render: Render) -> None:
    assert {"tidemill": True, "tidemill-store": False} == {
        name: pod["automountServiceAccountToken"] for name, pod in pods(render()).items()
    }


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "tidemill/controller:0.1.0"),
        ({"images.controller.tag": "dev"}, "tidemill/controller:dev"),
        ({"images.registry": "registry.example.com/"}, "registry.example.com/tidemill/controller:0.1.0"),
        (
            {"images.controller.tag": "dev", "images.controller.digest": "sha256:" + "a" * 64},
            "tidemill/controller@sha256:" + "a" * 64,
        ),
    ],
    ids=str,
)
def test_an_image_is_named_by_tag_or_better_by_digest(render: Render, values: Manifest, image: str) -> None:
    assert image == pods(render(values))["tidemill"]["containers"][0]["image"]


def test_every_workload_namespace_is_told_where_the_store_is(render: Render) -> None:
    secrets = [
        manifest
        for manifest in render(EVERYTHING)
        if manifest["kind"] == "Secret" and manifest["metadata"]["name"] == "tidemill-store"
    ]

    assert ["science", "risk"] == [manifest["metadata"]["namespace"] for manifest in secrets]
    first, second = (manifest["stringData"] for manifest in secrets)
    assert first == second
    assert "http://tidemill-store.tidemill-system.svc.cluster.local:7070" == first["endpoint"]
    assert "s3://tidemill" == first["uri"]


def test_every_workload_namespace_is_told_how_to_take_an_upload(render: Render) -> None:
    settings = [
        manifest
        for manifest in render(
            {**EVERYTHING, "workloads.serviceAccount": "runner", "images.registry": "registry.example"}
        )
        if manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"] == SETTINGS
    ]

    assert ["science", "risk"] == [manifest["metadata"]["namespace"] for manifest in settings]
    data = settings[0]["data"]
    assert data["image"].startswith("registry.example/tidemill/workload:")
    assert ("IfNotPresent", "tidemill-store", "runner") == (
        data["pullPolicy"],
        data["storeSecret"],
        data["serviceAccount"],
    )


def test_the_store_and_its_clients_have_the_same_credentials(render: Render) -> None:
    secrets = of_kind(render({"workloadNamespaces": ["science"]}), "Secret")
    root, credentials = secrets["tidemill-store-root"]["stringData"], secrets["tidemill-store"]["stringData"]

    assert root | {"endpoint": credentials["endpoint"]} == credentials
    assert len(root["secret-access-key"]) == 40


def test_given_credentials_are_taken(render: Render) -> None:
    given = {
        "workloadNamespaces": ["science"],
        "store.embedded.accessKeyId": "known",
        "store.embedded.secretAccessKey": "well",
    }
    credentials = of_kind(render(given), "Secret")["tidemill-store"]["stringData"]

    assert ("known", "well") == (credentials["access-key-id"], credentials["secret-access-key"])


def test_a_bucket_of_one_s_own_needs_no_store(render: Render) -> None:
    objects = render(BUCKET)

    assert {"tidemill", "tidemill-store-sweeper"} == of_kind(objects, "Deployment").keys()
    assert {} == of_kind(objects, "PersistentVolumeClaim")
    assert "s3://lake/models" == of_kind(objects, "Secret")["tidemill-store"]["stringData"]["uri"]


def test_the_embedded_store_is_swept_next_to_it_and_its_volume_is_measured(render: Render) -> None:
    objects = render({"store.sweeper.deletedObjects": "14d"})
    pod = pods(objects)["tidemill-store"]
    sweeper = pod["containers"][1]

    assert {"--grace=14d", "--only-user", "--volume=/data"} <= set(sweeper["args"])
    assert "--operator=http://tidemill-metrics.tidemill-system.svc.cluster.local:9090" in sweeper["args"]
    assert "tidemill-metrics" in of_kind(objects, "Service")
    assert "http://localhost:7070" == of_kind(objects, "Secret")["tidemill-store-root"]["stringData"]["endpoint"]
    mounts = {mount["mountPath"]: mount for mount in sweeper["volumeMounts"]}
    assert mounts["/data"]["readOnly"]
    assert {mount["name"] for mount in mounts.values()} <= {volume["name"] for volume in pod["volumes"]}
    # A sweeper that fails must not take the store away.
    assert of_kind(objects, "Service")["tidemill-store"]["spec"]["publishNotReadyAddresses"]
    assert not {"readinessProbe", "livenessProbe"} & sweeper.keys()


def test_a_bucket_of_one_s_own_is_swept_for_what_this_release_has_had_in_it(render: Render) -> None:
    objects = render(BUCKET)
    pod = pods(objects)["tidemill-store-sweeper"]

    assert not {"--only-user", "--volume=/data"} & set(pod["containers"][0]["args"])
    assert "Recreate" == of_kind(objects, "Deployment")["tidemill-store-sweeper"]["spec"]["strategy"]["type"]
    secret = of_kind(objects, "Secret")["tidemill-store-sweeper"]
    assert ("s3://lake/models", "a") == (secret["stringData"]["uri"], secret["stringData"]["access-key-id"])
    mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize(
    "values", [{"store.sweeper.enabled": False}, BUCKET | {"store.sweeper.enabled": False}], ids=["embedded", "bucket"]
)
def test_the_sweeper_can_be_left_out(render: Render, values: Manifest) -> None:
    assert "sweep" not in {
        word for pod in pods(render(values)).values() for manifest in pod["containers"] for word in manifest["args"]
    }


def test_secrets_made_by_hand_give_the_sweeper_no_key_and_so_there_is_none(render: Render) -> None:
    values = BUCKET | {"store.accessKeyId": "", "store.secretAccessKey": "", "store.makeSecrets": False}

    assert {"tidemill"} == of_kind(render(values), "Deployment").keys()


def test_the_operator_watches_namespaces_with_roles_there_and_nowhere_else(render: Render) -> None:
    objects = render({"namespaces": ["science", "risk"]})
    roles = [manifest for manifest in objects if manifest["kind"] == "RoleBinding"]

    assert {} == of_kind(objects, "ClusterRoleBinding")
    assert ["science", "risk"] == [manifest["metadata"]["namespace"] for manifest in roles]


def test_a_second_operator_stands_by_behind_a_lease(render: Render) -> None:
    def elects(objects: list[Manifest]) -> str:
        environment = pods(objects)["tidemill"]["containers"][0]["env"]
        return next(str(manifest["value"]) for manifest in environment if manifest["name"] == "TIDEMILL_LEADER_ELECT")

    manifest, two = render(), render({"controller.replicas": 2})

    assert ("false", "true") == (elects(manifest), elects(two))
    assert "tidemill-leader" not in of_kind(manifest, "Role")
    assert "tidemill-leader" in of_kind(two, "Role")


def test_releases_in_two_namespaces_do_not_share_names(render: Render) -> None:
    def cluster_wide(release: str) -> set[tuple[str, str]]:
        kinds = ("ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
        return {
            (manifest["kind"], manifest["metadata"]["name"])
            for manifest in render(release=release)
            if manifest["kind"] in kinds
        }

    assert set() == cluster_wide("tidemill") & cluster_wide("second")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"store.uri": "s3://lake"}, "set store.embedded.enabled=false"),
        ({"store.embedded.enabled": False}, "there is no object store"),
        ({"store.embedded.accessKeyId": "a"}, "go together"),
        ({"serviceAccount.create": False}, "name the one to use in serviceAccount.name"),
        ({"controller.replica": 2}, "replica"),
        ({"images.pullPolicy": "Sometimes"}, "pullPolicy"),
        ({"store.uri": "file:///tmp", "store.embedded.enabled": False}, "uri"),
        ({"workloadNamespaces": ["Science"]}, "workloadNamespaces"),
        ({"controller.logLevel": "LOUD"}, "logLevel"),
        ({"workloadNamespaces": ["tidemill-system"]}, "the release's own namespace"),
        ({"namespaces": ["science", "tidemill-system"]}, "the release's own namespace"),
    ],
    ids=str,
)
def test_a_mistake_is_refused_by_name(render: Render, values: Manifest, message: str) -> None:
    with pytest.raises(CommandFailed, match=re.escape(message)):
        render(values)


def test_policies_hold_where_the_release_watches(render: Render) -> None:
    def selected(**values: Any) -> set[str]:
        result = of_kind(render(values), "ValidatingAdmissionPolicy")
        names = ("status", "marks", "approvals", "runs")
        return {
            json.dumps(result[f"tidemill-{name}"]["spec"]["matchConstraints"]["namespaceSelector"]) for name in names
        }

    own = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["science"]}]}
    assert {"{}"} == selected()
    assert {json.dumps(own)} == selected(namespaces=["science"])


def test_workloads_in_the_own_namespace_are_a_choice(render: Render) -> None:
    allowed = {"workloads.inOwnNamespace": True, "workloadNamespaces": ["tidemill-system"]}

    assert "tidemill-own-namespace" in of_kind(render(), "ValidatingAdmissionPolicy")
    assert "tidemill-own-namespace" not in of_kind(render(allowed), "ValidatingAdmissionPolicy")


def test_every_value_is_in_the_schema_and_fits_it() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)

    def unknown(schema: Manifest, values: Any, path: str = "") -> list[str]:
        """What the schema knows and the values do not say."""
        results = []
        for name, inner in schema.get("properties", {}).items():
            if name not in values:
                results.append(f"{path}{name}")
            elif isinstance(values[name], dict):
                results += unknown(inner, values[name], f"{path}{name}.")
        return results

    assert ["global"] == unknown(schema, values)


def test_alerts_and_dashboards_speak_of_series_that_exist(render: Render) -> None:
    known = {f"tidemill_{name}" for name in metrics.BY_NAME} | set(serving.HELP)
    known |= {f"tidemill_{metric.name}" for metric in sweeper.TABLE}
    texts = [
        (CHART / "files" / "alerts.yaml").read_text(),
        *(path.read_text() for path in (CHART / "files" / "dashboards").glob("*.json")),
    ]
    asked = {
        name
        for text in texts
        for expression in re.findall(r'(?:expr: (?:\|\s*)?|"expr": )((?:.|\n)*?)(?:\n\s+(?:for|labels):|,\n)', text)
        for name in re.findall(r"tidemill_\w+", expression)
    }

    assert len(asked) > 15
    assert set() == {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked} - known


def test_receivers_of_monitors_may_be_called_on_one_port_and_other_runs_not_at_all(render: Render) -> None:
    """A policy that selects a pod closes it, so every component that listens needs one that opens its port."""
    policies = of_kind(render(EVERYTHING), "NetworkPolicy")
    closed = policies["tidemill-runs"]["spec"]
    opened = policies["tidemill-receivers"]["spec"]

    assert [{"key": COMPONENT, "operator": "NotIn", "values": ["server", "receiver", "worker"]}] == closed[
        "podSelector"
    ]["matchExpressions"]
    assert "receiver" == opened["podSelector"]["matchLabels"][COMPONENT]
    assert [{"ports": [{"protocol": "TCP", "port": "http"}]}] == opened["ingress"]


def test_warm_workers_may_be_called_by_the_operator_alone(render: Render) -> None:
    objects = render(EVERYTHING)
    spec = of_kind(objects, "NetworkPolicy")["tidemill-workers"]["spec"]
    [opened] = spec["ingress"]
    [caller] = opened["from"]
    operator = of_kind(objects, "Deployment")["tidemill"]
    labels = operator["spec"]["template"]["metadata"]["labels"]

    assert "worker" == spec["podSelector"]["matchLabels"][COMPONENT]
    assert [{"protocol": "TCP", "port": "http"}] == opened["ports"]
    assert {"kubernetes.io/metadata.name": operator["metadata"]["namespace"]} == caller["namespaceSelector"][
        "matchLabels"
    ]
    assert caller["podSelector"]["matchLabels"].items() <= labels.items()


def at(values: Manifest, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values


def environment(objects: list[Manifest]) -> dict[str, str]:
    return {manifest["name"]: manifest.get("value") for manifest in pods(objects)["tidemill"]["containers"][0]["env"]}


@pytest.mark.parametrize("row", [row for row in table() if row.value], ids=lambda row: row.name)
def test_every_setting_with_a_value_is_set_by_it(render: Render, row: Setting) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    default = at(values, row.value)
    other: Any = {bool: True, int: 7, float: 7.0}.get(row.type, ["science"] if isinstance(default, list) else "Other")
    if row.choices:
        other = next(choice for choice in row.choices if choice != default)
    if row.name == "prometheus":
        other = ["http://prometheus:9090"]
    if isinstance(other, str):
        other = other if row.choices else other.lower()

    def spelled(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)

    assert [spelled(default), spelled(other)] == [
        environment(render(given))[row.variable] for given in ({}, {row.value: other})
    ]


def test_the_chart_sets_no_variable_that_is_no_setting(render: Render) -> None:
    known = {row.variable for row in table()}

    assert set() == {name for name in environment(render(EVERYTHING)) if name.startswith("TIDEMILL_")} - known


def test_defaults_of_the_chart_are_those_of_the_table() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    differing = {
        row.name
        for row in table()
        if row.value and at(values, row.value) != (list(row.default) if isinstance(row.default, tuple) else row.default)
    }

    # A pod's log is read by machines, a terminal's by people.
    assert {"log_format"} == differing
