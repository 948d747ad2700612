"""Traffic in the cluster, from outside: start it, change its shift, read what it counted.

The questions and answers that count go from pod to Service and nowhere else; only the counters are read through the API
server.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.api import Api
from support.runner import FOLDER, PodRunner, Recipe
from traffic.client import Schedule
from traffic.control import PORT
from traffic.rows import FeatureShift, Shift

INSIDE = ("__init__", "__main__", "client", "control", "ledger", "protocol", "rows")


@dataclass(frozen=True, slots=True)
class Orders:
    """What traffic to make."""

    schedule: Schedule
    target: str
    """The column with the right answers."""
    asked: str
    """The rows to draw from, as CSV."""
    measured: str = ""
    """Other rows, as CSV, that are asked only to measure."""
    feature_shift: FeatureShift = field(default_factory=FeatureShift)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """What the client has counted so far."""

    sent: int
    answered: int
    failed: int
    labels_sent: int
    labels_failed: int
    versions: Mapping[str, Mapping[str, Any]]
    failures: Sequence[Mapping[str, Any]]
    recent_accuracy: float | None
    recent_labelled: int
    p95: float | None
    slowest: float

    def digests(self) -> dict[str, list[str]]:
        """The digests that came with each version's answers."""
        return {name: list(version["digests"]) for name, version in self.versions.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """How many of the measured rows a version answered rightly."""

    rows: int
    right: int

    @property
    def accuracy(self) -> float:
        return self.right / self.rows


class Traffic:
    """Traffic that runs in the cluster."""

    def __init__(self, runner: PodRunner) -> None:
        self._runner = runner

    @classmethod
    def start(cls, api: Api, namespace: str, server_image: str, orders: Orders, *, name: str = "traffic") -> "Traffic":
        return cls(PodRunner.start(api, namespace, recipe(name, server_image, orders)))

    def shift(self, shift: Shift) -> None:
        """What happens to rows from now on."""
        self._runner.ask(f"shift/{shift}", method="POST")

    def measure(self, shift: Shift) -> dict[str, Measured]:
        """Ask each of the measured rows once in this shift: what each version that answered got right."""
        reply = self._runner.ask_json(f"measure/{shift}", method="POST")
        return {version: Measured(**counts) for version, counts in reply.items()}

    def counters(self) -> Counters:
        reply = self._runner.ask_json("counters")
        return Counters(
            sent=reply["sent"],
            answered=reply["answered"],
            failed=reply["failed"],
            labels_sent=reply["labelsSent"],
            labels_failed=reply["labelsFailed"],
            versions=reply["versions"],
            failures=reply["failures"],
            recent_accuracy=reply["recent"]["accuracy"],
            recent_labelled=reply["recent"]["labelled"],
            p95=reply["seconds"]["p95"],
            slowest=reply["seconds"]["slowest"],
        )

    def stop(self) -> None:
        self._runner.stop()


def recipe(name: str, server_image: str, orders: Orders) -> Recipe:
    """The runner that makes this traffic."""
    plan = {
        "schedule": asdict(orders.schedule),
        "target": orders.target,
        "scale": dict(orders.feature_shift.scale),
        "defective": list(orders.feature_shift.defective),
        "seed": orders.seed,
    }
    rows = {"schedule.json": json.dumps(plan), "asked.csv": orders.asked}
    if orders.measured:
        rows["measured.csv"] = orders.measured
    here = Path(__file__).parent
    code = {f"{module}.py": (here / f"{module}.py").read_text() for module in INSIDE}
    command = ("python", "-m", "traffic", f"{FOLDER}/rows/schedule.json")
    return Recipe(name, server_image, command, {"traffic": code, "rows": rows}, PORT)
