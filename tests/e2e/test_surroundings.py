"""Surroundings that leave no room: told on the object within half a minute, with the remedy, and healed once they are lifted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.biopsies import SAMPLES
from support.environment import SURROUNDINGS, Environment
from support.kubectl import apply_manifests, kubectl
from support.waiting import until
from tidemill.api import AnyResource, Dataset, InferenceService, TrainingJob
from tidemill.api.conditions import Condition, Reason

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = SURROUNDINGS
SAMPLE = SAMPLES / "iris-quickstart" / "iris.yaml"
TOLD_WITHIN = 35.0
"""Half a minute, and the time in which the test looks."""
HEALED_WITHIN = 120.0
"""The controllers of Kubernetes try again after growing pauses, of a minute at most for a Job."""
NO_PODS = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-pods"},
    "spec": {"hard": {"pods": "0"}},
}
SMALL = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "small"},
    "spec": {"limits": [{"type": "Container", "max": {"memory": "32Mi"}}]},
}


def sample(kind: str) -> dict[str, Any]:
    """The object of this kind of the shortest sample."""
    manifests = yaml.safe_load_all(Path(SAMPLE).read_text())
    return dict(next(manifest for manifest in manifests if manifest["kind"] == kind))


@contextmanager
def imposed(environment: Environment, manifest: dict[str, Any]) -> Iterator[None]:
    """A rule of the namespace, in force before anything is made and until the end of the block."""
    apply_manifests(environment.cluster, SURROUNDINGS, [manifest])
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    try:
        if kind == "ResourceQuota":
            # A quota refuses everything until its controller has counted what is there.
            until("the quota being in force", lambda: _counted(environment, name), seconds=30)
        yield
    finally:
        kubectl(environment.cluster, "delete", kind, name, "-n", SURROUNDINGS, "--ignore-not-found")


def _counted(environment: Environment, name: str) -> bool:
    words = ("get", "resourcequota", name, "-n", SURROUNDINGS, "-o", "jsonpath={.status.hard.pods}")
    return kubectl(environment.cluster, *words) == "0"


def reported(environment: Environment, kind: type[AnyResource], name: str, problem: str) -> Condition:
    """The Ready condition of an object once it names the problem."""
    result = _read(environment, kind, name)

    def named() -> Condition | None:
        ready = result().status.condition("Ready")
        return ready if ready and problem in ready.message else None

    return until(f"{name}: {problem}", named, seconds=TOLD_WITHIN, explain=_explain(environment, result))


def healed(environment: Environment, kind: type[AnyResource], name: str) -> None:
    result = _read(environment, kind, name)
    until(
        f"{kind.kind_name} {name} being ready",
        lambda: result().status.is_true("Ready"),
        seconds=HEALED_WITHIN,
        explain=_explain(environment, result),
    )


def _read(environment: Environment, kind: type[AnyResource], name: str) -> Callable[[], AnyResource]:
    def read() -> AnyResource:
        resource = environment.api.read(kind, SURROUNDINGS, name)
        assert resource is not None, f"{name} is not deleted"
        return resource

    return read


def _explain(environment: Environment, result: Callable[[], AnyResource]) -> Callable[[], str]:
    return lambda: f"{result().status.conditions}\n{environment.operator_log()}"


def events_about(environment: Environment, name: str) -> list[tuple[str, str]]:
    events = environment.api.all("Event", SURROUNDINGS)
    return [(event["reason"], event["message"]) for event in events if event["involvedObject"]["name"] == name]


def test_a_quota_that_lets_no_pod_in_is_named_and_the_rows_are_read_once_it_is_lifted(environment: Environment) -> None:
    with imposed(environment, NO_PODS):
        apply_manifests(environment.cluster, SURROUNDINGS, [sample("Dataset")])
        condition = reported(environment, Dataset, "iris", "ResourceQuota 'no-pods' is used up")

    assert ("Unknown", Reason.REFUSED) == (condition.status, condition.reason)
    assert "; raise the quota, lower spec.resources" in condition.message
    assert (Reason.REFUSED, condition.message) in events_about(environment, "iris")
    healed(environment, Dataset, "iris")


def test_a_limit_that_is_too_low_for_a_training_is_named_and_it_runs_once_it_is_lifted(
    environment: Environment,
) -> None:
    with imposed(environment, SMALL):
        apply_manifests(environment.cluster, SURROUNDINGS, [sample("TrainingJob")])
        condition = reported(
            environment,
            TrainingJob,
            "iris",
            "a LimitRange refuses the pod: a request must be less than or equal to memory limit of 32Mi",
        )

    assert ("Unknown", Reason.REFUSED) == (condition.status, condition.reason)
    assert "; change spec.resources, or the LimitRange" in condition.message
    healed(environment, TrainingJob, "iris")


def test_a_request_that_no_node_has_room_for_is_named_and_lowered(environment: Environment) -> None:
    greedy = sample("Dataset")
    greedy["metadata"]["name"] = "greedy"
    large = {**greedy, "spec": {**greedy["spec"], "resources": {"requests": {"cpu": "512"}}}}
    apply_manifests(environment.cluster, SURROUNDINGS, [large])

    condition = reported(environment, Dataset, "greedy", "Insufficient cpu")

    assert ("Unknown", Reason.UNSCHEDULABLE) == (condition.status, condition.reason)
    assert "; lower spec.resources.requests, free a node, or add one" in condition.message
    assert "preemption" not in condition.message
    apply_manifests(environment.cluster, SURROUNDINGS, [greedy])
    healed(environment, Dataset, "greedy")


def test_a_quota_that_lets_no_serving_pod_in_is_named_and_the_model_answers_once_it_is_lifted(
    environment: Environment,
) -> None:
    with imposed(environment, NO_PODS):
        apply_manifests(environment.cluster, SURROUNDINGS, [sample("InferenceService")])
        condition = reported(environment, InferenceService, "iris", "ResourceQuota 'no-pods' is used up")
        service = environment.api.read(InferenceService, SURROUNDINGS, "iris")

    assert ("False", Reason.REPLICAS_NOT_READY) == (condition.status, condition.reason)
    assert service is not None and not service.status.is_true("RolloutComplete")
    healed(environment, InferenceService, "iris")
