"""M1, second half: whatever is admitted is soon Ready, waiting, or says why not; and no one else notices."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from fuzz import schemas
from fuzz.admission import Admitted
from fuzz.cases import Failure
from fuzz.harness import PATIENCE, Harness, key, made
from fuzz.specimens import seed

AT_ONCE = 16
SLOW = 60.0
MARGIN = 4.0
OWN_FAULT = ("resources", "cpu", "memory", "quantity", "limits", "requests")
"""Words of refusals of children for which the user's own spec is to blame, and which only the API server can judge."""


@dataclass
class Reconciling:
    """Lets the operator meet specs, many at a time."""

    harness: Harness
    tried: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    late: int = 0
    """Objects that took longer than ten seconds, as all did on a machine that was busy with something else."""
    paces: list[float] = field(default_factory=list)

    async def batch(self, batch: Sequence[Admitted], number: int) -> None:
        """Create the objects, wait until each has said how it stands, judge, and remove them."""
        harness = self.harness
        named = {f"m{number:04}x{index:03}": admitted for index, admitted in enumerate(batch)}
        harness.account.read()
        began, before = time.monotonic(), dict(harness.account.requests)
        problems: dict[str, list[str]] = {}
        turn = asyncio.Semaphore(AT_ONCE)
        late: dict[str, float] = {}

        async def play(name: str, admitted: Admitted) -> None:
            async with turn:
                answer = await harness.create(made(admitted.case.kind, name, admitted.kept))
                if not answer.admitted:
                    problems.setdefault(name, []).append(f"admitted when tried, refused when meant: {answer.causes}")
                    return
                born = time.monotonic()
                for problem in (await harness.settle([key(admitted.case.kind, name)], SLOW)).values():
                    problems.setdefault(name, []).append(f"after {SLOW:.0f} s: {problem}")
                late[name] = time.monotonic() - born

        measured = asyncio.create_task(self._pace(number))
        await asyncio.gather(*(play(name, admitted) for name, admitted in named.items()))
        pace = await measured
        self.paces.append(pace)
        for name, seconds in late.items():
            # Ten seconds are meant for a machine with time to spare: how much it has, plain objects tell.
            if name not in problems and seconds > max(PATIENCE, MARGIN * pace):
                problems.setdefault(name, []).append(f"it took {seconds:.1f} s, and plain objects {pace:.1f} s")
        self.late += sum(seconds > PATIENCE for seconds in late.values())
        for name, admitted in named.items():
            status, reason, message = harness.ready(key(admitted.case.kind, name))
            self.reasons[f"{admitted.case.kind} {status} {reason}"] += 1
            if reason in ("Refused", "NameConflict") and not any(word in message for word in OWN_FAULT):
                problems.setdefault(name, []).append(f"an admitted spec makes a child that is refused: {message}")
        for problem in harness.busy(list(named), began, before):
            problems.setdefault(problem.rsplit(" ", 1)[-1], []).append(problem)
        common = [*harness.alarms(), *harness.disturbed()]
        common += await harness.tidy()
        self.tried += len(named)
        for problem in common:
            guilty = next((name for name in named if name in problem), "")
            problems.setdefault(guilty or next(iter(named)), []).append(
                problem if guilty else f"one of these {len(named)}: {problem}"
            )
        for name, text in problems.items():
            if name in named:
                self.failures.append(Failure(named[name].case, tuple(text)))

    async def _pace(self, number: int) -> float:
        """Seconds that plain objects need now, the slowest of all kinds."""
        began = time.monotonic()
        keys = [key(kind, f"p{number:04}") for kind in schemas.specs()]
        for plain in keys:
            await self.harness.create(made(plain.kind, plain.name, seed(plain.kind, schemas.specs()[plain.kind])))
        await self.harness.settle(keys, SLOW)
        return time.monotonic() - began
