"""A service under live traffic, as a test follows its rollouts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from cluster import clients, versions
from cluster.commands import run
from support.environment import Environment
from support.waiting import until
from tidemill.api import InferenceService, TrainingJob
from tidemill.children import names
from tidemill.contract.serving import SERVING_PORT
from traffic.remote import Traffic


class FollowedService:
    """One InferenceService, its pods, and what its clients count."""

    def __init__(self, environment: Environment, namespace: str, name: str, traffic: Traffic) -> None:
        self.environment = environment
        self.api = environment.api
        self.namespace = namespace
        self.name = name
        self.traffic = traffic

    @property
    def service(self) -> InferenceService:
        resource = self.api.read(InferenceService, self.namespace, self.name)
        assert resource is not None, "the service must exist"
        return resource

    def explain(self) -> str:
        return f"{self.service.status.model_dump_json(indent=1)}\n{self.traffic.counters()}\n{self.environment.operator_log()}"

    def until(self, what: str, claim: Callable[[], Any], *, seconds: float = 120, poll: float = 0.5) -> Any:
        return until(what, claim, seconds=seconds, poll=poll, explain=self.explain)

    def phase(self) -> str:
        rollout = self.service.status.rollout
        return rollout.phase if rollout else ""

    def stable_pods(self) -> list[str]:
        selector = f"{names.ROLE}=stable,{names.OWNER_NAME}={self.name}"
        pods = self.api.all("Pod", self.namespace, selector)
        return [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")]

    def weights(self) -> set[int]:
        """The candidate's share in the tables that the stable pods follow now."""
        states = (
            json.loads(self.api.ask_pod(self.namespace, pod, SERVING_PORT, "/tidemill/v1/state"))
            for pod in self.stable_pods()
        )
        return {(state["routes"] or {}).get("weight", 0) for state in states}

    def answered(self) -> dict[str, int]:
        return {name: int(version["answered"]) for name, version in self.traffic.counters().versions.items()}

    def next_answers(self, count: int) -> dict[str, int]:
        """Return how many of the next `count` answers or so each version gives."""
        before = self.answered()
        self.until("some more answers", lambda: sum(self.answered().values()) >= sum(before.values()) + count)
        return {name: given - before.get(name, 0) for name, given in self.answered().items()}

    def only_answered_by(self, version: str) -> bool:
        """Return whether the next fifty answers or so all come from one version."""
        return {name for name, given in self.next_answers(50).items() if given} == {version}

    def run_plugin(self, *words: str) -> str:
        """Run `kubectl tidemill` for the service, as a person does."""
        return run_plugin(self.environment, self.namespace, *words, self.name)


def run_plugin(environment: Environment, namespace: str, *words: str) -> str:
    """Run `kubectl tidemill` in a namespace, as a person does."""
    folder = clients.locate(versions.KUBECTL).parent
    variables = {**environment.cluster.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "tidemill", *words, "--namespace", namespace]
    return run(command, env=variables, timeout=60)


def version_of(environment: Environment, namespace: str, job_name: str) -> str:
    """Return the version that a TrainingJob publishes, once it has."""

    def published() -> str | None:
        job = environment.api.read(TrainingJob, namespace, job_name)
        assert job is None or not job.status.is_true("Failed"), f"{job_name} failed: {job.status.condition('Failed')}"
        return (job.status.model_version or None) if job else None

    return until(f"{job_name} publishing a version", published, seconds=120, explain=environment.operator_log)
