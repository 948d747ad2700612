"""Names of what Tidemill makes of its own kinds are as short as those kinds ask for, whatever they are made from."""

from __future__ import annotations

from stories import script
from stories.fake_cluster import FakeCluster
from tidemill.api.crds import NAME_LIMIT
from tidemill.children import names


def test_a_model_with_the_longest_name_gets_a_version_that_may_be_made() -> None:
    made = FakeCluster()
    made.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    made.apply(script.dataset())
    made.apply(script.training_job(modelName="m" * 63))
    made.run(minutes=1)

    [version] = made.named("ModelVersion")
    assert len(version) <= NAME_LIMIT


def test_a_monitor_with_the_longest_name_orders_a_run_that_may_be_made() -> None:
    name = names.retraining("m" * NAME_LIMIT, "uid", "2026-01-01T00:00:00Z", "sha256:0")

    assert len(name) <= NAME_LIMIT
