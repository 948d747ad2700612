"""What the engine writes to a real API server, what it heals, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.children import names

from .conftest import Kube, Ledger, Operator, children, eventually

pytestmark = [pytest.mark.api, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("operator")]


def test_a_child_that_someone_deletes_comes_back(kube: Kube) -> None:
    kube.dataset("iris", services=1)
    eventually(lambda: kube.is_ready("iris"))
    uid = kube.list("Service")[0]["metadata"]["uid"]

    kube.delete("Service", "iris-0")

    eventually(lambda: [manifest["metadata"]["uid"] for manifest in kube.list("Service")] not in ([], [uid]))


EDITS: dict[str, dict[str, Any]] = {
    "a selector": {"spec": {"selector": {"app": "theirs"}}},
    "a port": {"spec": {"ports": [{"name": "http", "port": 1}]}},
    "an owner's label": {"metadata": {"labels": {names.OWNER_NAME: "wine"}}},
    "the label that makes it ours": {"metadata": {"labels": {names.MANAGED_BY: None}}},
    "the owner reference": {"metadata": {"ownerReferences": None}},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_child_that_someone_edits_is_mended_and_what_is_theirs_stays(edit: dict[str, Any], kube: Kube) -> None:
    dataset = kube.dataset("iris", services=1)
    eventually(lambda: kube.is_ready("iris"))
    kube.patch("Service", "iris-0", {"metadata": {"annotations": {"theirs": "kept"}}})

    kube.patch("Service", "iris-0", edit)

    def mended() -> bool:
        service = kube.list("Service")[0]
        owners = service["metadata"].get("ownerReferences") or [{}]
        return (
            service["spec"]["selector"] == {"app": "iris"}
            and service["spec"]["ports"][0]["port"] == 8080
            and service["metadata"]["labels"].get(names.OWNER_NAME) == "iris"
            and service["metadata"]["labels"].get(names.MANAGED_BY) == names.MANAGER
            and owners[0].get("uid") == dataset["metadata"]["uid"]
        )

    eventually(mended)
    assert kube.list("Service")[0]["metadata"]["annotations"] == {"theirs": "kept"}


def test_a_status_that_someone_edits_is_mended(kube: Kube) -> None:
    kube.dataset("iris", services=1)
    eventually(lambda: kube.is_ready("iris"))

    kube.patch("Dataset", "iris", {"status": {"conditions": [], "observedGeneration": 77}}, "status")

    eventually(
        lambda: kube.is_ready("iris") and (kube.get("Dataset", "iris") or {})["status"]["observedGeneration"] == 1
    )


def test_what_is_no_longer_wanted_is_deleted_and_a_new_spec_followed(kube: Kube) -> None:
    kube.dataset("iris", services=3)
    eventually(lambda: kube.is_ready("iris"))

    kube.patch("Dataset", "iris", {"spec": {"services": 1, "port": 9090}})

    eventually(lambda: kube.is_ready("iris") and children(kube) == {("Service", "iris-0")})
    assert kube.list("Service")[0]["spec"]["ports"][0]["port"] == 9090


def test_an_object_of_somebody_else_is_never_adopted(kube: Kube) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris-0"},
        "spec": {"ports": [{"port": 1}], "selector": {"app": "x"}},
    }
    before = kube.create(theirs)
    kube.dataset("iris", services=1)

    eventually(lambda: kube.condition("iris").get("reason") == "NameConflict")

    assert kube.condition("iris", "Stalled")["status"] == "True"
    assert "Service" in kube.condition("iris")["message"]
    assert kube.get("Service", "iris-0") == before


def test_an_object_of_somebody_else_that_carries_our_label_is_not_adopted_either(kube: Kube) -> None:
    labels = {names.MANAGED_BY: names.MANAGER}
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris-0", "labels": labels},
        "spec": {"ports": [{"port": 1}]},
    }
    before = kube.create(theirs)
    kube.dataset("iris", services=1)
    eventually(lambda: kube.condition("iris").get("reason") == "NameConflict")
    assert kube.get("Service", "iris-0") == before

    kube.delete("Service", "iris-0")
    kube.patch("Dataset", "iris", {"metadata": {"annotations": {"look": "again"}}})

    eventually(lambda: kube.is_ready("iris"))


def test_an_object_that_cannot_be_read_is_told_so_and_disturbs_no_other(kube: Kube, ledger: Ledger) -> None:
    kube.dataset("tampering", services="many")
    kube.dataset("iris", services=1)
    eventually(lambda: kube.is_ready("iris"))
    eventually(lambda: kube.condition("tampering").get("reason") == "InvalidSpec")
    assert kube.condition("tampering", "Stalled")["status"] == "True"
    assert len([write for write in ledger.settled(kube.namespace) if write.endswith("status/tampering 200")]) == 1

    kube.patch("Dataset", "tampering", {"spec": {"services": 1}})

    eventually(lambda: kube.is_ready("tampering"))
    assert kube.condition("tampering", "Stalled") == {}


def test_a_bug_in_a_planner_disturbs_no_other_object_and_is_told_once(kube: Kube, operator: Operator) -> None:
    kube.dataset("buggy", bug=True)
    kube.dataset("iris", services=1)
    eventually(lambda: kube.is_ready("iris"))
    eventually(lambda: 'tidemill_reconcile_errors_total{error="Bug",kind="Dataset"}' in operator.metrics())

    events = eventually(lambda: [event for event in kube.list("Event") if event["reason"] == "InternalError"])

    assert [(event["regarding"]["name"], event["type"]) for event in events] == [("buggy", "Warning")]
    assert operator.asks("/healthz") == 200


def test_a_refusal_is_a_condition_and_is_not_tried_in_a_hot_loop(kube: Kube, ledger: Ledger) -> None:
    kube.dataset("iris", services=1, port=99999)

    eventually(lambda: kube.condition("iris").get("reason") == "Refused")

    assert "99999" in kube.condition("iris")["message"]
    assert len([write for write in ledger.settled(kube.namespace, quiet=3) if write.startswith("patch services")]) <= 3


def test_marks_are_set_and_taken_away_and_leave_other_annotations_alone(kube: Kube, ledger: Ledger) -> None:
    kube.dataset("iris", services=1, mark="{}")
    eventually(
        lambda: (
            (kube.list("Service") or [{"metadata": {}}])[0]["metadata"].get("annotations")
            == {"tidemill.dev/routes": "{}"}
        )
    )
    kube.patch("Service", "iris-0", {"metadata": {"annotations": {"theirs": "kept"}}})

    kube.patch("Dataset", "iris", {"spec": {"mark": "{1}"}})
    eventually(
        lambda: kube.list("Service")[0]["metadata"]["annotations"] == {"tidemill.dev/routes": "{1}", "theirs": "kept"}
    )

    kube.delete("Dataset", "iris")
    assert len([write for write in ledger.settled(kube.namespace) if write == "patch services/iris-0 200"]) == 2
