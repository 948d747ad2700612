"""Which version is served, and what is said where there is none."""

from __future__ import annotations

from typing import Any

from support import monitors as make
from tidemill.api import TrainingJob
from tidemill.api.conditions import Reason
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.selection import Selection, select


def run(name: str, *, day: int = 1, reason: str = "", message: str = "") -> TrainingJob:
    at = f"2026-01-{day:02}T00:00:00Z"
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": message, "lastTransitionTime": at}
    return TrainingJob.model_validate(
        {
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": at},
            "spec": {"modelName": "fraud", "dataset": {"name": "payments"}, "estimator": {"name": "x.y"}},
            "status": {"conditions": [ready] if reason else []},
        }
    )


def selected(**state: Any) -> Selection:
    return select(make.service(), ServiceState(None, None, (), state.pop("versions", ()), **state), make.NOW)


def test_a_model_without_a_run_asks_for_one() -> None:
    result = selected()

    assert (None, Reason.NO_VERSION) == (result.version, result.reason)
    assert "model 'fraud' has no version yet; create a TrainingJob with spec.modelName 'fraud'" == result.message


def test_the_newest_run_and_its_reason_are_named() -> None:
    older = run("wine", day=1, reason="OOMKilled", message="raise spec.resources.limits.memory")
    newer = run("wine-2", day=2, reason="InvalidParameters", message="max_depth must be an int; correct it")

    result = selected(runs=(newer, older))

    assert (
        "model 'fraud' has no version yet; see TrainingJob 'wine-2': InvalidParameters: max_depth must be an int; correct it"
        == result.message
    )


def test_a_run_that_the_operator_has_not_seen_is_named_too() -> None:
    assert selected(runs=(run("wine"),)).message.endswith("see TrainingJob 'wine'")


def test_the_newest_version_and_its_reason_are_named() -> None:
    result = selected(versions=(make.version("fraud-1", hour=1), make.version("fraud-2", hour=2)))

    assert result.message.startswith("none of the 2 versions of model 'fraud' is ready to be served; see ModelVersion")
    assert "'fraud-2'" in result.message
    assert selected(versions=(make.version("fraud-1"),)).message.startswith(
        "the only version of model 'fraud' is not ready"
    )
