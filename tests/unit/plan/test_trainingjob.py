"""What a TrainingJob remembers of a run that is over."""

from __future__ import annotations

import copy

from stories import script
from stories.fake_cluster import FakeCluster
from stories.training import first_training
from tidemill.plan.world import Key

RUN = Key("TrainingJob", "shop", "fraud-first")


def test_a_run_that_published_a_version_is_complete_even_if_somebody_takes_its_conditions_away() -> None:
    cluster = FakeCluster()
    first_training(cluster)
    before = cluster.objects[RUN]
    spoilt = {**before, "status": {**before["status"], "conditions": []}}
    cluster.objects[RUN] = spoilt
    cluster.world.put(spoilt)

    cluster.revisit(RUN)

    said = {one["type"]: one["status"] for one in cluster.objects[RUN]["status"]["conditions"]}
    assert {"Ready": "True", "Complete": "True"} == said
    assert before["status"]["modelVersion"] == cluster.objects[RUN]["status"]["modelVersion"]


def test_a_run_that_is_edited_before_its_first_attempt_pins_its_dataset_again() -> None:
    """The pin of the spec before the edit may be written after the edit."""
    cluster = FakeCluster(reports={"Ingest": script.ingests, "Train": script.trains()})
    other = script.dataset()
    other["metadata"]["name"] = "refunds"
    for manifest in (script.dataset(), other):
        cluster.apply(manifest)
    cluster.run(minutes=1)
    cluster.apply(script.training_job(suspend=True))
    cluster.run(seconds=1)
    pinned = copy.deepcopy(cluster.objects[RUN])
    pinned["status"]["dataset"] = {"name": "payments", "digest": script.REVISION, "uri": "s3://tidemill/payments"}
    cluster.objects[RUN] = pinned
    cluster.world.put(pinned)

    cluster.apply(script.training_job(dataset={"name": "refunds"}))
    cluster.run(minutes=1)

    assert "refunds" == cluster.objects[RUN]["status"]["dataset"]["name"]
    version = cluster.get("ModelVersion", cluster.named("ModelVersion")[0])
    assert ["refunds"] == [used["name"] for used in version["spec"]["lineage"]["datasets"]]
