"""What goes wrong, and when: frozen, written as YAML, and played again from it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import yaml

Deed = Literal[
    "Kill",
    "Answer",
    "Reset",
    "Silence",
    "CutWatches",
    "Stale",
    "Lose",
    "Forget",
    "Partition",
    "Slow",
    "Mute",
    "Unelect",
    "KillApiServer",
    "KillEtcd",
]
"""Kill the operator; answer, reset or never answer a request; cut the watches; show the next life an older world; lose
watch events; forget where the watches were (410 Gone); cut off the API server, make the way to it slow, or cut off the
serving pods; cut off the Lease alone; kill the API server or its store."""
SILENCE = 31.0
"""Longer than the operator waits for an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, at the n-th request that the operator sends, at `times` - 1 that follow, or for so many seconds."""

    write: int
    deed: Deed
    committed: bool = False
    """Whether the API server has carried the request out before it goes wrong."""
    code: int = 0
    """What is answered instead, where the fault is Answer."""
    times: int = 1
    seconds: float = 0.0
    """How long it goes on, where it is not a matter of single requests."""
    request: str = ""
    """Which requests are counted and struck, as `patch pods` or `list`; every write where left out."""
    since: int = 0
    """How the world was at this write is what a Stale view shows."""

    def concerns(self, request: str) -> bool:
        """Whether a request with this name may be struck.

        >>> Fault(1, "Reset", request="list").concerns("list pods")
        True
        """
        verb = request.partition(" ")[0]
        return self.request in {request, verb} if self.request else verb in WRITES

    def strikes(self, number: int) -> bool:
        return self.write <= number < self.write + self.times

    def __str__(self) -> str:
        what = f"{self.deed} {self.code}" if self.code else self.deed
        more = f" ×{self.times}" if self.times > 1 else ""
        long = f" for {self.seconds:g} s" if self.seconds else ""
        back = f" as of write {self.since}" if self.deed == "Stale" else ""
        return (
            f"{what}{back} {'after' if self.committed else 'before'} {self.request or 'write'} {self.write}{more}{long}"
        )


WRITES = ("create", "update", "apply", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Interference:
    """What another manager does to one object once everything is at rest."""

    kind: str
    name: str
    """The object's name; with `*` at its end, the first whose name begins so."""
    deed: Literal["Delete", "Edit", "Status"]
    """Delete it, change each field that Tidemill owns, or change its status."""

    def __str__(self) -> str:
        return f"{self.deed} {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Scarcity:
    """Surroundings that let no new pod run, from the n-th write on."""

    write: int
    cause: Literal["Quota", "LimitRange", "FullNode", "SlowPull"]
    seconds: float = 0.0
    """How long it lasts; until the object that has no pod says so, where left out."""

    def __str__(self) -> str:
        return f"{self.cause} from write {self.write} on" + (f" for {self.seconds:g} s" if self.seconds else "")


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A workload, and the faults on its way."""

    workload: str
    faults: tuple[Fault, ...] = ()
    series: str = "C1"
    """The class of faults that it belongs to."""
    operators: int = 1
    """How many operators there are at a time; the faults strike the first."""
    elected: bool = False
    """Whether they elect a leader."""
    resync: float = 300.0
    """Seconds between two full lists."""
    interference: tuple[Interference, ...] = ()
    scarcities: tuple[Scarcity, ...] = ()

    def to_yaml(self) -> str:
        return yaml.safe_dump(_lists(asdict(self)), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str) -> FaultPlan:
        parsed = yaml.safe_load(text)
        parsed["faults"] = tuple(Fault(**fault) for fault in parsed["faults"])
        parsed["interference"] = tuple(Interference(**deed) for deed in parsed.get("interference", ()))
        parsed["scarcities"] = tuple(Scarcity(**scarcity) for scarcity in parsed.get("scarcities", ()))
        return cls(**parsed)

    def deeds(self, *deeds: Deed) -> bool:
        """Whether one of its faults is one of these."""
        return any(fault.deed in deeds for fault in self.faults)

    def __str__(self) -> str:
        what = ", ".join(map(str, (*self.faults, *self.interference, *self.scarcities))) or "no fault"
        more = f", {self.operators} operators" if self.operators > 1 else ""
        return f"{self.series} {self.workload}: {what}{more}"


def save(plan: FaultPlan, folder: Path, problems: Sequence[str]) -> Path:
    """Write a failing plan so that `replay` can play it; the problems stand above it as comments."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(plan.to_yaml().encode()).hexdigest()[:8]
    path = folder / f"{plan.series}-{plan.workload}-{digest}.yaml"
    comments = "".join(f"# {line}\n" for problem in problems for line in problem.splitlines())
    path.write_text(comments + plan.to_yaml())
    return path


def _lists(body: dict[str, object]) -> dict[str, object]:
    """YAML has no tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in body.items()}
