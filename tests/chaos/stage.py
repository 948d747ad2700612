"""Where plans are played: one control plane, one kubelet, and for each play a namespace, a proxy and an operator."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from chaos import oracles
from chaos.kubelet import Kubelet
from chaos.mirror import Mirror
from chaos.oracles import Ending
from chaos.plans import FaultPlan
from chaos.process import Operator
from chaos.proxy import Proxy, Write, listening
from chaos.serving import serving
from chaos.truth import Truth
from chaos.workloads import WORKLOADS, Apply, Delete, Gone, Hold, Pause, Release, Step, Until
from cluster import Plane, control_plane
from cluster.places import REPOSITORY
from tidemill.api import API_VERSION, GROUP
from tidemill.engine.connection import connect
from tidemill.engine.kinds import WATCHED
from tidemill.plan.world import Key, Manifest

PATIENCE = 60.0
"""Seconds that one step of a workload may take."""
QUIET = 3.0
"""Seconds without a write after which a run is at rest."""
RESTLESS = 40.0
"""Seconds after the last step within which it must have come to rest."""


@dataclass(frozen=True)
class Outcome:
    """What came of a plan."""

    plan: FaultPlan
    problems: tuple[str, ...]
    writes: tuple[Write, ...]
    ending: Ending | None
    seconds: float

    @property
    def struck(self) -> int:
        """How many writes met a fault."""
        return sum(bool(write.struck) for write in self.writes)


class Stuck(Exception):
    """A workload does not go on."""


class Stage:
    """A control plane on which several plans can be played at a time, each in a namespace of its own."""

    def __init__(self, plane: Plane, mirror: Mirror, kubelet: Kubelet, folder: Path) -> None:
        self._mirror = mirror
        self._kubelet = kubelet
        self._truth = Truth(plane.audit_log)
        self._folder = folder
        self._numbers = itertools.count(1)

    async def play(self, plan: FaultPlan, reference: Ending | None = None) -> Outcome:
        """Play a plan and judge it; without a reference, only by the oracles that need none."""
        began, number = time.monotonic(), next(self._numbers)
        namespace = f"chaos-{number}"
        workload = WORKLOADS[plan.workload]
        script = workload.script()
        # All of 127/8 is loopback: each play has an address of its own, because the port of serving pods is fixed.
        script.address = f"127.77.{number // 250 % 250 + 1}.{number % 250 + 1}"
        await self._make_namespace(namespace)
        self._kubelet.scripts[namespace] = script
        proxy = Proxy(self._mirror.session, plan.faults, lambda: operator.kill())
        problems: list[str] = []
        found: Ending | None = None
        async with listening(proxy) as server, serving(self._mirror, namespace, script):
            operator = Operator(server, namespace, self._folder / "operators")
            guard = asyncio.create_task(self._keep_alive(operator, problems))
            try:
                for step in workload.steps:
                    await self._take(step, namespace)
                await self._come_to_rest(namespace)
                objects = await self._left(namespace)
                found = oracles.ending(objects, self._truth.deeds(namespace), namespace)
                problems += oracles.no_orphans(objects) + oracles.up_to_date(objects)
                problems += oracles.one_run_per_window(objects)
                if reference is not None:
                    problems += oracles.same_end(reference, found) + oracles.made_once(reference, found)
                log = operator.log.read_text()
                if "a bug; again" in log:
                    problems.append("O5: the operator had a bug:\n" + log[log.index("a bug; again") - 200 :][:3000])
            except Stuck as problem:
                problems.append(f"O1: {problem}\n{_tail(operator.log)}")
            finally:
                guard.cancel()
                operator.remove()
                await self._clear(namespace)
        return Outcome(plan, tuple(problems), tuple(proxy.writes), found, time.monotonic() - began)

    async def _make_namespace(self, namespace: str) -> None:
        await self._mirror.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        await self._mirror.ask("POST", path, {"metadata": {"name": "default"}})

    async def _keep_alive(self, operator: Operator, problems: list[str]) -> None:
        """What a Deployment does for the operator. An end that nobody ordered is a failure (O5)."""
        while True:
            if not operator.alive:
                if operator.lives and not operator.expected_end:
                    problems.append(f"O5: the operator ended by itself\n{_tail(operator.log)}")
                operator.start()
            await asyncio.sleep(0.05)

    async def _take(self, step: Step, namespace: str) -> None:
        match step:
            case Apply(manifest):
                metadata = {**manifest["metadata"], "namespace": namespace}
                await self._mirror.apply({"apiVersion": API_VERSION, **manifest, "metadata": metadata})
            case Delete(kind, name):
                await self._mirror.delete(Key(kind, namespace, name))
            case Hold(task):
                self._kubelet.scripts[namespace].held.add(task)
            case Release(task):
                self._kubelet.release(namespace, task)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Until() | Gone():
                deadline = time.monotonic() + PATIENCE
                while not self._holds(step, namespace):
                    if time.monotonic() > deadline:
                        raise Stuck(f"within {PATIENCE:.0f} s there was not: {step}")
                    await asyncio.sleep(0.05)

    def _holds(self, step: Until | Gone, namespace: str) -> bool:
        named = [one for one in self._mirror.all(namespace, step.kind) if _fits(step.name, one["metadata"]["name"])]
        if isinstance(step, Gone):
            return not named
        return any(not step.path or says(manifest, step.path, step.value) for manifest in named)

    async def _come_to_rest(self, namespace: str) -> None:
        """O3: return when the operator has written nothing for a while."""
        deadline = time.monotonic() + RESTLESS
        count, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET:
            now = len(self._truth.writes(namespace))
            if now != count:
                count, since = now, time.monotonic()
            if time.monotonic() > deadline:
                last = [f"{one.verb} {one.resource} {one.name} {one.code}" for one in self._truth.writes(namespace)]
                raise Stuck(f"O3: still writing {RESTLESS:.0f} s after the end: {last[-6:]}")
            await asyncio.sleep(0.2)

    async def _left(self, namespace: str) -> list[Manifest]:
        """Everything that is there, asked of the API server itself."""
        found = []
        for watched in WATCHED:
            answer = await self._mirror.ask("GET", watched.path(namespace))
            found += [{**one, "kind": watched.kind, "apiVersion": watched.api_version} for one in answer["items"]]
        return found

    async def _clear(self, namespace: str) -> None:
        del self._kubelet.scripts[namespace]
        self._truth.forget(namespace)
        for manifest in await self._left(namespace):
            await self._mirror.delete(Key(manifest["kind"], namespace, manifest["metadata"]["name"]))


def says(manifest: Manifest, path: str, value: str) -> bool:
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


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-15:]) if log.exists() else ""


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """A stage with the five kinds defined, for as long as the body runs; starting it takes some seconds."""
    with control_plane(folder / "plane") as plane:
        async with connect(str(plane.kubeconfig)).session() as session:
            # The operator's writes are told from ours by the agent.
            session.headers["User-Agent"] = "chaos"
            mirror = Mirror(session)
            await _define(mirror)
            kubelet = Kubelet(mirror)
            await mirror.start()
            try:
                yield Stage(plane, mirror, kubelet, folder)
            finally:
                await kubelet.stop()
                await mirror.stop()


async def _define(mirror: Mirror) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in sorted((REPOSITORY / "crds").glob(f"*.{GROUP}.yaml")):
        await mirror.ask("POST", path, yaml.safe_load(file.read_text()))
    for watched in WATCHED:
        deadline = time.monotonic() + 30
        while True:
            async with mirror.session.get(watched.path()) as answer:
                if answer.status == 200:
                    break
            if time.monotonic() > deadline:
                raise Stuck(f"the API server does not serve {watched.plural}")
            await asyncio.sleep(0.1)
