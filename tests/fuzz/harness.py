"""One API server, one operator for its one namespace, neighbours that must not notice anything, and the judge."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.kubelet import Script
from chaos.mirror import Mirror, Refused
from chaos.process import Operator
from chaos.serving import Serving
from cluster import Plane, control_plane
from fuzz import schemas
from fuzz.strict_kubelet import Account, StrictKubelet
from stories import script
from tidemill.api import API_VERSION
from tidemill.api.conditions import Reason
from tidemill.engine.connection import connect
from tidemill.engine.kinds import BY_KIND, OURS, WATCHED
from tidemill.plan.world import Key, Manifest, key_of

NAMESPACE = "fuzz"
PATIENCE = 10.0
"""Seconds within which an object says how it stands."""
QUIET = 1.0
RATE = 5.0
"""Requests a second that the operator may make for one object."""
BURST = 40
STABLE = frozenset(map(str, Reason)) - {str(Reason.INTERNAL_ERROR)}
ALARMS = ("internal error; trying again", "Traceback", "never retrieved", "the API server keeps", " ERROR ")
"""What the operator's log says only when something is wrong with the operator."""


@dataclass(frozen=True)
class Answer:
    """What the API server said to a request."""

    code: int
    body: Manifest

    @property
    def admitted(self) -> bool:
        return self.code < 300

    @property
    def causes(self) -> list[str]:
        """Why it refused."""
        details = self.body.get("details") or {}
        return [cause.get("message", "") for cause in details.get("causes") or ()] or [self.body.get("message", "")]


class Harness:
    """Where specs are tried."""

    def __init__(self, plane: Plane, mirror: Mirror, kubelet: StrictKubelet, operator: Operator) -> None:
        self.mirror = mirror
        self.kubelet = kubelet
        self.operator = operator
        self.account = Account(plane.audit_log)
        self._baseline: dict[Key, Manifest] = {}
        self._furniture: set[Key] = set()
        self._read = 0

    # requests of a user

    async def ask(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Answer:
        data = io.BytesIO(json.dumps(body).encode()) if body is not None else None
        async with self.mirror.session.request(method, path, data=data, headers={"Content-Type": content}) as answer:
            text = await answer.text()
        try:
            return Answer(answer.status, json.loads(text))
        except json.JSONDecodeError:
            return Answer(answer.status, {"message": text[:500]})

    async def create(self, manifest: Manifest, *, dry: bool = False) -> Answer:
        path = BY_KIND[manifest["kind"]].path(NAMESPACE)
        return await self.ask("POST", f"{path}?fieldValidation=Strict{'&dryRun=All' if dry else ''}", manifest)

    async def replace(self, manifest: Manifest, *, dry: bool = False) -> Answer:
        """Replace the spec of an object, as `kubectl replace` does."""
        path = BY_KIND[manifest["kind"]].path(NAMESPACE, manifest["metadata"]["name"])
        return await self.ask("PUT", f"{path}?fieldValidation=Strict{'&dryRun=All' if dry else ''}", manifest)

    async def edit(self, kind: str, name: str, spec: Any) -> Answer:
        """Put another spec in place of the object's own; a writer in between wins nothing."""
        path = BY_KIND[kind].path(NAMESPACE, name) + "?fieldValidation=Strict"
        patch = [{"op": "replace", "path": "/spec", "value": spec}]
        return await self.ask("PATCH", path, patch, "application/json-patch+json")

    # what came of it

    async def settle(self, keys: Iterable[Key], patience: float = PATIENCE) -> dict[Key, str]:
        """Wait until each object says how it stands; what it did not say in time, by key."""
        deadline = time.monotonic() + patience
        waiting = set(keys)
        while True:
            waiting = {key for key in waiting if self.unsettled(key)}
            if not waiting or time.monotonic() > deadline:
                return {key: self.unsettled(key) for key in waiting}
            await asyncio.sleep(0.1)

    def unsettled(self, key: Key) -> str:
        """What is missing in what an object says of itself; empty where nothing is."""
        manifest = self.mirror.get(*key)
        if manifest is None:
            return "the object is gone"
        status = manifest.get("status") or {}
        if status.get("observedGeneration") != manifest["metadata"]["generation"]:
            return f"the status speaks of generation {status.get('observedGeneration')}"
        ready = next((condition for condition in status.get("conditions") or () if condition["type"] == "Ready"), None)
        if ready is None:
            return "there is no condition Ready"
        if "message" not in ready:
            return "Ready is somebody else's"  # a status that was forged, and is not ours again yet
        message = f"Ready={ready['status']} {ready['reason']}: {ready['message'][:300]}"
        if ready["reason"] not in STABLE:
            return f"the reason is none of the documented ones: {message}"
        if ready["status"] == "Unknown" and not self._may_wait(manifest, ready["message"]):
            return f"it does not come to an end: {message}"
        return ""

    def _may_wait(self, manifest: Manifest, message: str) -> bool:
        """A monitor waits for its window, a run for room; everything else has ended long ago."""
        name = manifest["metadata"]["name"]
        return manifest["kind"] == "DriftMonitor" or "cannot be scheduled" in message or name in self.kubelet.held

    def ready(self, key: Key) -> tuple[str, str, str]:
        """Status, reason and message of the object's condition Ready."""
        manifest = self.mirror.get(*key) or {}
        for condition in (manifest.get("status") or {}).get("conditions") or ():
            if condition["type"] == "Ready":
                return condition["status"], condition["reason"], condition.get("message", "")
        return "", "", ""

    def alarms(self) -> list[str]:
        """What the operator's log says since the last look that it should never say."""
        with self.operator.log.open("rb") as log:
            log.seek(self._read)
            text = log.read().decode(errors="replace")
        self._read += len(text.encode())
        results = []
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if any(alarm in line for alarm in ALARMS):
                results.append(f"the operator's log: {line[:1500]}")
                if "Traceback" in line or "a bug" in line:
                    rest = next((n for n in range(number + 2, len(lines)) if not lines[n].startswith(" ")), len(lines))
                    results[-1] += "\n" + "\n".join(lines[max(number, rest - 8) : rest + 1])[-1500:]
        if not self.operator.alive:
            results.append("the operator ended:\n" + "\n".join(lines[-15:]))
            self.operator.start()
        return results[:5]

    def busy(self, names: Sequence[str], since: float, before: dict[str, int]) -> list[str]:
        """Objects for which the operator asked the API server too often."""
        self.account.read()
        limit = BURST + RATE * (time.monotonic() - since)
        results: dict[str, int] = {}
        for asked, count in self.account.requests.items():
            for name in names:
                if asked == name or asked.startswith(f"{name}-"):
                    results[name] = results.get(name, 0) + count - before.get(asked, 0)
        return [f"a hot loop: {count} requests for {name}" for name, count in results.items() if count > limit]

    def disturbed(self) -> list[str]:
        """Neighbours that are not as they were."""
        problems = []
        for key, before in self._baseline.items():
            now = self.mirror.get(*key)
            if now is None:
                problems.append(f"the neighbour {key} is gone")
            elif now["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
                was, is_ = (json.dumps(_without_version(item), sort_keys=True) for item in (before, now))
                if was != is_:
                    problems.append(f"the neighbour {key} was touched:\n{was[:1500]}\n{is_[:1500]}")
                self._baseline[key] = now
        return problems

    # order

    async def furnish(self) -> None:
        """Make what the specs refer to, and the neighbours; the namespace is at rest afterwards."""
        for name in ("known", "neighbour"):
            rows = "rows" if name == "known" else name
            quick: dict[str, Any] = {"steps": []}
            for manifest in (
                _named(script.dataset(), rows),
                _named(script.training_job(modelName=name, dataset={"name": rows}), name),
                _named(script.service(model={"name": name}, replicas=1, rollout=quick), name),
                _named(script.monitor(target={"inferenceService": name}, interval="2s", retraining=None), name),
            ):
                manifest["spec"] = {field: value for field, value in manifest["spec"].items() if value is not None}
                await self.mirror.apply(manifest)
        await self._until_all_ready(60)
        for name in ("known", "neighbour"):
            calm = _named(script.monitor(target={"inferenceService": name}, interval="9999d", retraining=None), name)
            calm["spec"] = {field: value for field, value in calm["spec"].items() if value is not None}
            await self.mirror.apply(calm)
        await asyncio.sleep(3)
        await self.rest(30)
        self.keep()
        self._baseline = {key: self.mirror.objects[key] for key in self._furniture if key.name.startswith("neighbour")}

    def keep(self) -> None:
        """What is here now is furniture, and stays."""
        self._furniture = {key for key in self.mirror.objects if key.namespace == NAMESPACE}

    async def rest(self, patience: float) -> bool:
        """Return when the operator has written nothing for a moment; False where it did not come to rest."""
        deadline, since, count = time.monotonic() + patience, time.monotonic(), -1
        while time.monotonic() - since < QUIET:
            self.account.read()
            if self.account.writes != count:
                count, since = self.account.writes, time.monotonic()
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True

    async def tidy(self) -> list[str]:
        """Remove all that is not part of the set-up; what does not go is a problem."""
        deadline = time.monotonic() + 30
        while True:
            # Objects that make others go first.
            extra = [
                key for key in list(self.mirror.objects) if key.namespace == NAMESPACE and key not in self._furniture
            ]
            if not extra:
                return []
            if time.monotonic() > deadline:
                return [f"does not go: {key}" for key in extra[:5]]
            extra.sort(key=lambda key: key.kind not in OURS)
            for first in range(0, len(extra), 16):
                await asyncio.gather(*map(self.mirror.delete, extra[first : first + 16]))
            await asyncio.sleep(0.2)

    async def _until_all_ready(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            ours = [key for key in self.mirror.objects if key.namespace == NAMESPACE and key.kind in OURS]
            slow = [key for key in ours if self.ready(key)[0] != "True"]
            if len(ours) >= 10 and not slow:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"the harness is not ready: {[(str(k), self.ready(k)) for k in slow]}")
            await asyncio.sleep(0.1)


def _named(manifest: Manifest, name: str) -> Manifest:
    return {"apiVersion": API_VERSION, **manifest, "metadata": {"name": name, "namespace": NAMESPACE}}


def _without_version(manifest: Manifest) -> Manifest:
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    return {**manifest, "metadata": metadata}


def key(kind: str, name: str) -> Key:
    return Key(kind, NAMESPACE, name)


def made(kind: str, name: str, spec: Any) -> Manifest:
    """An object for the harness."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


@asynccontextmanager
async def harness(folder: Path) -> AsyncIterator[Harness]:
    """A furnished harness for as long as the body runs."""
    with control_plane(folder / "plane") as plane:
        async with connect(str(plane.kubeconfig)).session(connections=48) as session:
            session.headers["User-Agent"] = "fuzz"
            mirror = Mirror(session)
            await _define(mirror)
            kubelet = StrictKubelet(mirror)
            await mirror.start()
            await mirror.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
            await mirror.ask("POST", path, {"metadata": {"name": "default"}})
            story = Script({"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()})
            story.address = "127.78.1.1"
            kubelet.scripts[NAMESPACE] = story
            config = plane.kubeconfig.read_text()
            operator = Operator(plane.server, NAMESPACE, folder / "operators", config=config)
            try:
                async with Serving(mirror, NAMESPACE, story).answering():
                    operator.start()
                    made = Harness(plane, mirror, kubelet, operator)
                    await made.furnish()
                    yield made
                    made.account.close()
            finally:
                operator.remove()
                await kubelet.stop()
                await mirror.stop()


async def _define(mirror: Mirror) -> None:
    for definition in schemas.definitions():
        await mirror.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    for watched in WATCHED:
        deadline = time.monotonic() + 60
        while True:
            try:
                await mirror.ask("GET", watched.path())
                break
            except Refused:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)


__all__ = ["NAMESPACE", "PATIENCE", "Answer", "Harness", "harness", "key", "key_of", "made"]
