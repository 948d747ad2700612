"""What happens: one pod while there are no requests, as many as keda.yaml wants while a crowd does, and one again when it has left."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from cluster.paths import REPOSITORY
from keda import release
from keda.crowd import Crowd
from keda.watching import Prometheus
from support.api import Api
from support.biopsies import SAMPLES
from support.environment import Environment
from support.kubectl import apply_manifests
from support.waiting import until
from tidemill.api import InferenceService
from tidemill.children import names

CLIENTS = 20
"""Between what two and what three pods are for, so that a measurement that is off by a few does not ask for another number of pods."""
ESTIMATOR = {"name": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 1000}}
# A pod that may use little of a processor answers slowly without work for the machine.
RESOURCES = {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"cpu": "300m", "memory": "768Mi"}}


def scaled_object() -> dict[str, Any]:
    """The manifest as it stands in the repository."""
    manifest: dict[str, Any] = yaml.safe_load((REPOSITORY / "manifests" / "monitoring" / "keda.yaml").read_text())
    return manifest


@dataclass(frozen=True, slots=True)
class Seen:
    """How things stood at a moment."""

    wanted: int | None
    """spec.replicas of the service."""
    pods: int
    """Those that answer."""
    in_flight: float | None
    """What Prometheus says to KEDA's own query."""

    def __str__(self) -> str:
        flight = "nothing" if self.in_flight is None else f"{self.in_flight:.1f}"
        return f"{flight} in flight, spec.replicas {self.wanted}, {self.pods} ready"


@dataclass
class Proof:
    """The course of one proof."""

    environment: Environment
    prometheus: Prometheus
    say: Callable[[str], None]
    manifest: dict[str, Any] = field(default_factory=scaled_object)
    began: float = field(default_factory=time.monotonic)
    _last_seen: tuple[int | None, int] | None = None
    _last_seen_at: float = 0.0

    @property
    def api(self) -> Api:
        return self.environment.api

    @property
    def namespace(self) -> str:
        return str(self.manifest["metadata"]["namespace"])

    @property
    def service(self) -> str:
        return str(self.manifest["spec"]["scaleTargetRef"]["name"])

    @property
    def trigger(self) -> dict[str, str]:
        metadata: dict[str, str] = self.manifest["spec"]["triggers"][0]["metadata"]
        return metadata

    def play(self) -> list[str]:
        """Bring the service up, let the crowd come and go, and say what was not as it should be."""
        spec = self.manifest["spec"]
        least, window = spec["minReplicaCount"], spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        patience = window["scaleDown"]["stabilizationWindowSeconds"]
        self._bring_up()
        apply_manifests(self.environment.cluster, self.namespace, [self.manifest])
        self._until("KEDA having an autoscaler that knows the number", self._is_scaling, seconds=180)
        self._until("the least number of pods", lambda: self._all_are(least), seconds=60)
        enough = math.ceil(CLIENTS / int(self.trigger["threshold"]))
        crowd = Crowd.start(
            self.api, self.namespace, self.environment.images["server"], service=self.service, clients=CLIENTS
        )
        self.say(f"{self._clock()}  {CLIENTS} clients come")
        self._until(f"{enough} pods", lambda: self._all_are(enough), seconds=240)
        self._watch(45)
        most, counts = self._look(), crowd.counts()
        crowd.leave()
        self.say(f"{self._clock()}  they leave: {counts.answered} answered, {counts.failed} failed")
        self._until("the least number again", lambda: self._all_are(least), seconds=patience + 120)
        return self._problems(enough, most, counts.answered, counts.failed, counts.problem)

    def _problems(self, enough: int, most: Seen, answered: int, failed: int, problem: str) -> list[str]:
        results = []
        if most.wanted != enough:
            results.append(f"{CLIENTS} in flight should be {enough} pods and no others, but were {most.wanted}")
        if failed or not answered:
            results.append(f"{failed} requests failed and {answered} were answered; the last problem: {problem}")
        if (writer := self._writer()) != "kube-controller-manager":
            results.append(f"spec.replicas was written by {writer or 'no manager'} rather than by the autoscaler")
        return results

    def _bring_up(self) -> None:
        dataset, run, service = yaml.safe_load_all((SAMPLES / "iris-quickstart" / "iris.yaml").read_text())
        run["spec"]["estimator"] = ESTIMATOR
        service["spec"] |= {"resources": RESOURCES, "protocol": {"timeout": "30s"}}
        apply_manifests(self.environment.cluster, self.namespace, [dataset, run, service])

        def answering() -> bool:
            return self._service().status.is_true("Ready")

        until("the service answering", answering, seconds=240, explain=self.environment.operator_log)

    def _is_scaling(self) -> bool:
        """Whether the autoscaler that KEDA made reads the metric."""
        return any(
            condition["type"] == "ScalingActive" and condition["status"] == "True"
            for condition in self._autoscaler().get("status", {}).get("conditions") or []
        )

    def _all_are(self, count: int) -> bool:
        seen = self._look()
        return (seen.wanted, seen.pods) == (count, count)

    def _look(self) -> Seen:
        selector = f"{names.ROLE}=stable,{names.OWNER_NAME}={self.service}"
        ready = [pod for pod in self.api.all("Pod", self.namespace, selector) if _is_ready(pod)]
        seen = Seen(self._service().spec.replicas, len(ready), self.prometheus.number(self.trigger["query"]))
        now = time.monotonic()
        if (seen.wanted, seen.pods) != self._last_seen or now - self._last_seen_at > 15:
            self._last_seen, self._last_seen_at = (seen.wanted, seen.pods), now
            self.say(f"{self._clock()}  {seen}")
        return seen

    def _watch(self, seconds: float) -> None:
        until_then = time.monotonic() + seconds
        while time.monotonic() < until_then:
            self._look()
            time.sleep(2)

    def _until(self, what: str, claim: Callable[[], bool], *, seconds: float) -> None:
        until(what, claim, seconds=seconds, poll=2, explain=self._explain)

    def _explain(self) -> str:
        keda = [pod["metadata"]["name"] for pod in self.api.all("Pod", release.NAMESPACE)]
        logs = ("\n".join(self.api.log(release.NAMESPACE, name).splitlines()[-12:]) for name in keda)
        return "\n".join(
            [str(self._look()), str(self._autoscaler().get("status")), *logs, self.environment.operator_log(12)]
        )

    def _service(self) -> InferenceService:
        resource = self.api.read(InferenceService, self.namespace, self.service)
        assert resource is not None, "the service must exist"
        return resource

    def _autoscaler(self) -> dict[str, Any]:
        return self.api.get("HorizontalPodAutoscaler", self.namespace, f"keda-hpa-{self.service}") or {}

    def _writer(self) -> str:
        """Who wrote the number through the scale subresource."""
        manifest = self.api.get("InferenceService", self.namespace, self.service) or {}
        fields = manifest.get("metadata", {}).get("managedFields") or []
        return next((str(each["manager"]) for each in fields if each.get("subresource") == "scale"), "")

    def _clock(self) -> str:
        return f"{time.monotonic() - self.began:4.0f} s"


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")
