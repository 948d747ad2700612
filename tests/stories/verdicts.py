"""Stories of verdicts: what one service holds against a version, what a person says to all, and the ways back."""

from __future__ import annotations

from typing import Any

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import annotated, newest, second_version


def two_services_of_one_model_and_one_aborts(cluster: FakeCluster) -> None:
    """Staging rejects for itself: production, which answers well with the same version, keeps it."""
    production = second_version(cluster)
    cluster.run(minutes=3)
    second = newest(cluster)
    first = next(name for name in cluster.named("ModelVersion") if name != second)
    staging = {**production, "metadata": {"name": "staging"}}
    cluster.apply({**staging, "spec": {**staging["spec"], "model": {"name": "fraud", "version": first}}})
    cluster.run(minutes=1)
    cluster.say("staging is no longer pinned")
    cluster.apply(staging)
    cluster.run(seconds=20)
    cluster.apply(annotated(staging, "tidemill.dev/abort", second))
    cluster.run(minutes=5)

    assert second == _stable(cluster, "fraud")
    assert first == _stable(cluster, "staging")


def aborted_and_tried_again(cluster: FakeCluster) -> None:
    service = second_version(cluster)
    cluster.run(seconds=20)
    second = newest(cluster)
    cluster.apply(annotated(service, "tidemill.dev/abort", second))
    cluster.run(minutes=5)
    cluster.say("the user asks for another try, and takes the abort back")
    cluster.apply(_with(service, {"tidemill.dev/abort": "", "tidemill.dev/retry": f"{second}/{_now(cluster)}"}))
    cluster.run(minutes=3)

    assert second == _stable(cluster, "fraud")


def rejected_again_after_a_retry(cluster: FakeCluster) -> None:
    """A request is answered once: the version that fails again is not tried a third time."""
    service = second_version(cluster, right=70)
    cluster.run(minutes=5)
    cluster.apply(_with(service, {"tidemill.dev/retry": f"{newest(cluster)}/{_now(cluster)}"}))
    cluster.run(minutes=30)

    assert 2 == len(cluster.get("InferenceService", "fraud")["status"]["history"])


def quarantined_by_a_person(cluster: FakeCluster) -> None:
    """The version in service is taken out for all, with a word; the earlier one follows, and the lift leads back."""
    second_version(cluster)
    cluster.run(minutes=3)
    second = newest(cluster)
    first = next(name for name in cluster.named("ModelVersion") if name != second)
    cluster.annotate("ModelVersion", second, "tidemill.dev/quarantine", "ann: trained on leaked labels")
    cluster.measurements = script.measures(first, right=90)
    cluster.run(minutes=3)
    assert first == _stable(cluster, "fraud")
    cluster.annotate("ModelVersion", second, "tidemill.dev/quarantine", "")
    cluster.measurements = script.measures(second, right=97)
    cluster.run(minutes=3)

    assert second == _stable(cluster, "fraud")


def quarantined_without_another_version(cluster: FakeCluster) -> None:
    """What answers is not taken away where nothing can follow it; the status says so."""
    cluster.apply(script.model_version())
    cluster.apply(script.service())
    cluster.run(minutes=1)
    cluster.annotate("ModelVersion", "fraud-brought", "tidemill.dev/quarantine", "ann: trained on leaked labels")
    cluster.run(minutes=3)

    assert "fraud-brought" == _stable(cluster, "fraud")


def version_in_service_deleted(cluster: FakeCluster) -> None:
    cluster.apply(script.model_version())
    cluster.apply(script.service())
    cluster.run(minutes=1)
    cluster.delete("ModelVersion", "fraud-brought")
    cluster.run(minutes=3)

    assert "fraud-brought" == _stable(cluster, "fraud")


def _stable(cluster: FakeCluster, service: str) -> str:
    return str(cluster.get("InferenceService", service)["status"]["stable"]["version"])


def _now(cluster: FakeCluster) -> str:
    return cluster.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _with(manifest: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


STORIES = (
    two_services_of_one_model_and_one_aborts,
    aborted_and_tried_again,
    rejected_again_after_a_retry,
    quarantined_by_a_person,
    quarantined_without_another_version,
    version_in_service_deleted,
)
