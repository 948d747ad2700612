"""What a real API server makes of the definitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.crds.server import BY_KIND, OPERATOR, Manifest, Server, address, full, least
from tidemill.api import API_VERSION
from tidemill.api.crds import crds, model_of
from tidemill.api.unsupported import LIMITS

KINDS = pytest.mark.parametrize("kind", BY_KIND)
SCHEMAS: dict[str, Manifest] = {
    definition["spec"]["names"]["kind"]: definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for definition in crds()
}


@pytest.fixture
def made(server: Server, kind: str) -> Any:
    """An object of the kind that says no more than it must."""
    manifest = least(kind, name="least")
    answer = server.create(manifest)
    assert answer.status_code == 201, answer.text
    yield answer.json()
    server.delete(manifest)


@KINDS
def test_a_definition_is_accepted_without_reservation(server: Server, kind: str) -> None:
    """No schema that is not structural, no rule that costs too much, no name that is taken."""
    name = f"{BY_KIND[kind].plural}.tidemill.dev"
    conditions = server.ask("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}").json()["status"][
        "conditions"
    ]

    assert {"Established": "True", "NamesAccepted": "True"} == {
        condition["type"]: condition["status"] for condition in conditions
    }


@KINDS
def test_an_object_that_says_the_least_is_filled_in_as_the_models_fill_it_in(made: Manifest, kind: str) -> None:
    spec = model_of(BY_KIND[kind], "spec")

    assert spec.model_validate(least(kind)["spec"]) == spec.model_validate(made["spec"])


@KINDS
def test_a_new_object_was_seen_by_nobody(made: Manifest, kind: str) -> None:
    assert {"observedGeneration": -1} == made["status"]


@KINDS
def test_a_spec_with_everything_the_models_say_loses_nothing(server: Server, kind: str) -> None:
    manifest = least(kind, name="whole")
    manifest["spec"] = model_of(BY_KIND[kind], "spec").model_validate(manifest["spec"]).to_wire()
    answer = server.create(manifest, dry=True)

    assert answer.status_code == 201, answer.text
    assert manifest["spec"] == answer.json()["spec"]


@KINDS
def test_a_status_with_every_field_is_kept_and_read_back_by_the_model(
    server: Server, made: Manifest, kind: str
) -> None:
    status = full(SCHEMAS[kind]["properties"]["status"])
    answer = server.as_user(OPERATOR).merge(made, {"status": status}, "status")

    assert answer.status_code == 200, answer.text
    assert status == answer.json()["status"]
    model = model_of(BY_KIND[kind], "status")
    assert set(status) == {
        model.model_fields[name].alias or name for name in model.model_validate(status).model_fields_set
    }


@KINDS
def test_every_column_finds_its_value(server: Server, made: Manifest, kind: str) -> None:
    """The whole object is filled: a column that stays empty looks where nothing is."""
    schema = SCHEMAS[kind]["properties"]
    columns = BY_KIND[kind].columns
    wanted = {column.path.split("'")[1] for column in columns if "conditions" in column.path}
    status = full(schema["status"])
    (condition,) = status["conditions"]
    status["conditions"] = [{**condition, "type": name} for name in sorted(wanted)]
    assert server.as_user(OPERATOR).merge(made, {"status": status}, "status").status_code == 200

    table = server.ask("GET", address(made), Accept="application/json;as=Table;v=v1;g=meta.k8s.io").json()

    names = [column["name"] for column in table["columnDefinitions"]]
    assert ["Name", *(column.name for column in columns)] == names
    (row,) = table["rows"]
    assert [] == [
        name for name, cell in zip(names, row["cells"], strict=True) if cell in (None, "", "<none>", "<unknown>")
    ]


@KINDS
def test_kubectl_explains_every_field(server: Server, kind: str) -> None:
    published = server.ask("GET", f"/openapi/v3/apis/{API_VERSION}").json()["components"]["schemas"]
    schema = published[f"dev.tidemill.v1alpha1.{kind}"]

    def mute(node: Manifest, path: str) -> list[str]:
        missing = []
        for name, inner in node.get("properties", {}).items():
            if not inner.get("description"):
                missing.append(f"{path}.{name}")
            missing += mute(inner, f"{path}.{name}")
        for word in ("items", "additionalProperties"):
            if isinstance(node.get(word), dict):
                missing += mute(node[word], f"{path}[]")
        return missing

    assert [] == mute(schema["properties"]["spec"], "spec") + mute(schema["properties"]["status"], "status")


def test_kubectl_explain_reads_like_the_docstrings(server: Server) -> None:
    output = " ".join(server.kubectl("explain", "trainingjobs.tidemill.dev.spec.estimator").split())

    assert "DESCRIPTION: Estimator that is trained. Set exactly one of estimator, automl and trainer. FIELDS:" in output
    assert "enum: Auto, None" in output
    assert "Constructor arguments, as in scikit-learn's documentation. Each is a string, number, boolean" in output


@KINDS
def test_kubectl_explains_a_kind_to_its_leaves(server: Server, kind: str) -> None:
    plural = f"{BY_KIND[kind].plural}.tidemill.dev"
    top = " ".join(server.kubectl("explain", plural).split())
    every = server.kubectl("explain", f"{plural}.spec", "--recursive")

    assert " ".join((BY_KIND[kind].__doc__ or "").split()) in top
    assert "<no description>" not in top + every
    assert "-required-" in every


@KINDS
def test_applying_twice_changes_nothing(server: Server, kind: str) -> None:
    """Neither with the least, nor with everything that the server filled in, nor by another manager; a dry run says the same."""
    manifest = least(kind, name="applied")
    try:
        first = server.apply(manifest, "kubectl").json()
        # What a create leaves out is the status, and the first write after it stores the default: once.
        second = server.apply(manifest, "kubectl").json()
        again = server.apply(manifest, "kubectl").json()
        written_out = {**manifest, "spec": first["spec"]}
        whole = server.apply(written_out, "kubectl").json()
        other = server.apply(manifest, "flux")
        dry = server.apply(written_out, "kubectl", dry=True)
    finally:
        server.delete(manifest)

    assert second["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
    assert first["spec"] == again["spec"] == whole["spec"] == dry.json()["spec"]
    assert {1} == {manifest["metadata"]["generation"] for manifest in (first, again, whole, other.json(), dry.json())}
    assert (200, 200) == (other.status_code, dry.status_code)


def test_what_is_not_done_yet_is_accepted_by_the_server(server: Server) -> None:
    """A row of that table is about objects that exist: one that the server refuses needs no row."""
    for kind, limits in LIMITS.items():
        for limit in limits:
            manifest = least(kind)
            for name, value in limit.example.items():
                manifest["spec"][name] = value
            manifest["spec"] = {name: value for name, value in manifest["spec"].items() if value is not None}
            answer = server.create(manifest, dry=True)

            assert 201 == answer.status_code, (kind, limit.path, answer.text)


def test_all_kinds_are_listed_together(server: Server) -> None:
    document = json.loads(server.kubectl("get", "--raw", f"/apis/{API_VERSION}"))["resources"]
    listed = {item["kind"]: item for item in document if "/" not in item["name"]}

    assert BY_KIND.keys() == listed.keys()
    assert all(item["categories"] == ["tidemill", "mlops"] for item in listed.values())
    assert {kind.short_name for kind in BY_KIND.values()} == {
        name for item in listed.values() for name in item["shortNames"]
    }


def test_a_service_is_scaled_by_its_subresource(server: Server) -> None:
    manifest = least("InferenceService", name="scaled")
    assert server.create(manifest).status_code == 201
    server.kubectl("scale", "inferenceservices.tidemill.dev/scaled", "--replicas=3", "-n", "default")

    assert 3 == server.read(manifest)["spec"]["replicas"]
    server.delete(manifest)


@pytest.mark.parametrize(
    "value",
    [3, 0.5, "saga", True, -1, "", "0.5", [64, 32], ["l1", 1], [0.5, True], {"a": 1, "b": 2.5}, {"1": "x"}, [1] * 64],
    ids=lambda value: str(value)[:20],
)
def test_a_parameter_is_a_scalar_a_list_or_a_map(server: Server, value: Any) -> None:
    manifest = least("TrainingJob")
    manifest["spec"]["estimator"]["parameters"] = {"solver": value}
    answer = server.create(manifest, dry=True)

    assert answer.status_code == 201, answer.text
    kept = answer.json()["spec"]["estimator"]["parameters"]["solver"]
    assert (value, type(value)) == (kept, type(kept))


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        [1] * 65,
        {f"k{number}": 1 for number in range(65)},
        "x" * 1025,
        ["x" * 1025],
        [[1]],
        [1, [2]],
        [{"a": 1}],
        {"a": [1]},
        {"a": {"b": 1}},
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_parameter_is_nothing_else(server: Server, value: Any) -> None:
    manifest = least("TrainingJob")
    manifest["spec"]["estimator"]["parameters"] = {"solver": value}

    assert 422 == server.create(manifest, dry=True).status_code


@pytest.mark.parametrize("value", ["500m", "2Gi", 2, "1e3", "0.5"])
def test_resources_are_quantities(server: Server, value: Any) -> None:
    manifest = least("Dataset")
    manifest["spec"]["resources"] = {"requests": {"cpu": value}}

    assert 201 == server.create(manifest, dry=True).status_code


@pytest.mark.parametrize("value", ["much", "2 Gi", "", 0.5, True, "1" * 65])
def test_resources_are_nothing_else(server: Server, value: Any) -> None:
    manifest = least("Dataset")
    manifest["spec"]["resources"] = {"requests": {"cpu": value}}

    assert 422 == server.create(manifest, dry=True).status_code


def test_null_is_the_same_as_leaving_out(server: Server) -> None:
    manifest = least("Dataset")
    manifest["spec"]["splits"] = {"seed": None}
    answer = server.create(manifest, dry=True)

    assert 7 == answer.json()["spec"]["splits"]["seed"]


def test_a_field_that_does_not_exist_is_refused_by_name(server: Server) -> None:
    manifest = least("Dataset")
    manifest["spec"]["souce"] = {}
    answer = server.create(manifest, dry=True)

    assert 400 == answer.status_code
    assert 'unknown field "spec.souce"' in answer.json()["message"]


def test_two_managers_can_add_to_a_list_by_name(server: Server) -> None:
    """Lists of named things are merged item by item, so that one manager's checks are not another's to lose."""
    first, second = least("DriftMonitor", name="shared"), least("DriftMonitor", name="shared")
    second["spec"]["checks"] = [{"name": "scores", "type": "PredictionDrift", "failing": 0.3}]
    assert server.apply(first, "one").status_code == 201
    answer = server.apply(second, "two")

    assert ["inputs", "scores"] == [check["name"] for check in answer.json()["spec"]["checks"]]
    server.delete(first)


def test_a_name_is_given_once_in_a_list(server: Server) -> None:
    manifest = least("DriftMonitor")
    manifest["spec"]["checks"] *= 2
    answer = server.create(manifest, dry=True)

    assert 422 == answer.status_code
    assert "Duplicate value" in answer.json()["message"]
