"""Only a person quarantines a version; what a rollout of an earlier release marked is lifted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stories import script
from stories.fake_cluster import START, FakeCluster
from tidemill.children import names
from tidemill.children.installation import Installation
from tidemill.plan import Key, visit

OF_A_ROLLOUT = '{"reason":"errors","message":"0.2 is above 0.01 (42 samples)","since":"2026-01-05T08:00:00Z"}'
INSTALLATION = Installation(workload_image="w", server_image="s")


def quarantined(text: str) -> FakeCluster:
    cluster = FakeCluster()
    version = script.model_version()
    version["metadata"]["annotations"] = {names.QUARANTINE: text}
    cluster.apply(version)
    cluster.run(minutes=1)
    return cluster


@pytest.mark.parametrize(
    ("text", "user", "message"),
    [
        ("ann: trained on leaked labels", "ann", "trained on leaked labels"),
        ("system:serviceaccount:shop:ci: failed an audit", "system:serviceaccount:shop:ci", "failed an audit"),
        ("no", "", "no"),
        ("{}", "", "{}"),
    ],
)
def test_a_quarantine_says_who_and_why_and_since_when(text: str, user: str, message: str) -> None:
    cluster = quarantined(text)
    cluster.run(minutes=1)
    status = cluster.get("ModelVersion", "fraud-brought")["status"]

    (ready,) = (condition for condition in status["conditions"] if condition["type"] == "Ready")
    assert ("False", "Quarantined") == (ready["status"], ready["reason"])
    assert "kubectl tidemill lift fraud-brought" in ready["message"]
    since = START.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {"reason": "Quarantined", "user": user, "message": message, "since": since} == status["quarantine"]


def test_a_quarantine_that_is_lifted_leaves_nothing() -> None:
    cluster = quarantined("ann: trained on leaked labels")
    cluster.objects[Key("ModelVersion", "shop", "fraud-brought")]["metadata"]["annotations"] = {}
    cluster.apply(script.model_version())
    cluster.run(minutes=1)
    status = cluster.get("ModelVersion", "fraud-brought")["status"]

    assert "quarantine" not in status
    assert "True" == next(result["status"] for result in status["conditions"] if result["type"] == "Ready")


def test_the_mark_of_an_earlier_release_is_removed_with_a_word() -> None:
    cluster = quarantined("ann: x")
    key = Key("ModelVersion", "shop", "fraud-brought")
    manifest = cluster.objects[key]
    manifest["metadata"]["annotations"] = {names.QUARANTINE: OF_A_ROLLOUT}
    cluster.world.put(manifest)

    plan = visit(key, cluster.world, INSTALLATION, START + timedelta(hours=1))

    assert plan is not None
    assert [{names.QUARANTINE: None}] == [mark.annotations for mark in plan.marks]
    assert "QuarantineLifted" in [notice.reason for notice in plan.notices]
    assert plan.status.is_true("Ready")
