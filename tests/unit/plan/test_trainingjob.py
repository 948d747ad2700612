"""What a TrainingJob remembers of a run that is over."""

from __future__ import annotations

from stories.fake_cluster import FakeCluster
from stories.training import first_training
from tidemill.plan.world import Key

RUN = Key("TrainingJob", "shop", "fraud-first")


def test_a_run_that_published_a_version_is_complete_even_if_somebody_takes_its_conditions_away() -> None:
    theatre = FakeCluster()
    first_training(theatre)
    before = theatre.objects[RUN]
    spoilt = {**before, "status": {**before["status"], "conditions": []}}
    theatre.objects[RUN] = spoilt
    theatre.world.put(spoilt)

    theatre.revisit(RUN)

    said = {one["type"]: one["status"] for one in theatre.objects[RUN]["status"]["conditions"]}
    assert {"Ready": "True", "Complete": "True"} == said
    assert before["status"]["modelVersion"] == theatre.objects[RUN]["status"]["modelVersion"]
