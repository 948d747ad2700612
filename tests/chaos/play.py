"""One play of a workload: steps taken, waited for, and brought to rest."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import aiohttp

from chaos.kubelet import Script
from chaos.process import Operator
from chaos.workloads import Apply, Delete, Edit, Gone, Hold, Pause, Release, Says, Step, Until
from tidemill.api import API_VERSION, GROUP
from tidemill.plan.world import Key, Manifest, key_of

if TYPE_CHECKING:
    from chaos.stage import Stage

PATIENCE = 90.0
"""Seconds that one step of a workload may take: a fault may cost a minute of back-off, and others play next to it.

Counted in turns of our own loop, so that a machine that has no time for us has none for the operator either.
"""
TURN = 0.05
QUIET = 1.5
"""Seconds without a write after which a run is at rest, if nothing waits for its time."""
RESTLESS = 75.0
"""Seconds after the last step within which it must have come to rest."""
_GAUGE = re.compile(r"^tidemill_workqueue_(depth|busy|delayed) ([0-9.e+]+)$", re.MULTILINE)


class Stuck(Exception):
    """A workload does not go on."""


class Play:
    """The user of one namespace."""

    def __init__(self, stage: Stage, namespace: str, script: Script, operators: Sequence[Operator]) -> None:
        self._stage = stage
        self._mirror = stage.mirror
        self._namespace = namespace
        self._script = script
        self._operators = operators

    async def take(self, steps: Sequence[Step]) -> None:
        for step in steps:
            await self._take(step)

    async def _take(self, step: Step) -> None:
        namespace = self._namespace
        match step:
            case Apply(manifest):
                metadata = {**manifest["metadata"], "namespace": namespace}
                await self._mirror.apply({"apiVersion": API_VERSION, **manifest, "metadata": metadata})
            case Edit(kind, name, patch):
                made = sorted(self._mirror.all(namespace, "ModelVersion"), key=_created)
                versions = [manifest["metadata"]["name"] for manifest in made]
                resource = next(
                    manifest
                    for manifest in self._mirror.all(namespace, kind)
                    if fits(name, manifest["metadata"]["name"])
                )
                await self._mirror.patch(key_of(resource), patch(versions))
            case Delete(kind, name):
                await self._mirror.delete(Key(kind, namespace, name))
            case Hold(task):
                self._script.held.add(task)
            case Release(task):
                self._stage.kubelet.release(namespace, task)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Until() | Says() | Gone():
                for _ in range(int(PATIENCE / TURN)):
                    if self._holds(step):
                        return
                    await asyncio.sleep(TURN)
                conditions = [(manifest.get("status") or {}).get("conditions") for manifest in self._named(step)]
                raise Stuck(f"within {PATIENCE:.0f} s there was not: {step}; there is {conditions}")

    def _named(self, step: Until | Says | Gone) -> list[Manifest]:
        return [
            item for item in self._mirror.all(self._namespace, step.kind) if fits(step.name, item["metadata"]["name"])
        ]

    def _holds(self, step: Until | Says | Gone) -> bool:
        named = self._named(step)
        if isinstance(step, Gone):
            return not named
        if isinstance(step, Says):
            conditions = [
                manifest for manifest in named for manifest in (manifest.get("status") or {}).get("conditions") or ()
            ]
            reported = [
                manifest
                for manifest in conditions
                if (manifest["type"], manifest["status"]) == (step.condition, step.status)
            ]
            return any(step.text in manifest["message"] for manifest in reported)
        return any(not step.path or says(manifest, step.path, step.value) for manifest in named)

    async def report(self, kind: str, name: str, status: Manifest) -> None:
        """What a controller of Kubernetes writes into the status of an object (the first whose name begins so, with `*`)."""
        manifest = next(
            item for item in self._mirror.all(self._namespace, kind) if fits(name, item["metadata"]["name"])
        )
        await self._mirror.report(key_of(manifest), status)

    async def come_to_rest(self) -> None:
        """O3: return when nothing has been written for a while, and no operator has anything left to do."""
        count, since = -1, time.monotonic()
        for _ in range(int(RESTLESS / (4 * TURN))):
            now = len(self._stage.truth.writes(self._namespace))
            if now != count:
                count, since = now, time.monotonic()
            if time.monotonic() - since >= QUIET and await self._idle():
                return
            await asyncio.sleep(4 * TURN)
        writes = self._stage.truth.writes(self._namespace)
        last = [f"{write.verb} {write.resource} {write.name} {write.code}" for write in writes[-6:]]
        raise Stuck(f"O3: not at rest {RESTLESS:.0f} s after the end: {last}, {await self.ailments()}")

    async def _idle(self) -> bool:
        for operator in self._operators:
            page = await self._page(operator, "/metrics")
            gauges = {name: float(value) for name, value in _GAUGE.findall(page or "")}
            if not gauges or any(gauges.values()):
                return False
        return True

    async def ailments(self) -> list[str]:
        """O5: what an operator itself says is wrong with it."""
        problems = []
        for operator in self._operators:
            for _ in range(20):
                page = await self._page(operator, "/healthz")
                if page is not None and page.strip() == "ok":
                    break
                # With full lists each two seconds, three of them are soon missed on a busy machine.
                await asyncio.sleep(0.5)
            else:
                problems.append(f"O5: operator {operator.manner.identity} is not healthy: {page}")
        return problems

    async def _page(self, operator: Operator, path: str) -> str | None:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{operator.port}{path}") as answer,
            ):
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return None

    async def left(self) -> list[Manifest]:
        """Everything that is there, asked of the API server itself."""
        return await self._mirror.asked(self._namespace)


def _created(manifest: Manifest) -> str:
    return str(manifest["metadata"]["creationTimestamp"])


def says(manifest: Manifest, path: str, value: object) -> bool:
    """Whether the status says `value` at `path`, and speaks of the newest spec; lists are entered by number or type."""
    status = manifest.get("status") or {}
    if (
        manifest["apiVersion"].startswith(GROUP)
        and status.get("observedGeneration") != manifest["metadata"]["generation"]
    ):
        return False
    for part in path.split("."):
        if isinstance(status, list):
            chosen = status[int(part) : int(part) + 1] if part.isdigit() else [s for s in status if s["type"] == part]
            status = chosen[0] if chosen else {}
        else:
            status = status.get(part) or {}
    return bool(status == value)


def fits(pattern: str, name: str) -> bool:
    """Whether `name` is meant by `pattern`.

    >>> fits("fraud-*", "fraud-stable"), fits("fraud", "fraud-stable")
    (True, False)
    """
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
