"""Traffic in the cluster, from outside: start it, change its weather, read what it counted.

The questions and answers that count go from pod to Service and nowhere else; only the counters are read through the API
server.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.api import Api
from support.guest import FOLDER, Guest, Recipe
from traffic.client import Course
from traffic.control import PORT
from traffic.rows import Climate, Weather

INSIDE = ("__init__", "__main__", "client", "control", "ledger", "protocol", "rows")


@dataclass(frozen=True, slots=True)
class Orders:
    """What traffic to make."""

    course: Course
    target: str
    """The column with the right answers."""
    asked: str
    """The rows to draw from, as CSV."""
    measured: str = ""
    """Other rows, as CSV, that are asked only to measure."""
    climate: Climate = field(default_factory=Climate)
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

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    @classmethod
    def start(cls, api: Api, namespace: str, server_image: str, orders: Orders, *, name: str = "traffic") -> "Traffic":
        return cls(Guest.start(api, namespace, recipe(name, server_image, orders)))

    def weather(self, weather: Weather) -> None:
        """What happens to rows from now on."""
        self._guest.ask(f"weather/{weather}", method="POST")

    def measure(self, weather: Weather) -> dict[str, Measured]:
        """Ask each of the measured rows once in this weather: what each version that answered got right."""
        found = self._guest.ask_json(f"measure/{weather}", method="POST")
        return {version: Measured(**counts) for version, counts in found.items()}

    def counters(self) -> Counters:
        found = self._guest.ask_json("counters")
        return Counters(
            sent=found["sent"],
            answered=found["answered"],
            failed=found["failed"],
            labels_sent=found["labelsSent"],
            labels_failed=found["labelsFailed"],
            versions=found["versions"],
            failures=found["failures"],
            recent_accuracy=found["recent"]["accuracy"],
            recent_labelled=found["recent"]["labelled"],
            p95=found["seconds"]["p95"],
            slowest=found["seconds"]["slowest"],
        )

    def stop(self) -> None:
        self._guest.stop()


def recipe(name: str, server_image: str, orders: Orders) -> Recipe:
    """The guest that makes this traffic."""
    plan = {
        "course": asdict(orders.course),
        "target": orders.target,
        "scale": dict(orders.climate.scale),
        "leaking": list(orders.climate.leaking),
        "seed": orders.seed,
    }
    rows = {"course.json": json.dumps(plan), "asked.csv": orders.asked}
    if orders.measured:
        rows["measured.csv"] = orders.measured
    here = Path(__file__).parent
    code = {f"{module}.py": (here / f"{module}.py").read_text() for module in INSIDE}
    command = ("python", "-m", "traffic", f"{FOLDER}/rows/course.json")
    return Recipe(name, server_image, command, {"traffic": code, "rows": rows}, PORT)
