"""Laws of rollouts, from every state that a random walk of events reaches: there is always a way out, and always a word."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import newest
from tidemill.api.inferenceservice import AnalysisJob
from tidemill.children import names
from tidemill.plan import Key
from tidemill.plan.inferenceservice import job_attempts, lifecycle
from tidemill.plan.inferenceservice.analysis import ExternalVerdict
from tidemill.plan.lookup import annotation, is_ready, label

MODERATE = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
KINDS = ("quota", "full node", "out of memory")
EVENTS = (
    "a new version",
    "other steps",
    "no steps",
    "mirroring",
    *KINDS,
    "judged by a Job",
    "the trouble ends",
    "the candidate's pods are lost",
    "the candidate stalls",
    "the candidate crashes",
    "bad answers",
    "pause",
    "promote",
    "suspend",
    "resume",
    "pin",
    "unpin",
    "scale to 0",
    "scale to 2",
    "an operator that restarts",
)
WALKS = st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from([2, 20, 45, 400])), min_size=1, max_size=5)


class Walk:
    """A service with two versions, and what happens to it."""

    def __init__(self, versions: int = 2) -> None:
        self.cluster = FakeCluster()
        self.spec: dict[str, Any] = script.service(replicas=1)["spec"]
        self.annotations: dict[str, str] = {}
        self.versions: list[str] = []
        for number in range(1, versions + 1):
            self.publish(number)
            self.apply()
            self.cluster.run(seconds=20)

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.cluster.get("InferenceService", "fraud")["status"]
        return status

    @property
    def uid(self) -> str:
        return str(self.cluster.get("InferenceService", "fraud")["metadata"]["uid"])

    @property
    def rollout(self) -> dict[str, Any]:
        rollout: dict[str, Any] = self.status.get("rollout") or {}
        return rollout

    def publish(self, number: int) -> None:
        self.versions.append(f"fraud-{number}")
        self.cluster.apply(script.model_version(self.versions[-1]))
        self.cluster.measurements = script.measures(newest(self.cluster), right=97)

    def apply(self) -> None:
        service = script.service()
        self.cluster.apply(
            {**service, "spec": self.spec, "metadata": {**service["metadata"], "annotations": self.annotations}}
        )

    def happen(self, event: str, seconds: float) -> None:
        """Let `event` happen, and then time pass."""
        candidate = self.rollout.get("version", "")
        match event:
            case "a new version":
                self.publish(len(self.versions) + 1)
            case "other steps":
                self.spec = script.rolled_out(steps=[{"weight": 10, "pause": "20s"}, {"weight": 40}])["spec"]
            case "no steps":
                self.spec = script.rolled_out(steps=[])["spec"]
            case "mirroring":
                self.spec = script.rolled_out(strategy="BlueGreen", shadow={"percent": 30, "duration": "30s"})["spec"]
            case "judged by a Job":
                self.spec = script.rolled_out(analysis=script.judged(timeout="30s"))["spec"]
            case "the trouble ends":
                self.calm()
            case "the candidate's pods are lost":
                if Key("Deployment", "shop", "fraud-candidate") in self.cluster.objects:
                    self.cluster.workloads.lose_pods("fraud-candidate")
            case "the candidate stalls":
                if Key("Deployment", "shop", "fraud-candidate") in self.cluster.objects:
                    self.cluster.workloads.stall("fraud-candidate", 8.0)
            case "the candidate crashes":
                self.cluster.start_pod = lambda pod: "candidate" not in pod["metadata"]["name"]
            case "bad answers":
                self.cluster.measurements = script.measures(newest(self.cluster), right=60)
            case "pause" | "promote":
                self.annotations[f"tidemill.dev/{event}"] = candidate
            case "suspend" | "resume":
                self.spec = {**self.spec, "suspend": event == "suspend"}
            case "pin" | "unpin":
                pinned = {"version": self.versions[0]} if event == "pin" else {}
                self.spec = {**self.spec, "model": {"name": "fraud", **pinned}}
            case "scale to 0" | "scale to 2":
                self.spec = {**self.spec, "replicas": int(event[-1])}
            case "an operator that restarts":
                self.cluster.restarts = True
            case _:
                self.cluster.trouble = lambda _: event
        self.apply()
        for _ in range(min(int(seconds), 20)):
            self.cluster.run(seconds=1)
            assert_status_is_the_routing_table(self)
        self.cluster.run(seconds=max(seconds - 20, 0))

    def calm(self) -> None:
        """End every trouble of the surroundings and of the pods."""
        self.cluster.trouble = lambda _: ""
        self.cluster.judge_trouble = ""
        self.cluster.start_pod = lambda _: True

    def go(self, events: list[tuple[str, int]]) -> None:
        for event, seconds in events:
            self.happen(event, seconds)
            self.assert_explained()
            assert_status_is_the_routing_table(self)

    def assert_explained(self) -> None:
        """What is not as the spec says has a condition that says why."""
        conditions = {condition["type"]: condition for condition in self.status["conditions"]}
        for condition in conditions.values():
            if condition["type"] in {"Ready", "RolloutComplete"} and condition["status"] != "True":
                assert condition["message"], conditions
        if self.rollout:
            assert "False" == conditions["RolloutComplete"]["status"]
            assert self.rollout["message"], self.rollout
        elif self.status["stable"]["version"] != self.versions[-1] and "version" not in self.spec["model"]:
            named = {"RolledBack", "VersionPassedOver", "VersionUnavailable", "Suspended"}
            assert named & conditions.keys(), conditions

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return list(self.status.get("rejected") or ())


def assert_status_is_the_routing_table(walk: Walk) -> None:
    """Weight, shadow, the version that answers and the message say what the stable pods do now."""
    status, rollout = walk.status, walk.rollout
    of_service = walk.cluster.world.labelled("Pod", "shop", names.OWNER_UID, walk.uid)
    pods = [pod for pod in of_service if label(pod, names.ROLE) == "stable"]
    answering = {label(pod, names.MODEL_VERSION) for pod in pods if is_ready(pod)}
    stable, weight, shadow = status["stable"], rollout.get("weight", 0), rollout.get("shadow", 0)

    tables = {
        pod["metadata"]["name"]: json.loads(annotation(pod, names.ROUTES) or "{}")
        for pod in pods
        if label(pod, names.MODEL_VERSION) != rollout.get("version")
    }
    written = {(table.get("weight", 0), table.get("shadow", 0)) for table in tables.values()}
    assert written <= {(weight, shadow)}, (status, tables)
    assert not answering or stable["version"] in answering, (status, answering)
    ready = [pod for pod in pods if is_ready(pod) and label(pod, names.MODEL_VERSION) == stable["version"]]
    assert (len(ready), 100 - weight if answering else 0) == (stable["ready"], stable["weight"]), status
    if candidate := status.get("candidate"):
        assert (rollout["version"], weight) == (candidate["version"], candidate.get("weight", 0))
    for condition in status["conditions"]:
        message = condition["message"]
        for percent in re.findall(r"(\d+)% of requests", message):
            share = shadow if "mirroring" in message else weight
            assert int(percent) == share, (message, rollout)
        for version in re.findall(r"(fraud-\d+) answers all requests", message):
            assert version in answering if weight < 100 else version == rollout["version"], (message, rollout)


def assert_an_abort_leads_back(walk: Walk) -> None:
    """The version that was stable when the rollout began answers, within two minutes."""
    rollout = walk.rollout
    walk.calm()
    walk.annotations = {**walk.annotations, "tidemill.dev/abort": rollout["version"]}
    walk.apply()
    walk.cluster.run(minutes=2)

    status = walk.status
    assert rollout["version"] != walk.rollout.get("version")
    assert rollout["previous"] == status["stable"]["version"]
    assert walk.spec["replicas"] == status["stable"]["ready"]
    assert rollout["version"] not in {entry["version"] for entry in status["history"] if entry["outcome"] == "Promoted"}
    walk.assert_explained()


@given(WALKS)
@MODERATE
def test_an_abort_leads_back_to_the_last_good_version_from_every_state(events: list[tuple[str, int]]) -> None:
    walk = Walk()
    walk.go(events)
    assume(walk.rollout and walk.rollout["phase"] != "RollingBack")
    assert_an_abort_leads_back(walk)


@given(WALKS)
@MODERATE
def test_a_pin_is_heard_in_every_state(events: list[tuple[str, int]]) -> None:
    walk = Walk()
    walk.go(events)
    walk.calm()
    walk.cluster.measurements = script.measures(walk.versions[0], right=95)
    walk.spec = {**script.service(replicas=1)["spec"], "model": {"name": "fraud", "version": walk.versions[0]}}
    walk.annotations = dict.fromkeys(walk.annotations, "")
    walk.apply()
    walk.cluster.run(minutes=10)

    assert (walk.versions[0], {}) == (walk.status["stable"]["version"], walk.rollout)


@given(WALKS)
@MODERATE
def test_a_newer_version_is_heard_in_every_state(events: list[tuple[str, int]]) -> None:
    walk = Walk()
    walk.go(events)
    walk.calm()
    walk.spec = script.service(replicas=1)["spec"]
    walk.annotations = dict.fromkeys(walk.annotations, "")
    walk.apply()
    walk.publish(99)
    walk.cluster.run(minutes=15)

    assert ("fraud-99", {}) == (walk.status["stable"]["version"], walk.rollout)


@given(WALKS)
@settings(MODERATE, max_examples=40)
def test_status_is_the_routing_table_in_every_state(events: list[tuple[str, int]]) -> None:
    Walk().go(events)


OF_SURROUNDINGS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *KINDS,
                "judged by a Job",
                "the trouble ends",
                "the candidate's pods are lost",
                "an operator that restarts",
            ]
        ),
        st.sampled_from([2, 20, 45, 400]),
    ),
    min_size=1,
    max_size=6,
)


def assert_nothing_is_rejected(walk: Walk) -> None:
    """No version is rejected by what its surroundings did, nor by the deadline that they made it miss."""
    assert [] == walk.rejected
    walk.cluster.run(minutes=10)
    assert [] == walk.rejected


@given(OF_SURROUNDINGS)
@MODERATE
def test_surroundings_reject_no_version(events: list[tuple[str, int]]) -> None:
    walk = Walk()
    walk.spec["rollout"]["deadline"] = "20m"
    walk.happen("judged by a Job", 1)
    walk.go(events)
    assert_nothing_is_rejected(walk)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_cannot_run_rejects_no_version(kind: Any) -> None:
    walk = Walk()
    walk.cluster.judge_trouble = kind
    walk.happen("judged by a Job", 1)
    assert_nothing_is_rejected(walk)
    walk.calm()
    walk.cluster.run(minutes=15)

    assert walk.versions[-1] == walk.status["stable"]["version"]


def test_the_law_of_aborts_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the exit of a promotion, the walk that gets stuck in one is found."""
    monkeypatch.setattr(lifecycle, "_leave_promotion", lambda *_: None)
    walk = Walk()
    while walk.rollout["phase"] != "Promoting":
        walk.cluster.run(seconds=1)

    with pytest.raises(AssertionError):
        assert_an_abort_leads_back(walk)


def test_the_law_of_surroundings_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a Job that did not run were a verdict, the version that it judges would be rejected."""

    def failed(kept: AnalysisJob, *_: object) -> job_attempts.Observed:
        return job_attempts.Observed(kept, ExternalVerdict(verdict="Failed", message="failed"))

    monkeypatch.setattr(job_attempts, "_without_verdict", failed)
    walk = Walk()
    walk.cluster.judge_trouble = "quota"
    walk.happen("judged by a Job", 1)

    with pytest.raises(AssertionError):
        assert_nothing_is_rejected(walk)


KEPT_WARM = {"strategy": "BlueGreen", "shadow": {"percent": 30, "duration": "10s"}, "keepPrevious": "2m"}
PHASES = {
    "Starting": {},
    "Shadowing": {**KEPT_WARM, "shadow": {"percent": 30, "duration": "2m"}},
    "Progressing": {"steps": [{"weight": 25, "pause": "2m"}]},
    "Paused": {"steps": [{"weight": 25}]},
    "Switched": KEPT_WARM,
    "Promoting": {},
    "RollingBack": {},
}
INTERRUPTIONS = (
    "abort",
    "pin",
    "a newer version",
    "deadline",
    "the candidate's pods are lost",
    "the candidate stalls",
)


def in_phase(phase: str) -> Walk:
    """Return a walk whose rollout of the second version is in `phase`."""
    walk = Walk(versions=1)
    walk.spec = script.rolled_out(**PHASES[phase])["spec"]
    walk.publish(2)
    if phase == "RollingBack":
        walk.cluster.measurements = script.measures(walk.versions[1], right=60)
    walk.apply()
    for _ in range(120):
        if walk.rollout.get("phase") == phase:
            return walk
        walk.cluster.run(seconds=1)
    raise AssertionError(f"the rollout never comes to {phase}: {walk.rollout}")


def interrupt(walk: Walk, interruption: str) -> None:
    """Let one thing happen that changes the course of a rollout."""
    match interruption:
        case "abort":
            walk.annotations["tidemill.dev/abort"] = walk.versions[1]
        case "pin":
            walk.spec = {**walk.spec, "model": {"name": "fraud", "version": walk.versions[0]}}
        case "a newer version":
            walk.publish(3)
        case "deadline":
            walk.spec = {**walk.spec, "rollout": {**walk.spec["rollout"], "deadline": "1s"}}
        case "the candidate stalls":
            walk.cluster.workloads.stall("fraud-candidate", 8.0)
        case _:
            walk.cluster.trouble = lambda pod: "full node" if "candidate" in pod["metadata"]["name"] else ""
            walk.cluster.workloads.lose_pods("fraud-candidate")
    walk.apply()


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("phase", PHASES)
def test_status_tells_the_truth_in_each_phase_whatever_happens(phase: str, interruption: str) -> None:
    walk = in_phase(phase)
    first, second = walk.versions
    interrupt(walk, interruption)
    messages = []
    for _ in range(60):
        walk.cluster.run(seconds=1)
        assert_status_is_the_routing_table(walk)
        walk.assert_explained()
        messages.append(walk.rollout.get("message", ""))
    if interruption == "the candidate's pods are lost" and phase not in {"Promoting", "RollingBack"}:
        assert 0 == walk.rollout.get("weight", 0)
        assert "Insufficient cpu" in messages[-1]
        assert phase == "Starting" or {message.split(": ")[0] for message in messages} == {
            f"{first} answers all requests"
        }
    walk.calm()
    walk.cluster.run(minutes=10)

    ended = [(entry["version"], entry["outcome"]) for entry in walk.status["history"]]
    unanswered = interruption in {"the candidate's pods are lost", "the candidate stalls"}
    waits = phase == "Paused" and (unanswered or interruption == "deadline")
    goes_on = unanswered and phase not in {"Paused", "RollingBack"}
    if interruption == "a newer version":
        assert "fraud-3" == (walk.rollout or walk.status["stable"])["version"]
    else:
        assert (second if goes_on else first) == walk.status["stable"]["version"]
    if phase == "RollingBack":
        assert (second, "RolledBack") in ended
    elif not waits:
        outcome = {"abort": "RolledBack", "deadline": "RolledBack", "pin": "Superseded"}.get(interruption)
        assert outcome is None or (second, outcome) == ended[0]
    assert_status_is_the_routing_table(walk)
