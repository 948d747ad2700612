"""Blue-green on real pods: judged on copies and by a Job, switched at once, and back at once, without a failed request."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support import biopsies
from support.biopsies import SAMPLES
from support.environment import ROLLOUTS, Environment
from support.kubectl import apply, apply_manifests, kubectl
from support.rollouts import FollowedService, version_of
from support.waiting import until
from tidemill.api import API_VERSION, GROUP, InferenceService
from tidemill.children import names
from traffic.client import Schedule
from traffic.remote import Orders, Traffic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
OWN_NAMESPACE = ROLLOUTS
FOLDER = SAMPLES / "rollouts"
SERVICE = "cells"
JUDGE = "import os, urllib.request; urllib.request.urlopen(os.environ['TIDEMILL_CANDIDATE_URL'] + '/v2/health/ready')"


class Cells(FollowedService):
    """A service with two versions to choose from, and live traffic."""

    def __init__(self, environment: Environment, manifest: dict[str, Any], traffic: Traffic, first: str) -> None:
        super().__init__(environment, ROLLOUTS, SERVICE, traffic)
        self.manifest = manifest
        self.first = first

    def judges(self) -> list[str]:
        jobs = self.api.all("Job", ROLLOUTS)
        return [job["metadata"]["name"] for job in jobs if "-judge-" in job["metadata"]["name"]]

    def pin(self, version: str | None) -> None:
        """What a change in Git does."""
        model = {"name": SERVICE} if version is None else {"name": SERVICE, "version": version}
        spec = {**self.manifest["spec"], "model": model}
        apply_manifests(self.environment.cluster, ROLLOUTS, [{**self.manifest, "spec": spec}])


@pytest.fixture(scope="module")
def cells(environment: Environment) -> Iterator[Cells]:
    dataset, run, manifest = yaml.safe_load_all((FOLDER / "service.yaml").read_text())
    judge = {"image": environment.images["server"], "command": ["python", "-c", JUDGE], "timeout": "2m"}
    manifest["spec"]["rollout"]["analysis"]["metrics"].append({"name": "smoke", "type": "Job", "job": judge})
    apply_manifests(environment.cluster, ROLLOUTS, [dataset, run, manifest])
    first = version_of(environment, ROLLOUTS, SERVICE)

    def answering() -> bool:
        service = environment.api.read(InferenceService, ROLLOUTS, SERVICE)
        return service is not None and service.status.is_true("Ready")

    until("the first version answering", answering, seconds=120, explain=environment.operator_log)
    schedule = Schedule(
        url=f"http://{SERVICE}.{ROLLOUTS}.svc", model=SERVICE, rate=20, label_delay=1, most=20_000, seconds=900
    )
    rows = biopsies.held_out(FOLDER / "service.yaml")
    traffic = Traffic.start(
        environment.api, ROLLOUTS, environment.images["server"], Orders(schedule, biopsies.TARGET, rows.asked)
    )
    yield Cells(environment, manifest, traffic, first)
    traffic.stop()


@pytest.fixture(scope="module")
def second(cells: Cells) -> str:
    """The version whose rollout the tests follow, from the moment it is on trial."""
    apply(cells.environment.cluster, ROLLOUTS, FOLDER / "second.yaml")
    name = version_of(cells.environment, ROLLOUTS, "cells-second")
    cells.until("the candidate being shadowed", lambda: cells.phase() == "Shadowing", seconds=180)
    return name


def test_a_shadowed_candidate_is_judged_on_copies_and_answers_nobody(cells: Cells, second: str) -> None:
    def judged() -> bool:
        rollout = cells.service.status.rollout
        return rollout is not None and any(result.samples >= 50 for result in rollout.analysis)

    cells.until("a judgement on copies", judged)

    assert second not in cells.answered()
    assert cells.service.status.stable is not None
    assert (cells.first, 100) == (cells.service.status.stable.version, cells.service.status.stable.weight)


def test_it_answers_everything_once_it_passed_and_the_previous_version_stays(cells: Cells, second: str) -> None:
    cells.until("the switch", lambda: cells.phase() == "Switched", seconds=180)
    cells.until("every table saying so", lambda: cells.weights() == {100}, poll=0.1)

    assert cells.only_answered_by(second)
    rollout = cells.service.status.rollout
    assert rollout is not None
    assert "Successful" == next(result.verdict for result in rollout.analysis if result.name == "smoke")
    assert 2 == len(cells.stable_pods())


def test_pinning_the_previous_version_brings_it_back_without_replacing_a_pod(cells: Cells, second: str) -> None:
    pods = cells.stable_pods()
    began = time.monotonic()

    cells.pin(cells.first)
    cells.until("every table saying so", lambda: cells.weights() == {0}, poll=0.05)
    took = time.monotonic() - began

    print(f"\nfrom kubectl apply to the last pod's table: {took:.1f} s")
    assert cells.only_answered_by(cells.first)
    assert pods == cells.stable_pods()
    cells.until("the rollout being over", lambda: cells.service.status.rollout is None)
    # What is over is said first and cleared away then.
    cells.until("the candidate gone", lambda: not cells.api.get("Deployment", ROLLOUTS, names.candidate(SERVICE)))
    cells.until("its judges gone", lambda: not cells.judges())


def test_unpinned_it_is_rolled_out_again_and_a_person_may_end_the_waiting(cells: Cells, second: str) -> None:
    cells.pin(None)
    cells.until("the switch", lambda: cells.phase() == "Switched", seconds=240)

    assert f"requested the promotion of {second} to all requests" in cells.run_plugin("promote", "--full")
    cells.until("the promotion", lambda: cells.phase() == "" and cells.only_answered_by(second), seconds=240)

    outcomes = [outcome.outcome for outcome in cells.service.status.history]
    assert ["Promoted", "Superseded"] == outcomes
    assert (0, []) == (cells.traffic.counters().failed, list(cells.traffic.counters().failures))


def test_a_person_holds_a_candidate_and_ends_its_trial(cells: Cells, second: str) -> None:
    """Pinned back after the promotion, the old version is a candidate like any other."""
    pods = cells.stable_pods()
    cells.pin(cells.first)
    cells.until("the old version on trial", lambda: cells.phase() == "Shadowing", seconds=180)

    assert f"requested a pause of {cells.first}" in cells.run_plugin("pause")
    cells.until("the trial being held", lambda: cells.phase() == "Paused")
    assert f"requested that the rollout of {cells.first} continue" in cells.run_plugin("resume")
    cells.until("the trial going on", lambda: cells.phase() == "Shadowing")
    assert f"requested the rollback of {cells.first}" in cells.run_plugin("abort")
    cells.until("the trial being over", lambda: cells.phase() == "", seconds=60)

    outcome = cells.service.status.history[0]
    assert (cells.first, "RolledBack") == (outcome.version, outcome.outcome)
    assert pods == cells.stable_pods()
    assert cells.only_answered_by(second)
    cells.pin(None)


def test_two_pods_may_be_drained_one_at_a_time(cells: Cells) -> None:
    budget = cells.api.get("PodDisruptionBudget", ROLLOUTS, names.stable(SERVICE))

    assert budget is not None
    assert 1 == budget["spec"]["maxUnavailable"]
    cells.until(
        "the budget knowing its pods",
        lambda: (
            (cells.api.get("PodDisruptionBudget", ROLLOUTS, names.stable(SERVICE)) or {})
            .get("status", {})
            .get("expectedPods")
            == 2
        ),
    )


def test_the_number_of_pods_may_be_left_to_the_load_and_taken_back(cells: Cells) -> None:
    def scaled_by(**spec: Any) -> None:
        kept = {name: value for name, value in cells.manifest["spec"].items() if name != "replicas"}
        apply_manifests(cells.environment.cluster, ROLLOUTS, [{**cells.manifest, "spec": {**kept, **spec}}])

    def there() -> set[str]:
        kinds = ("HorizontalPodAutoscaler", "PodDisruptionBudget")
        return {kind for kind in kinds if cells.api.get(kind, ROLLOUTS, names.stable(SERVICE))}

    scaled_by(autoscaling={"minReplicas": 2, "maxReplicas": 3})
    cells.until("the autoscaler", lambda: there() == {"HorizontalPodAutoscaler", "PodDisruptionBudget"})
    assert 2 == len(cells.stable_pods())

    scaled_by(replicas=1)
    cells.until("one pod and nothing that scales it", lambda: there() == set() and len(cells.stable_pods()) == 1)
    assert 0 == cells.traffic.counters().failed


def test_whoever_scales_by_the_subresource_is_obeyed_and_finds_the_pods(cells: Cells) -> None:
    """As `kubectl scale`, an autoscaler of one's own, and KEDA do."""
    kubectl(cells.environment.cluster, "scale", f"inferenceservices.{GROUP}/{SERVICE}", "-n", ROLLOUTS, "--replicas=2")
    cells.until("two pods", lambda: len(cells.stable_pods()) == 2)

    def scale() -> dict[str, Any]:
        path = f"/apis/{API_VERSION}/namespaces/{ROLLOUTS}/inferenceservices/{SERVICE}/scale"
        result: dict[str, Any] = json.loads(kubectl(cells.environment.cluster, "get", "--raw", path))
        return result

    def result() -> set[str]:
        pods = cells.api.all("Pod", ROLLOUTS, scale()["status"]["selector"])
        return {pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")}

    cells.until("both counted", lambda: scale()["status"]["replicas"] == 2)
    assert set(cells.stable_pods()) == result()
    assert 0 == cells.traffic.counters().failed
