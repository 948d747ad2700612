from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidemill.api.conditions import Reason
from tidemill.contract.reports import Failure, Ingested, RunReport
from tidemill.plan.runs.job_state import POD_MISSING_SECONDS, diagnose

JOB: dict[str, Any] = {"metadata": {"name": "iris-1"}, "spec": {}, "status": {}}
DIGEST = "sha256:" + "0" * 64


def pod(**state: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "iris-1-x"},
        "spec": {"containers": [{"resources": {"limits": {"memory": "512Mi"}}}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "workload", "image": "w:1", "state": state}]},
    }


def test_no_job_is_absent() -> None:
    assert diagnose(None, []).phase == "Absent"


def test_a_job_without_pods_is_waiting() -> None:
    assert diagnose(JOB, []).phase == "Waiting"


def test_a_report_in_the_termination_message_is_believed_before_the_job_knows() -> None:
    report = RunReport(ingested=Ingested(digest=DIGEST, uri="s3://b/d", rows=3, bytes=1, columns=2, features=1))
    run = diagnose(JOB, [pod(terminated={"exitCode": 0, "message": report.to_message()})])

    assert run.phase == "Succeeded"
    assert run.report == report


def test_a_reported_failure_keeps_its_reason_and_remedy() -> None:
    report = RunReport(
        failure=Failure(reason=Reason.TARGET_MISSING, message="there is no column fraud", retryable=True)
    )
    run = diagnose(JOB, [pod(terminated={"exitCode": 1, "message": report.to_message()})])

    assert run.failure == report.failure


def test_out_of_memory_names_the_limit_to_raise() -> None:
    run = diagnose(JOB, [pod(terminated={"exitCode": 137, "reason": "OOMKilled"})])

    assert run.failure is not None
    assert run.failure.reason == Reason.OUT_OF_MEMORY
    assert "spec.resources.limits.memory (now 512Mi)" in run.failure.message


def test_a_good_exit_without_a_report_is_repeated() -> None:
    run = diagnose(JOB, [pod(terminated={"exitCode": 0, "message": "not JSON"})])

    assert run.failure is not None
    assert (Reason.REPORT_MISSING, True) == (run.failure.reason, run.failure.retryable)


def test_an_image_that_cannot_be_pulled_is_waited_for_and_named() -> None:
    run = diagnose(JOB, [pod(waiting={"reason": "ImagePullBackOff"})])

    assert run.phase == "Waiting"
    assert "cannot pull image w:1" in run.message


def test_a_job_past_its_deadline_says_so() -> None:
    job = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}}
    run = diagnose(job, [])

    assert run.failure is not None
    assert run.failure.reason == Reason.DEADLINE_EXCEEDED


@pytest.mark.parametrize("ended", ["Complete", "Failed"])
def test_a_job_that_ended_before_its_pod_is_seen_to_end_is_waited_for(ended: str) -> None:
    job = {**JOB, "status": {"conditions": [{"type": ended, "status": "True"}]}}

    assert "Running" == diagnose(job, [pod(running={})]).phase
    assert "Running" == diagnose(job, [{**pod(), "status": {"phase": "Pending"}}]).phase


def test_a_job_that_ended_and_whose_pod_is_gone_is_repeated() -> None:
    run = diagnose({**JOB, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}, [])

    assert run.failure is not None
    assert (Reason.REPORT_MISSING, True) == (run.failure.reason, run.failure.retryable)


def test_a_pod_that_is_not_seen_is_looked_for_before_the_run_is_repeated() -> None:
    complete = [{"type": "Complete", "status": "True"}]
    job = {**JOB, "status": {"conditions": complete, "completionTime": "2026-01-05T09:00:00Z"}}
    ended = datetime(2026, 1, 5, 9, tzinfo=UTC)

    assert "Running" == diagnose(job, [], ended + timedelta(seconds=POD_MISSING_SECONDS - 1)).phase
    assert "Failed" == diagnose(job, [], ended + timedelta(seconds=POD_MISSING_SECONDS)).phase


def test_a_pod_that_never_ran_a_container_is_not_waited_for() -> None:
    job = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "message": "no room"}]}}
    rejected = {**pod(), "status": {"phase": "Failed", "reason": "OutOfcpu"}}
    leaving = {**pod(running={}), "metadata": {"name": "x", "deletionTimestamp": "2026-01-05T09:00:00Z"}}

    assert ["Failed", "Failed"] == [diagnose(job, [pod]).phase for pod in (rejected, leaving)]


def test_a_deadline_needs_no_report() -> None:
    job = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}}

    assert "Failed" == diagnose(job, [pod(running={})]).phase


def test_a_job_held_back_by_a_queue_is_queued() -> None:
    assert diagnose({**JOB, "spec": {"suspend": True}}, []).queued
