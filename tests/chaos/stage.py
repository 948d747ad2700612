"""Where plans are played: one control plane, one kubelet, and for each play a namespace, proxies and operators."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from chaos import oracles
from chaos.conflicting_manager import ConflictingManager
from chaos.kubelet import Kubelet, Script
from chaos.mirror import Mirror
from chaos.oracles import Ending
from chaos.outage import Outages
from chaos.plans import Deed, FaultPlan
from chaos.play import Play, Stuck
from chaos.process import Manner, Operator
from chaos.proxy import Powers, Proxy, SeenRequest, Write, listening
from chaos.serving import Serving
from chaos.surroundings import Surroundings
from chaos.truth import Truth
from chaos.workloads import WORKLOADS
from cluster import Plane, control_plane
from cluster.paths import REPOSITORY
from tidemill.api import GROUP
from tidemill.engine.connection import connect
from tidemill.engine.kinds import WATCHED

FIRST_LOOK = 45.0
"""Seconds after a start, or after the servers came back, within which everything has been listed again."""
OWN_ENDS: tuple[Deed, ...] = (
    "KillApiServer",
    "KillEtcd",
    "Partition",
    "Slow",
    "Forget",
    "Answer",
    "Unelect",
    "Silence",
    "Reset",
)
"""Faults after which the operator may end by itself, once each, to be started afresh."""
REPLIES_LOST: tuple[Deed, ...] = (
    "Answer",
    "Reset",
    "Silence",
    "Slow",
    "Partition",
    "Stale",
    "Lose",
    "KillApiServer",
    "KillEtcd",
)
"""Faults after which the operator cannot know whether a write arrived, so that saying it again is right."""

BLINDING: tuple[Deed, ...] = ("Stale", "Lose", "Forget", "CutWatches", "Partition", "Slow", "KillApiServer", "KillEtcd")
"""Faults during which the operator cannot see that an owner is gone."""


@dataclass(frozen=True)
class Outcome:
    """What came of a plan."""

    plan: FaultPlan
    problems: tuple[str, ...]
    writes: tuple[Write, ...]
    ending: Ending | None
    seconds: float
    struck: int
    """How often a fault happened."""
    seen: SeenRequest
    meddled: int = 0
    """Fields that somebody else changed, and that were healed."""
    late: bool = False
    """Whether it took the full look that follows a start to come to the right end."""
    deposed_after: float | None = None
    """Seconds until an operator that was cut off from its Lease had ended."""


class Stage:
    """A control plane on which several plans can be played at a time, each in a namespace of its own."""

    def __init__(self, plane: Plane, mirror: Mirror, kubelet: Kubelet, folder: Path) -> None:
        self.mirror = mirror
        self.kubelet = kubelet
        self.truth = Truth(plane.audit_log)
        self.outages = Outages(plane)
        self.folder = folder
        self._numbers = itertools.count(1)

    async def play(self, plan: FaultPlan, reference: Ending | None = None) -> Outcome:
        """Play a plan and judge it; without a reference, only by the oracles that need none."""
        began = time.monotonic()
        workload = WORKLOADS[plan.workload]
        problems: list[str] = []
        ending: Ending | None = None
        late = False
        async with self.prepare(workload.script()) as (namespace, script, serving), AsyncExitStack() as open_:
            proxies, operators = await self._staff(plan, namespace, serving, open_)
            guards = [asyncio.create_task(_keep_alive(process, plan, problems)) for process in operators]
            play = Play(self, namespace, script, operators)
            meddler = ConflictingManager(self.mirror, namespace)
            around = Surroundings(self.mirror, self.kubelet, namespace)
            scarcities = asyncio.create_task(around.follow(plan.scarcities, lambda: len(proxies[0].writes)))
            try:
                await play.take(workload.steps)
                scarcities.cancel()
                await asyncio.wait([scarcities])
                await play.come_to_rest()
                for deed in plan.interference:
                    problems += await meddler.interfere(deed)
                    await play.come_to_rest()
                ending, faults = await self._judge(plan, play, namespace, reference)
                if faults and self._wait_for_a_look(operators) > 0:
                    # What came and went before a watch began, or began again, is healed by the full look after it.
                    late = True
                    await self.outages.over()
                    await asyncio.sleep(self._wait_for_a_look(operators))
                    await play.come_to_rest()
                    ending, faults = await self._judge(plan, play, namespace, reference)
                problems += faults
                problems += [problem for proxy in proxies for problem in oracles.not_in_a_hurry(proxy.seen.refused)]
                if not plan.deeds(*REPLIES_LOST) and plan.operators == 1 and not plan.interference:
                    problems += oracles.nothing_said_twice(proxies[0].seen.idle)
                problems += await play.ailments()
                problems += [*serving.problems, *around.problems]
            except Stuck as problem:
                problems.append(f"O1: {problem}\n{_tail(operators[0].log)}")
            finally:
                for guard in (*guards, scarcities):
                    guard.cancel()
                problems += [bug for process in operators for bug in _bugs(process.log)]
                for process in operators:
                    process.remove()
        return Outcome(
            plan,
            tuple(problems),
            tuple(proxies[0].writes),
            ending,
            time.monotonic() - began,
            sum(len(proxy.struck) for proxy in proxies) + len(plan.interference) + around.struck,
            proxies[0].seen,
            meddler.healed,
            late,
            operators[0].ended_after(proxies[0].struck_at) if plan.deeds("Unelect") else None,
        )

    @asynccontextmanager
    async def scene(self, script: Script) -> AsyncIterator[tuple[Play, Surroundings]]:
        """A namespace with one operator and without faults, for steps that are taken one by one."""
        plan, problems = FaultPlan("by hand"), list[str]()
        async with self.prepare(script) as (namespace, given, serving), AsyncExitStack() as open_:
            _, operators = await self._staff(plan, namespace, serving, open_)
            guards = [asyncio.create_task(_keep_alive(process, plan, problems)) for process in operators]
            try:
                yield Play(self, namespace, given, operators), Surroundings(self.mirror, self.kubelet, namespace)
            finally:
                for guard in guards:
                    guard.cancel()
                problems += [bug for process in operators for bug in _bugs(process.log)]
                for process in operators:
                    process.remove()
        if problems:
            raise Stuck("\n".join(problems))

    def _wait_for_a_look(self, operators: Sequence[Operator]) -> float:
        """Seconds until everybody must have listed everything since it started, and since the servers last came back."""
        return FIRST_LOOK - min(time.monotonic() - self.outages.ended, *(process.age for process in operators))

    async def _judge(
        self, plan: FaultPlan, play: Play, namespace: str, reference: Ending | None
    ) -> tuple[Ending, list[str]]:
        objects = await play.left()
        result = oracles.ending(objects, self.truth.deeds(namespace), namespace)
        faults = [
            *oracles.no_orphans(objects),
            *oracles.nothing_held(objects),
            *oracles.up_to_date(objects),
            *oracles.one_run_per_window(objects),
            *oracles.each_run_counted_once(self.truth.statuses(namespace, "driftmonitors")),
        ]
        return result, faults + (_compared(plan, reference, result) if reference is not None else [])

    @asynccontextmanager
    async def prepare(self, script: Script) -> AsyncIterator[tuple[str, Script, Serving]]:
        """A namespace of its own, with the pods of `script`; empty again when the body ends."""
        number = next(self._numbers)
        namespace = f"chaos-{number}"
        # All of 127/8 is loopback: each play has an address of its own, because the port of serving pods is fixed.
        script.address = f"127.{os.getpid() % 200 + 50}.{number // 250 % 250 + 1}.{number % 250 + 1}"
        await self.mirror.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}, forgiven=(409,))
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        await self.mirror.ask("POST", path, {"metadata": {"name": "default"}}, forgiven=(409,))
        self.kubelet.scripts[namespace] = script
        serving = Serving(self.mirror, namespace, script)
        try:
            async with serving.answering():
                yield namespace, script, serving
        finally:
            del self.kubelet.scripts[namespace]
            self.truth.forget(namespace)
            await self.mirror.clear(namespace)

    async def _staff(
        self, plan: FaultPlan, namespace: str, serving: Serving, open_: AsyncExitStack
    ) -> tuple[list[Proxy], list[Operator]]:
        """As many operators as the plan says, each behind a proxy of its own."""
        proxies, operators = [], []
        for number in range(plan.operators):
            faults = plan.faults if number == 0 else ()
            powers = Powers(outage=self.outages.begin, mute=serving.mute)
            proxy = Proxy(self.mirror.session, faults, powers)
            server = await open_.enter_async_context(listening(proxy))
            manner = Manner(("first", "second")[number], plan.elected, plan.resync)
            operator = Operator(server, namespace, self.folder / "operators", manner)
            powers.kill = operator.kill
            proxies.append(proxy)
            operators.append(operator)
        return proxies, operators


def _compared(plan: FaultPlan, reference: Ending, ending: Ending) -> list[str]:
    if any(deed.kind == "Job" and deed.deed == "Delete" for deed in plan.interference):
        return []  # what is over does not come back
    if plan.interference:
        return oracles.same_end(reference, ending)
    once = oracles.made_once(
        reference,
        ending,
        log_may_lack=plan.deeds("KillApiServer", "KillEtcd"),
        owner_may_be_unseen=plan.deeds(*BLINDING),
    )
    return oracles.same_end(reference, ending) + once


async def _keep_alive(operator: Operator, plan: FaultPlan, problems: list[str]) -> None:
    """What a Deployment does for the operator. An end that was not ordered is a failure (O5)."""
    allowed = sum(fault.times for fault in plan.faults if fault.deed in OWN_ENDS)
    while True:
        if not operator.alive:
            if operator.lives and not operator.expected_end:
                operator.note_end()
                # An operator that could not renew its Lease in time has to go, whatever kept it from doing so.
                allowed -= not operator.deposed
                if allowed < 0:
                    problems.append(f"O5: the operator ended by itself\n{_tail(operator.log)}")
                await asyncio.sleep(0.5)
            operator.start()
        await asyncio.sleep(0.05)


def _bugs(log: Path) -> list[str]:
    text = log.read_text() if log.exists() else ""
    if "internal error; trying again" not in text:
        return []
    return ["O5: the operator had a bug:\n" + text[max(text.index("internal error; trying again") - 200, 0) :][:3000]]


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
            made = Stage(plane, mirror, kubelet, folder)
            try:
                yield made
            finally:
                with contextlib.suppress(Exception):
                    await made.outages.over()
                await kubelet.stop()
                await mirror.stop()
                made.truth.close()


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
