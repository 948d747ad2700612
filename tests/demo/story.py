"""What the stages share: the cluster, the traffic, and what was measured on the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from cluster import Cluster
from demo.narrator import Narrator
from support.api import Api, Manifest
from support.installation import Images
from support.store_client import StoreClient
from support.waiting import TooLate
from tidemill.api import KINDS, Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from traffic.remote import Counters, Measured, Traffic
from traffic.rows import Shift

NAME = "biopsies"
ANNOUNCED_KINDS = frozenset(kind.kind_name for kind in KINDS)

T = TypeVar("T")


@dataclass(slots=True)
class Story:
    """The state of a demo that is being played."""

    cluster: Cluster
    api: Api
    images: Images
    namespace: str
    narrator: Narrator
    traffic: Traffic | None = None
    store_client: StoreClient | None = None
    first_version: str = ""
    second_version: str = ""
    undrifted: Measured | None = None
    """The first version on the measured rows, as they are."""
    before: Measured | None = None
    """The first version on the measured rows, with drifted inputs."""
    after: Measured | None = None
    """The second version on the same."""
    reports: dict[str, str] = field(default_factory=dict)
    """What a report is about to where it lies in the store."""
    accident: Callable[[], None] = lambda: None
    """What else happens while something is awaited; tests make the operator die here."""
    patience: float = 1.0
    """Factor on every bound."""
    _announced: set[str] = field(default_factory=set)
    """The Events that were told already, by uid."""

    def await_(self, what: str, question: Callable[[], T | None], seconds: float) -> T:
        """Ask each second until there is an answer, telling meanwhile what happens."""
        deadline = time.monotonic() + seconds * self.patience
        while True:
            self.accident()
            result = question()
            self._tell()
            if result is not None and result is not False:
                return result
            if time.monotonic() > deadline:
                raise TooLate(f"{what} did not happen within {seconds:g} s; {self.pulse()}")
            self.narrator.pulse(self.pulse())
            time.sleep(1.0)

    def _tell(self) -> None:
        """Tell each Event about the five kinds once, in the order in which they happened."""
        new = [
            event for event in self.api.all("Event", self.namespace) if event["metadata"]["uid"] not in self._announced
        ]
        for event in sorted(new, key=_moment):
            self._announced.add(event["metadata"]["uid"])
            about = event["involvedObject"]
            if about["kind"] in ANNOUNCED_KINDS:
                warning = event.get("type") == "Warning"
                self.narrator.event(
                    f"{about['kind']} {about['name']}", event["reason"], event["message"], warning=warning
                )

    def pulse(self) -> str:
        """How things stand, in a line."""
        parts = []
        if self.traffic is not None:
            counted = self.traffic.counters()
            accuracy = "–" if counted.recent_accuracy is None else f"{counted.recent_accuracy:.3f}"
            parts.append(f"{counted.answered} answered, {counted.failed} failed, live accuracy {accuracy}")
        service = self.api.read(InferenceService, self.namespace, NAME)
        if service and service.status.stable:
            parts.append(f"stable {service.status.stable.version}")
        if service and service.status.rollout:
            parts.append(
                f"canary {service.status.rollout.version} at {service.status.rollout.weight} %: {service.status.rollout.message}"
            )
        monitor = self.api.read(DriftMonitor, self.namespace, NAME)
        if monitor and monitor.status.last_run:
            failing = [
                f"{check.name} {check.verdict} ×{check.consecutive}"
                for check in monitor.status.checks
                if check.consecutive
            ]
            parts.append(f"monitor {monitor.status.last_run.verdict}" + (f" ({', '.join(failing)})" if failing else ""))
        return " · ".join(parts) or "waiting for the first object"

    @property
    def dataset(self) -> Dataset | None:
        return self.api.read(Dataset, self.namespace, NAME)

    @property
    def service(self) -> InferenceService | None:
        return self.api.read(InferenceService, self.namespace, NAME)

    @property
    def monitor(self) -> DriftMonitor | None:
        return self.api.read(DriftMonitor, self.namespace, NAME)

    def runs(self) -> list[TrainingJob]:
        return self.api.read_all(TrainingJob, self.namespace)

    def retrainings(self) -> list[TrainingJob]:
        """The runs that the monitor started."""
        return [run for run in self.runs() if run.name != NAME]

    def version(self, name: str) -> ModelVersion | None:
        return self.api.read(ModelVersion, self.namespace, name)

    def counters(self) -> Counters:
        assert self.traffic is not None, "there is traffic by now"
        return self.traffic.counters()

    def measure(self, shift: Shift) -> dict[str, Measured]:
        """Ask the measured rows once in this shift: what each version that answered got right."""
        assert self.traffic is not None, "there is traffic by now"
        return self.traffic.measure(shift)


def _moment(event: Manifest) -> str:
    return str(event.get("eventTime") or event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])
