"""What a Dataset says of a run, beyond what the stories tell."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import INSTALLATION, FakeCluster
from stories.openings import annotated
from tidemill.api.conditions import Reason
from tidemill.children import names
from tidemill.contract.orders import CLAIM_PATH
from tidemill.contract.reports import Failure, RunReport


def conditions_after(answer: Any, **spec: Any) -> dict[str, tuple[str, str]]:
    stage = FakeCluster(reports={"Ingest": answer})
    stage.apply(script.dataset(**spec))
    stage.run(seconds=8)
    conditions = stage.get("Dataset", "payments")["status"]["conditions"]
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in conditions}


def fails(reason: Reason) -> Any:
    return lambda _: RunReport(failure=Failure(reason=reason, message="the column is gone"))


def test_rows_that_came_and_fit_and_are_good_are_said_to_be_all_three() -> None:
    result = conditions_after(script.ingests)

    assert {"Ready", "Fetched", "SchemaValid", "QualityPassed"} == result.keys()
    assert {"True"} == {status for status, _ in result.values()}


@pytest.mark.parametrize("reason", ["SchemaMismatch", "TargetMissing", "TargetUnusable", "NotNumeric"])
def test_rows_that_came_with_other_columns_were_fetched_and_do_not_fit(reason: str) -> None:
    result = conditions_after(fails(Reason(reason)))

    assert ("True", "Succeeded") == result["Fetched"]
    assert ("False", reason) == result["SchemaValid"]
    assert "QualityPassed" not in result


def test_rows_that_are_not_good_enough_were_fetched_and_fit() -> None:
    result = conditions_after(fails(Reason.QUALITY_FAILED))

    assert ("True", "True", "False") == tuple(result[name][0] for name in ("Fetched", "SchemaValid", "QualityPassed"))


def test_rows_that_did_not_come_say_nothing_of_their_columns() -> None:
    result = conditions_after(fails(Reason.SOURCE_NOT_FOUND))

    assert ("False", "SourceNotFound") == result["Fetched"]
    assert "SchemaValid" not in result


@pytest.mark.parametrize(("enabled", "announced"), [(True, False), (False, True)])
def test_a_run_is_told_where_the_page_is_not_wanted(enabled: bool, announced: bool) -> None:
    stage = FakeCluster(reports={"Ingest": script.ingests})
    stage.apply(script.dataset(report={"enabled": enabled}))
    stage.run(seconds=1)
    (pod,) = (manifest for key, manifest in stage.objects.items() if key.kind == "Pod")

    assert announced == ('"report":false' in pod["metadata"]["annotations"][names.ORDER])


def ingesting(uri: str, *, allowed: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the pod that reads a source, and its order."""
    installation = replace(INSTALLATION, allow_private_sources=allowed)
    stage = FakeCluster(reports={"Ingest": script.ingests}, installation=installation)
    stage.apply(script.dataset(source={"uri": uri}))
    stage.run(seconds=1)
    (pod,) = (manifest for key, manifest in stage.objects.items() if key.kind == "Pod")
    return pod, json.loads(pod["metadata"]["annotations"][names.ORDER])


def test_a_claim_is_mounted_read_only_in_the_pod_that_reads_it_and_in_no_other() -> None:
    pod, _ = ingesting("pvc://lake/raw/*.csv")
    other, _ = ingesting("s3://lake/raw/*.csv")

    assert {"name": "claim", "persistentVolumeClaim": {"claimName": "lake", "readOnly": True}} in pod["spec"]["volumes"]
    mounts = pod["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "claim", "mountPath": CLAIM_PATH, "readOnly": True} in mounts
    assert "persistentVolumeClaim" not in json.dumps(other)


@pytest.mark.parametrize(("uri", "labelled"), [("az://lake/a.csv", True), ("gs://lake/a.csv", False)])
def test_a_pod_that_reads_from_azure_may_get_an_identity(uri: str, labelled: bool) -> None:
    pod, _ = ingesting(uri)

    assert labelled is (names.AZURE_IDENTITY in pod["metadata"]["labels"])


@pytest.mark.parametrize("allowed", [False, True])
def test_only_a_run_that_reads_a_web_server_is_told_whether_private_addresses_are_allowed(allowed: bool) -> None:
    assert allowed is ingesting("https://data.example/a.csv", allowed=allowed)[1].get("allowPrivate", False)
    assert "allowPrivate" not in ingesting("s3://lake/a.csv", allowed=allowed)[1]


def reads_answers(**predictions: Any) -> dict[str, Any]:
    answered = script.dataset(source={"predictions": {"inferenceServiceRef": {"name": "fraud"}, **predictions}})
    answered["metadata"]["name"] = "answered"
    return answered


def ordered(stage: FakeCluster) -> list[dict[str, Any]]:
    """What the runs that read answers were told, in their order."""
    pods = sorted(key.name for key in stage.objects if key.kind == "Pod" and key.name.startswith("answered-"))
    return [json.loads(stage.get("Pod", name)["metadata"]["annotations"][names.ORDER]) for name in pods]


def in_service() -> FakeCluster:
    stage = FakeCluster(reports={"Ingest": script.ingests_unlabelled, "Train": script.trains()})
    for manifest in (script.dataset(), script.training_job(), script.service()):
        stage.apply(manifest)
    stage.run(minutes=1)
    return stage


def test_a_run_that_reads_answers_is_told_the_window_and_the_version_in_service() -> None:
    stage = in_service()
    stage.apply(reads_answers(window="36h"))
    stage.run(seconds=1)

    (order,) = ordered(stage)
    (version,) = stage.named("ModelVersion")
    artifact = stage.get("ModelVersion", version)["spec"]["artifact"]
    assert {"start": "2026-01-03T21:01:00Z", "end": "2026-01-05T09:01:00Z"} == order["answered"]["window"]
    assert {"name": version, "uri": artifact["uri"], "digest": artifact["digest"]} == order["answered"]["version"]


def test_a_run_that_is_repeated_reads_what_was_answered_since() -> None:
    stage = in_service()
    stage.apply(reads_answers())
    stage.run(seconds=30)

    ends = [order["answered"]["window"]["end"] for order in ordered(stage)]
    assert ["2026-01-05T09:01:00Z", "2026-01-05T09:01:10Z", "2026-01-05T09:01:25Z"] == ends


def test_answers_of_a_service_without_a_version_are_waited_for() -> None:
    stage = FakeCluster()
    stage.apply(script.service())
    stage.apply(reads_answers())
    stage.run(minutes=1)

    conditions = {
        condition["type"]: condition for condition in stage.get("Dataset", "answered")["status"]["conditions"]
    }
    assert ("False", "DependencyNotReady") == (conditions["Ready"]["status"], conditions["Ready"]["reason"])
    assert "no version is served yet; approve a version" in conditions["Ready"]["message"]
    assert [] == stage.named("Job")


def attempt_of(stage: FakeCluster) -> dict[str, Any]:
    attempt: dict[str, Any] = stage.get("Dataset", "payments")["status"]["attempt"]
    return attempt


def unreachable() -> FakeCluster:
    reason = Failure(reason=Reason.SOURCE_UNREACHABLE, message="nothing answers", retryable=True)
    return FakeCluster(reports={"Ingest": lambda _: RunReport(failure=reason)})


@pytest.mark.parametrize(
    ("refresh", "fewest", "most"), [({"interval": "20s"}, 12, 30), ({}, 5, 7)], ids=["20s", "none"]
)
def test_a_failed_read_is_repeated_no_later_than_the_next_one_would_be(
    refresh: dict[str, Any], fewest: int, most: int
) -> None:
    stage = unreachable()
    stage.apply(script.dataset(refresh=refresh))
    stage.run(minutes=6)

    assert fewest <= attempt_of(stage)["number"] <= most


@pytest.mark.parametrize("refresh", [{"interval": "6h"}, {}], ids=["6h", "none"])
def test_a_request_reads_the_source_at_once_and_once(refresh: dict[str, Any]) -> None:
    stage = unreachable()
    stage.apply(script.dataset(refresh=refresh))
    stage.run(minutes=6)
    before = attempt_of(stage)

    stage.reports["Ingest"] = script.ingests
    asked = stage.now.isoformat()
    stage.apply(annotated(script.dataset(refresh=refresh), names.REFRESH, asked))
    stage.run(seconds=15)

    after = attempt_of(stage)
    assert "Failed" == before["outcome"]
    assert ("Succeeded", 1, datetime.fromisoformat(asked)) == (
        after["outcome"],
        after["number"],
        datetime.fromisoformat(after["at"]),
    )
    stage.run(hours=2)
    assert after == attempt_of(stage)


@pytest.mark.parametrize("asked", ["soon", "2026-01-05T09:30:00", "2126-01-05T09:30:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_request_without_a_time_that_can_be_meant_changes_nothing(asked: str) -> None:
    stage = FakeCluster(reports={"Ingest": script.ingests})
    stage.apply(script.dataset())
    stage.run(minutes=1)
    before = attempt_of(stage)

    stage.apply(annotated(script.dataset(), names.REFRESH, asked))
    stage.run(minutes=1)

    assert before == attempt_of(stage)


def jobs_of(stage: FakeCluster) -> int:
    """Return how many ingest Jobs were created so far."""
    return sum("+ Job payments-ingest" in line for line in stage.lines)


def test_a_scheduled_dataset_is_read_at_once_and_then_at_its_times() -> None:
    stage = FakeCluster(reports={"Ingest": script.ingests})
    stage.apply(script.dataset(refresh={"schedule": "7,37 9-10 * * *"}))
    reads: list[str] = []
    for _ in range(5 * 3600 // 10):
        reads += [f"{stage.now:%H:%M:%S}"] * (jobs_of(stage) - len(reads))
        stage.run(seconds=10)

    attempt = attempt_of(stage)
    assert ["09:00:10", "09:07:00", "09:37:00", "10:07:00", "10:37:00"] == reads
    assert ("2026-01-05T10:37:00Z", "Succeeded") == (attempt["at"], attempt["outcome"])


def test_times_that_passed_while_the_dataset_was_suspended_are_made_up_for_by_one_read() -> None:
    stage = FakeCluster(reports={"Ingest": script.ingests})
    hourly = {"schedule": "0 * * * *"}
    stage.apply(script.dataset(refresh=hourly))
    stage.run(minutes=1)
    stage.apply(script.dataset(refresh=hourly, suspend=True))
    stage.run(hours=5)
    suspended = jobs_of(stage)

    stage.apply(script.dataset(refresh=hourly, suspend=False))
    stage.run(minutes=30)

    assert (1, 2) == (suspended, jobs_of(stage))
    assert "2026-01-05T14:00:00Z" == attempt_of(stage)["at"]


def test_a_failed_read_is_repeated_and_not_once_more_for_the_times_that_passed_meanwhile() -> None:
    stage = unreachable()
    stage.apply(script.dataset(refresh={"schedule": "0 10-12 * * *"}))
    stage.run(hours=6)
    failed = jobs_of(stage)
    stage.reports["Ingest"] = script.ingests
    stage.run(hours=6)

    assert failed + 1 == jobs_of(stage)
    assert "Succeeded" == attempt_of(stage)["outcome"]


def test_a_read_that_failed_for_good_is_tried_again_at_the_next_time() -> None:
    stage = FakeCluster(reports={"Ingest": fails(Reason.SCHEMA_MISMATCH)})
    stage.apply(script.dataset(refresh={"schedule": "30 * * * *"}))
    stage.run(minutes=29)
    assert 1 == jobs_of(stage)

    stage.reports["Ingest"] = script.ingests
    stage.run(minutes=5)

    assert ("Succeeded", 1) == (attempt_of(stage)["outcome"], attempt_of(stage)["number"])


@pytest.mark.parametrize(
    ("schedule", "reason", "message"),
    [
        ("0 0 30 2 *", "ScheduleNeverFires", "spec.refresh.schedule '0 0 30 2 *' never fires; set a date that exists"),
        ("61 * * * *", "InvalidSpec", "spec.refresh.schedule '61 * * * *' is invalid"),
        ("H 2 * * *", "InvalidSpec", "spec.refresh.schedule 'H 2 * * *' has a random value; set numbers"),
    ],
    ids=["never", "nonsense", "random"],
)
def test_a_schedule_that_cannot_be_used_stalls_the_dataset_with_a_remedy(
    schedule: str, reason: str, message: str
) -> None:
    stage = FakeCluster(reports={"Ingest": script.ingests})
    stage.apply(script.dataset())
    stage.run(minutes=1)
    stage.apply(script.dataset(refresh={"schedule": schedule}))
    stage.run(minutes=1)

    status = stage.get("Dataset", "payments")["status"]
    conditions = {condition["type"]: condition for condition in status["conditions"]}
    assert {("Ready", "False", reason), ("Stalled", "True", reason)} == {
        (kind, condition["status"], condition["reason"]) for kind, condition in conditions.items()
    }
    assert conditions["Stalled"]["message"].startswith(message)
    assert conditions["Stalled"]["message"].endswith(f"revision {status['revision']['digest'][:19]} stays in use")

    stage.apply(script.dataset(refresh={"schedule": "0 2 * * *"}))
    stage.run(minutes=1)
    after = {condition["type"] for condition in stage.get("Dataset", "payments")["status"]["conditions"]}
    assert {"Ready", "Fetched", "SchemaValid", "QualityPassed"} == after
