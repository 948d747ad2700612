"""Drift windows in a row, and in each of them the operator is killed: every one must have exactly one TrainingJob.

The windows of a monitor follow one another each second or two, and each of them fails. What is trained is not good enough,
so that nothing is rolled out and the next window may call for the next training. In each window a real operator process is
killed before or after a write by chance, anywhere between the order to check and the end of the training. Half of the
monitors have their windows checked by a warm worker.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.kubelet import Script
from chaos.plans import Fault
from chaos.play import TURN, Play
from chaos.process import Operator
from chaos.proxy import Powers, Proxy, listening
from chaos.stage import Stage
from chaos.workloads import Apply, ready
from stories import script
from tidemill.children import names
from tidemill.plan.world import Manifest

LONGEST = 120.0
"""Seconds in which a window must have come to its end."""
REST = 20.0
"""Seconds in which what was decided must have been done; the operator may have been killed in between."""
WRITES = 14
"""Writes of a window without a crash; the crash is around one of them."""
ENOUGH = 10
"""Problems after which nothing more can be learned."""
LIVES = 15
"""Windows after which a fresh monitor in a fresh namespace goes on, below what any brake counts to."""


@dataclass
class Windows:
    """What came of the windows."""

    crashed: int = 0
    """Windows with exactly one TrainingJob in which the operator was killed."""
    calm: int = 0
    """Windows that were over before the write around which the operator was to be killed."""
    kills: Counter[str] = field(default_factory=Counter)
    """By the request that was struck."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def summary(self) -> str:
        struck = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        lines = [
            f"{self.crashed} windows in which the operator was killed, each with exactly one TrainingJob",
            f"{self.calm} windows were over before",
            f"killed around: {struck}",
            f"{len(self.problems)} failures in {self.seconds / 60:.1f} min",
        ]
        return "\n".join([*lines, *self.problems])


class CrashPicker:
    """Chooses, for each window, the write around which the operator is killed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.faults: list[Fault] = []
        """The proxy reads this list at every request."""

    def choose(self, after: int) -> Fault:
        """One of the writes that follow."""
        fault = Fault(after + self._rng.randint(1, WRITES), "Kill", self._rng.random() < 0.5)
        self.faults[:] = [fault]
        return fault


async def windows(stage: Stage, count: int, *, seed: int, at_once: int, say: Callable[[str], None]) -> Windows:
    """Crash in `count` windows, some monitors side by side."""
    began, result = time.monotonic(), Windows()
    rng = random.Random(seed)

    async def work() -> None:
        while result.crashed < count and len(result.problems) < ENOUGH:
            await _live(stage, result, count, random.Random(rng.random()))
            say(f"{result.crashed:5} windows crashed, {result.calm} calm, {len(result.problems)} failures")

    await asyncio.gather(*(work() for _ in range(at_once)))
    result.seconds = time.monotonic() - began
    return result


async def _live(stage: Stage, result: Windows, count: int, rng: random.Random) -> None:
    """One namespace with one monitor, for some windows."""
    crash_picker = CrashPicker(rng)
    execution = rng.choice(("Job", "WarmWorker"))
    scripted = Script({"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks("Failing")})
    async with stage.prepare(scripted) as (namespace, pods, _), AsyncExitStack() as open_:
        powers = Powers()
        proxy = Proxy(stage.mirror.session, crash_picker.faults, powers)
        server = await open_.enter_async_context(listening(proxy))
        operator = Operator(server, namespace, stage.folder / "operators")
        powers.kill = operator.kill
        guard = asyncio.create_task(_revive(operator))
        try:
            play = Play(stage, namespace, pods, [operator])
            await play.take(
                (
                    Apply(script.dataset()),
                    Apply(script.training_job()),
                    Apply(script.service(replicas=1)),
                    ready("TrainingJob", "fraud-first"),
                    ready("InferenceService", "fraud"),
                )
            )
            pods.reports["Train"] = script.trains(0.5)
            await play.take((Apply(_monitor(execution)),))
            for _ in range(LIVES):
                if result.crashed >= count:
                    break
                await _window(stage, namespace, proxy, crash_picker, result)
            # It orders nothing more, and follows what it has ordered.
            await play.take((Apply(_monitor(execution, "Observe")),))
            result.problems += await _at_rest(stage, namespace)
        except Exception as problem:
            result.problems.append(f"{namespace}: {problem!r}\n{_tail(operator.log)}")
        finally:
            guard.cancel()
            operator.remove()


async def _revive(operator: Operator) -> None:
    while True:
        if not operator.alive:
            operator.start()
        await asyncio.sleep(0.05)


async def _window(stage: Stage, namespace: str, proxy: Proxy, crash_picker: CrashPicker, result: Windows) -> None:
    """Wait for one more retraining to come to its end, with a crash on the way."""
    before = _ended(stage, namespace)
    fault = crash_picker.choose(len(proxy.writes))
    now = before
    for _ in range(int(LONGEST / TURN)):
        if len(now := _ended(stage, namespace)) > len(before):
            break
        await asyncio.sleep(TURN)
    else:
        raise TimeoutError(f"no window came to its end within {LONGEST:.0f} s: {sorted(before)}")
    if len(now) > len(before) + 1:
        result.problems.append(f"{namespace}: {len(now) - len(before)} trainings in one window")
    if fault in proxy.struck:
        result.crashed += 1
        write = next(write_ for write_ in proxy.writes if write_.number == fault.write)
        result.kills[f"{write.method} {_resource(write.path)}"] += 1
    else:
        result.calm += 1


def _ended(stage: Stage, namespace: str) -> set[str]:
    """The retrainings whose outcome the monitor has recorded."""
    monitor = stage.mirror.get("DriftMonitor", namespace, "fraud") or {}
    history = (monitor.get("status") or {}).get("history") or ()
    return {entry["trainingJob"] for entry in history if entry["outcome"] in {"Rejected", "Promoted", "Failed"}}


async def _at_rest(stage: Stage, namespace: str) -> list[str]:
    """What is wrong once what was decided so far has had its time."""
    problems = await _audited(stage, namespace)
    for _ in range(int(REST / TURN)):
        if not problems:
            break
        await asyncio.sleep(TURN)
        problems = await _audited(stage, namespace)
    return problems


async def _audited(stage: Stage, namespace: str) -> list[str]:
    """By the audit log: which windows the monitor decided to answer, and which TrainingJobs were made for them."""
    created = Counter(
        name for verb, resource, name in stage.truth.deeds(namespace) if (verb, resource) == ("create", "trainingjobs")
    )
    problems = [
        f"{namespace}: TrainingJob {name} was made {times} times" for name, times in created.items() if times > 1
    ]
    jobs = {
        entry["metadata"]["name"]: entry
        for entry in await stage.mirror.asked(namespace)
        if entry["kind"] == "TrainingJob" and names.MONITOR in (entry["metadata"].get("labels") or {})
    }
    causes = Counter(_window_of(entry) for entry in jobs.values())
    problems += [f"{namespace}: {times} TrainingJobs for the window {at}" for at, times in causes.items() if times > 1]
    recorded = {
        entry["trainingJob"]
        for event in stage.truth.writes(namespace)
        if (event.resource, event.subresource) == ("driftmonitors", "status") and event.code < 300
        for entry in ((event.response or {}).get("status") or {}).get("history") or ()
        if entry["outcome"] != "Observed"
    }
    problems += [f"{namespace}: {name} was decided on and never made" for name in sorted(recorded - jobs.keys())]
    problems += [f"{namespace}: {name} was made and never recorded" for name in sorted(jobs.keys() - recorded)]
    return problems


def _window_of(job: Manifest) -> str:
    return str(json.loads(job["metadata"]["annotations"][names.CAUSE]).get("at"))


def _monitor(execution: str, mode: str = "Act") -> dict[str, Any]:
    retraining = {
        "mode": mode,
        "template": {"trainingJob": "fraud-first"},
        "minimumInterval": "1s",
        "trigger": {"consecutive": 1},
        "budget": {"runs": 20, "per": "30d"},
        "circuitBreaker": {"rejected": 20},
    }
    window = {"size": "10s", "minimumSamples": 100, "minimumLabels": 50}
    return script.monitor(interval="1s", window=window, retraining=retraining, execution=execution)


def _resource(path: str) -> str:
    parts = path.split("/namespaces/", 1)[1].split("/")
    return parts[1] + (f"/{parts[3]}" if len(parts) > 3 else "")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-15:]) if log.exists() else ""


__all__ = ["Windows", "windows"]
