"""What goes wrong, and when: frozen, written as YAML, and played again from it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import yaml

Deed = Literal["Kill", "Answer", "Reset", "Silence", "CutWatches"]
ODDS: dict[Deed, int] = {"Answer": 60, "Reset": 20, "CutWatches": 10, "Kill": 8, "Silence": 2}
CODES = (409, 429, 500, 503, 504)
SILENCE = 31.0
"""Longer than the operator waits for an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, at the n-th write request that the operator sends, and at `times` - 1 that follow."""

    write: int
    deed: Deed
    committed: bool = False
    """Whether the API server has carried the request out before it goes wrong."""
    code: int = 0
    """What is answered instead, where the deed is Answer."""
    times: int = 1

    def strikes(self, number: int) -> bool:
        return self.write <= number < self.write + self.times

    def __str__(self) -> str:
        what = f"{self.deed} {self.code}" if self.code else self.deed
        more = f" ×{self.times}" if self.times > 1 else ""
        return f"{what} {'after' if self.committed else 'before'} write {self.write}{more}"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A workload, and the faults on its way."""

    workload: str
    faults: tuple[Fault, ...] = ()

    def to_yaml(self) -> str:
        return yaml.safe_dump(
            {"workload": self.workload, "faults": [asdict(fault) for fault in self.faults]}, sort_keys=False
        )

    @classmethod
    def from_yaml(cls, text: str) -> FaultPlan:
        said = yaml.safe_load(text)
        return cls(said["workload"], tuple(Fault(**fault) for fault in said["faults"]))

    def __str__(self) -> str:
        return f"{self.workload}: " + (", ".join(map(str, self.faults)) or "no fault")


def crashes(workload: str, writes: int) -> list[FaultPlan]:
    """A crash before and one after each write."""
    return [
        FaultPlan(workload, (Fault(number, "Kill", committed),))
        for number in range(1, writes + 1)
        for committed in (False, True)
    ]


def random_errors(workload: str, writes: int, chance: random.Random) -> FaultPlan:
    """One to three faults of the API server, or of the way to it, at writes by chance."""
    faults = []
    for _ in range(chance.randint(1, 3)):
        [deed] = chance.choices(tuple(ODDS), tuple(ODDS.values()))
        faults.append(
            Fault(
                write=chance.randint(1, writes),
                deed=deed,
                committed=chance.random() < 0.5,
                code=chance.choice(CODES) if deed == "Answer" else 0,
                times=chance.choice((1, 1, 2, 3)) if deed in {"Answer", "Reset"} else 1,
            )
        )
    return FaultPlan(workload, tuple(sorted(faults, key=lambda fault: fault.write)))


def save(plan: FaultPlan, folder: Path, problems: Sequence[str]) -> Path:
    """Write a failing plan so that `replay` can play it; the problems stand above it as comments."""
    folder.mkdir(parents=True, exist_ok=True)
    marks = "-".join(
        f"{fault.deed.lower()}{'-after' if fault.committed else ''}-{fault.write}" for fault in plan.faults
    )
    path = folder / f"{plan.workload}-{marks or 'plain'}.yaml"
    comments = "".join(f"# {line}\n" for problem in problems for line in problem.splitlines())
    path.write_text(comments + plan.to_yaml())
    return path
