"""Everything in one run: by count for the tests, by the clock for a long one; counted, and failures kept."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz import schemas, specimens
from fuzz.admission import Admission, Admitted
from fuzz.cases import Case, Failure
from fuzz.harness import Harness
from fuzz.misoperations import Misoperations
from fuzz.reconciling import Reconciling
from fuzz.tampering import Tampering, tamperings
from fuzz.walks import Walks, walks

Say = Callable[[str], None]
BATCH, WALKS, POISONS, RANDOM = 48, 40, 40, 60


@dataclass(frozen=True)
class Extent:
    """How much to try; without end where None, until the time of the part is over."""

    step: int = 1
    """Every n-th mutation of each location."""
    hosts: int = 2
    """In how many surroundings each location is tried."""
    random: int | None = None
    reconciled: int | None = None
    walks: int | None = None
    tamperings: int | None = None


@dataclass
class Counts:
    """What was tried and what came of it."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    ways: dict[str, set[str]] = field(default_factory=dict)
    """By location, the mutations tried there."""
    paces: list[float] = field(default_factory=list)

    def summary(self) -> str:
        locations = schemas.locations()
        leaves = [location for location in locations if location.is_leaf]
        tried = sum(len(self.ways.get(str(location), ())) >= 3 for location in leaves)
        by_class = Counter(failure.case.of for failure in self.failures)
        pace = sorted(self.paces)[len(self.paces) // 2] if self.paces else 0.0
        return "\n".join(
            [
                *self.lines,
                f"leaves of the schemas with at least 3 mutations: {tried} of {len(leaves)}",
                f"plain objects settled in {pace:.1f} s (median); {self.counts['late']} of all took more than 10 s",
                *(f"{name}: {count}" for name, count in sorted(self.counts.items()) if name != "late"),
                f"failures: {len(self.failures)} " + ", ".join(f"{of} {n}" for of, n in sorted(by_class.items())),
                *(f"  {path}" for path in self.files),
            ]
        )


class Campaign:
    """Plays the classes one after the other, each in its share of the time."""

    def __init__(self, harness: Harness, *, seed: int, minutes: float, folder: Path | None, say: Say) -> None:
        self._harness = harness
        self._rng = random.Random(seed)
        self._began = time.monotonic()
        self._minutes = minutes
        self._folder = folder
        self._say = say
        self.counts = Counts()

    def _until(self, share: float) -> float:
        return self._began + 60 * self._minutes * share

    def _fail(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            self.counts.failures.append(failure)
            self._say(f"FAILED {failure.case}: {failure.problems[0][:300]}")
            if self._folder:
                self.counts.files.append(failure.save(self._folder))

    async def all(self, extent: Extent) -> Counts:
        admission = await self.admission(extent)
        await self.misoperations()
        await self.tampering(extent)
        await self.walks(extent, list(admission.admitted.values()))
        await self.reconciling(extent, list(admission.admitted.values()))
        return self.counts

    async def admission(self, extent: Extent) -> Admission:
        """M1: what is let in."""
        admission = Admission(self._harness)
        await admission.prepare()
        locations = schemas.locations()
        for which in range(extent.hosts):
            for location in locations:
                # Every location once, however long it takes; in other surroundings while there is time.
                if which == 0 or time.monotonic() < self._until(0.25):
                    await admission.location(location, self._rng, which, step=extent.step)
            self._say(f"M1 {admission.tried} specs tried, {admission.refused} refused")
        tried = 0
        while extent.random is None or tried < extent.random:
            if time.monotonic() > self._until(0.4):
                break
            for kind in schemas.specs():
                await admission.by_chance(kind, self._rng, RANDOM)
                tried += RANDOM
        self._fail(admission.failures)
        self.counts.ways = admission.ways
        self.counts.counts.update(
            {
                "M1 specs tried on the API server": admission.tried,
                "M1 refused": admission.refused,
                "M1 admitted": admission.tried - admission.refused,
                "M1 of which our reading says nothing": admission.untold,
                "M1 tried as a change besides": admission.updates,
            }
        )
        if admission.hostless:
            self.counts.lines.append(f"M1 no admitted spec has these: {', '.join(admission.hostless)}")
        return admission

    async def misoperations(self) -> None:
        """M2."""
        played = Misoperations(self._harness)
        await played.all()
        self._fail(played.failures)
        self.counts.counts["M2 misoperations"] = played.tried
        self._say(f"M2 {played.tried} misoperations")

    async def tampering(self, extent: Extent) -> None:
        """M5."""
        played, cases = Tampering(self._harness), list(tamperings(self._rng))
        # The largest specs first: nothing else stands for them.
        cases.sort(key=lambda case: "large" not in case.title)
        cases = cases[: extent.tamperings]
        for first in range(0, len(cases), POISONS):
            if time.monotonic() > self._until(0.5):
                break
            await played.all(cases[first : first + POISONS], first)
        self._fail(played.failures)
        self.counts.counts.update({"M5 tampered objects": played.tried, "M5 refused by the API server": played.refused})
        self._say(f"M5 {played.tried} tampered objects")

    async def walks(self, extent: Extent, admitted: Sequence[Admitted]) -> None:
        """M3 and M4."""
        played, made = Walks(self._harness), _ways(admitted, self._rng)
        done = 0
        while extent.walks is None or done < extent.walks:
            if time.monotonic() > self._until(0.75):
                break
            count = min(WALKS, (extent.walks or WALKS + done) - done)
            await played.all([next(made) for _ in range(count)], done)
            done += count
            self._say(f"M3, M4 {done} walks")
        self._fail(played.failures)
        self.counts.counts.update({f"{of} walks": count for of, count in played.tried.items()})

    async def reconciling(self, extent: Extent, admitted: list[Admitted]) -> None:
        """M1: what the operator makes of what is let in."""
        played = Reconciling(self._harness)
        self._rng.shuffle(admitted)
        admitted = admitted[: extent.reconciled]
        for first in range(0, len(admitted), BATCH):
            if time.monotonic() > self._until(1.0):
                break
            await played.batch(admitted[first : first + BATCH], first // BATCH)
            if first // BATCH % 10 == 0:
                self._say(f"M1 {played.tried} of {len(admitted)} admitted specs met the operator")
        self._fail(played.failures)
        self.counts.counts.update({"M1 met the operator": played.tried, "late": played.late})
        self.counts.counts.update({f"M1 came to {reason}": count for reason, count in played.reasons.items()})
        self.counts.paces = played.paces


def _ways(admitted: Sequence[Admitted], rng: random.Random) -> Iterator[Case]:
    """Walks of every kind in turn, one in five of them long."""
    made = {}
    for kind, schema in schemas.specs().items():
        pool: list[Any] = [
            admitted_case.kept
            for admitted_case in admitted
            if admitted_case.case.kind == kind and len(str(admitted_case.kept)) < 20_000
        ]
        pool = [_at_home(kind, admitted_case) for admitted_case in pool] or [specimens.seed(kind, schema)]
        made[kind] = (walks(kind, pool, rng, steps=2), walks(kind, pool, rng, steps=20))
    while True:
        for kind in made:
            yield next(made[kind][1 if rng.random() < 0.2 else 0])


def _at_home(kind: str, spec: Any) -> Any:
    """A spec that takes no neighbour's model into service, and no version that somebody else's walk makes."""
    return {**spec, "model": {"name": "known"}, "rollout": {"steps": []}} if kind == "InferenceService" else spec
