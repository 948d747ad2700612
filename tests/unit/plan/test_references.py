"""What objects use in the store: everything that any of their texts names, and the logs that they stand for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service
from tidemill.contract.references import References
from tidemill.plan.references import in_use
from tidemill.plan.world import World

A, B = "a" * 64, "b" * 64
STORE = "s3://tidemill/prefix"


def made(kind: str, name: str = "fraud", **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tidemill.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        **fields,
    }


def test_a_cluster_in_service_uses_its_revision_its_version_its_log_and_its_reports() -> None:
    cluster = FakeCluster()
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.run(minutes=4)

    used = in_use(World(cluster.objects.values()))

    assert (("shop",), ("shop/fraud",), ("shop/fraud",)) == (used.namespaces, used.logs, used.monitors)
    version = next(item for key, item in cluster.objects.items() if key.kind == "ModelVersion")
    assert {"/".join(version["spec"]["artifact"]["uri"].split("/")[-4:])} <= set(used.folders)
    revision = next(item for key, item in cluster.objects.items() if key.kind == "Dataset")["status"]["revision"]
    assert {revision["digest"].removeprefix("sha256:")} <= set(used.digests)


MENTIONS: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {
    "a field of a spec": (
        made("ModelVersion", spec={"artifact": {"uri": f"{STORE}/shop/models/fraud/fraud-1"}}),
        {"shop/models/fraud/fraud-1"},
        set(),
    ),
    "a version of another namespace": (
        made("ModelVersion", spec={"artifact": {"uri": f"{STORE}/lab/models/fraud/fraud-1"}}),
        {"lab/models/fraud/fraud-1"},
        set(),
    ),
    "a page in a folder": (
        made("TrainingJob", status={"reportUri": f"{STORE}/shop/models/fraud/fraud-1/report.html"}),
        {"shop/models/fraud/fraud-1"},
        set(),
    ),
    "an order in the template of a Deployment": (
        made(
            "Deployment",
            spec={"template": {"metadata": {"annotations": {"order": f'{{"uri":"{STORE}/shop/models/fraud/f-1","a":1}}'}}}},
        ),
        {"shop/models/fraud/f-1"},
        set(),
    ),
    "earlier revisions of a Dataset": (
        made("Dataset", status={"revisions": [{"digest": f"sha256:{A}", "uri": f"{STORE}/shop/datasets/t/{A}"}]}),
        {f"shop/datasets/t/{A}"},
        {A},
    ),
    "a digest that a monitor pins": (
        made("DriftMonitor", spec={"reference": {"dataset": {"name": "t", "revision": f"sha256:{B}"}}}),
        set(),
        {B},
    ),
    "text that is no reference": (made("Dataset", metadata_note="models/fraud", spec={"source": {"uri": "s3://a/b"}}), set(), set()),
}  # fmt: skip


@pytest.mark.parametrize(("manifest", "folders", "digests"), MENTIONS.values(), ids=MENTIONS)
def test_whatever_an_object_mentions_is_in_use(manifest: dict[str, Any], folders: set[str], digests: set[str]) -> None:
    used = in_use(World([manifest]))

    assert (folders, digests) == (set(used.folders), set(used.digests))


def test_a_log_is_used_by_its_service_and_by_who_reads_it() -> None:
    predictions = {"source": {"predictions": {"inferenceServiceRef": {"name": "read"}}}}
    used = in_use(
        World(
            [
                made("InferenceService", "served"),
                made("DriftMonitor", "watch", spec={"target": {"inferenceService": "watched"}}),
                made("DriftMonitor", "kserve", spec={"target": {"cloudEvents": {}}}),
                made("Dataset", "rows", spec=predictions),
            ]
        )
    )

    assert {"shop/served", "shop/watched", "shop/cloudevents.kserve", "shop/read"} == set(used.logs)
    assert ("shop/kserve", "shop/watch") == used.monitors


def test_an_empty_cluster_uses_nothing() -> None:
    assert () == in_use(World()).folders


def test_an_answer_of_another_kind_does_not_read_as_one_that_nothing_is_used() -> None:
    with pytest.raises(ValidationError):
        References.model_validate_json(b"{}")
