"""Two services of one model: an edit of steps changes the measured traffic, and what one rejects the other goes on serving."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support import biopsies
from support.biopsies import SAMPLES
from support.environment import SHARED, Environment
from support.kubectl import apply, apply_manifests
from support.rollouts import FollowedService, run_plugin, version_of
from support.waiting import until
from tidemill.api import API_VERSION, InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.children import names
from traffic.client import Schedule
from traffic.remote import Orders, Traffic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = SHARED
FOLDER = SAMPLES / "rollouts"
MODEL = "cells"


def service(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"model": {"name": MODEL}, "replicas": 1, "rollout": {"steps": list(steps)}},
    }


PRODUCTION = service("production")
STAGING = service("staging", {"weight": 50})


class Shared:
    """Both services, with clients of staging."""

    def __init__(self, environment: Environment, staging: FollowedService, first: str, second: str) -> None:
        self.environment = environment
        self.staging = staging
        self.first = first
        self.second = second

    @property
    def production(self) -> InferenceService:
        resource = self.environment.api.read(InferenceService, SHARED, "production")
        assert resource is not None, "the service must exist"
        return resource


@pytest.fixture(scope="module")
def shared(environment: Environment) -> Iterator[Shared]:
    dataset, run, _ = yaml.safe_load_all((FOLDER / "service.yaml").read_text())
    apply_manifests(environment.cluster, SHARED, [dataset, run, PRODUCTION, STAGING])
    first = version_of(environment, SHARED, MODEL)

    def served(name: str, version: str) -> bool:
        resource = environment.api.read(InferenceService, SHARED, name)
        status = resource.status if resource is not None else None
        return bool(status and status.is_true("Ready") and status.stable and status.stable.version == version)

    for name in ("production", "staging"):
        until(
            f"{name} serving it", lambda name=name: served(name, first), seconds=120, explain=environment.operator_log
        )
    schedule = Schedule(
        url=f"http://staging.{SHARED}.svc", model=MODEL, rate=40, label_delay=1, most=20_000, seconds=600
    )
    rows = biopsies.held_out(FOLDER / "service.yaml")
    traffic = Traffic.start(
        environment.api, SHARED, environment.images["server"], Orders(schedule, biopsies.TARGET, rows.asked)
    )
    apply(environment.cluster, SHARED, FOLDER / "second.yaml")
    second = version_of(environment, SHARED, "cells-second")
    until("its promotion", lambda: served("production", second), seconds=180, explain=environment.operator_log)
    yield Shared(environment, FollowedService(environment, SHARED, "staging", traffic), first, second)
    traffic.stop()


def share_of_candidate(shared: Shared, weight: int, *, answers: int) -> float:
    """Wait until status, message and routing table say `weight`, and return the measured share of the candidate."""
    staging = shared.staging

    def is_told() -> bool:
        rollout = staging.service.status.rollout
        condition = staging.service.status.condition("RolloutComplete")
        candidate = staging.service.status.candidate
        return (
            rollout is not None
            and (rollout.version, rollout.weight) == (shared.second, weight)
            and candidate is not None
            and candidate.weight == weight
            and condition is not None
            and f"{weight}%" in condition.message
        )

    staging.until(f"the status saying {weight} %", is_told, seconds=150)
    staging.until("the table saying so", lambda: staging.weights() == {weight})
    given = staging.next_answers(answers)
    return given.get(shared.second, 0) / sum(given.values())


def test_steps_that_are_edited_change_the_traffic_that_is_measured(shared: Shared) -> None:
    # Four standard deviations and a half: 0.5 of 200 rows, 0.1 of 300.
    assert 0.34 < share_of_candidate(shared, 50, answers=200) < 0.66

    apply_manifests(shared.environment.cluster, SHARED, [service("staging", {"weight": 10})])

    assert 0.02 < share_of_candidate(shared, 10, answers=300) < 0.18
    assert 0 == shared.staging.traffic.counters().failed


def test_what_one_service_rejects_the_other_goes_on_serving(shared: Shared) -> None:
    before = shared.production.status
    assert f"requested the rollback of {shared.second}" in shared.staging.run_plugin("abort")

    shared.staging.until("the rollback", lambda: shared.staging.service.status.rollout is None)
    shared.staging.until(
        "the candidate's Deployment going",
        lambda: not shared.environment.api.get("Deployment", SHARED, names.candidate("staging")),
    )

    assert [shared.second] == [entry.version for entry in shared.staging.service.status.rejected or ()]
    assert shared.staging.only_answered_by(shared.first)
    after = shared.production.status
    assert (before.history, before.rollout, ()) == (after.history, after.rollout, tuple(after.rejected or ()))
    assert after.stable is not None and (shared.second, 100) == (after.stable.version, after.stable.weight)
    version = shared.environment.api.read(ModelVersion, SHARED, shared.second)
    ready = version.status.condition("Ready") if version is not None else None
    assert ready is not None and ("True", Reason.APPROVED) == (ready.status, ready.reason)


def test_a_person_has_it_tried_again(shared: Shared) -> None:
    assert shared.second in shared.staging.run_plugin("retry")

    assert 0.02 < share_of_candidate(shared, 10, answers=300) < 0.18
    assert 0 == shared.staging.traffic.counters().failed


def test_only_a_person_takes_it_from_all_and_a_lift_brings_it_back(shared: Shared) -> None:
    def production_serves(version: str) -> bool:
        status = shared.production.status
        return status.rollout is None and status.stable is not None and status.stable.version == version

    assert production_serves(shared.second)
    quarantined = run_plugin(
        shared.environment, SHARED, "quarantine", shared.second, "--reason", "trained on leaked labels"
    )
    assert "it is served by production" in quarantined

    shared.staging.until("the rollback of staging", lambda: shared.staging.service.status.rollout is None)
    shared.staging.until("production returning", lambda: production_serves(shared.first), seconds=180)
    ended = shared.staging.service.status.history[0]
    assert ("RolledBack", Reason.QUARANTINED) == (ended.outcome, ended.reason)
    assert ended.message.endswith(": trained on leaked labels")

    assert shared.second in run_plugin(shared.environment, SHARED, "lift", shared.second)

    shared.staging.until("production serving it again", lambda: production_serves(shared.second), seconds=180)
    assert 0 == shared.staging.traffic.counters().failed
