"""What a TrainingJob remembers of a run that is over."""

from __future__ import annotations

import copy
import json
from typing import Any

from stories import script
from stories.fake_cluster import FakeCluster
from stories.monitoring import drift_retrains_once, new_data_retrains
from stories.training import first_training
from tidemill.children import names
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

    conditions = {condition["type"]: condition["status"] for condition in cluster.objects[RUN]["status"]["conditions"]}
    assert {"Ready": "True", "Complete": "True"} == conditions
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


def run_of_a_retraining(cluster: FakeCluster) -> dict[str, Any]:
    """The order of the TrainingJob that a monitor has ordered."""
    jobs = [made for key, made in cluster.objects.items() if key.kind == "Job" and "-retrain-" in key.name]
    order: dict[str, Any] = json.loads(jobs[-1]["spec"]["template"]["metadata"]["annotations"][names.ORDER])
    return order


def test_a_retraining_on_the_revision_of_the_version_in_service_needs_new_rows_and_one_on_another_does_not() -> None:
    same, other = FakeCluster(), FakeCluster()
    for cluster, story in ((same, drift_retrains_once), (other, new_data_retrains)):
        story(cluster)

    assert True is run_of_a_retraining(same)["newRows"]
    assert "newRows" not in run_of_a_retraining(other)


def test_the_warnings_of_a_run_are_in_its_status() -> None:
    warned = tuple(f"warning {number}" for number in range(20))
    report = script.trains()
    cluster = FakeCluster(
        reports={
            "Ingest": script.ingests,
            "Train": lambda order: report(order).model_copy(update={"warnings": (*warned[:3], "x" * 600, *warned[3:])}),
        }
    )
    for manifest in (script.dataset(), script.training_job()):
        cluster.apply(manifest)
    cluster.run(minutes=1)

    warnings = cluster.objects[RUN]["status"]["warnings"]
    assert (16, "warning 0", "6 more warnings; see the report") == (len(warnings), warnings[0], warnings[-1])
    assert 512 == len(warnings[3])
