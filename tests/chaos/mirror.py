"""What is in the cluster now, followed over watches of our own, so that no caller has to ask again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import aiohttp

from tidemill.engine.kinds import WATCHED, Watched, resource_of
from tidemill.plan.world import Key, Manifest, key_of

AWAY = 60.0
"""Seconds for which the API server may be away."""
FOR_EVER = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=90)
Listener = Callable[[str, Manifest], None]


class Refused(Exception):
    """The API server said no to the test itself."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"{status}: {what}")
        self.status = status
        self.message = what
        """What the API server said, without the request."""
        with contextlib.suppress(ValueError):
            self.message = json.loads(what[what.index("{") :])["message"]


class Mirror:
    """Every object of the kinds that Tidemill watches, and the few sentences that change them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.objects: dict[Key, Manifest] = {}
        self._there: dict[str, dict[Key, Manifest]] = defaultdict(dict)
        """The same by namespace, of which there are thousands in a long campaign."""
        self.listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for watched in WATCHED:
            version = await self._list(watched)
            self._tasks.append(asyncio.create_task(self._follow(watched, version)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return self.objects.get(Key(kind, namespace, name))

    def all(self, namespace: str, kind: str = "") -> list[Manifest]:
        there = self._there.get(namespace, {})
        return [there[key] for key in sorted(there) if kind in ("", key.kind)]

    async def create(self, manifest: Manifest) -> None:
        """Create the object, unless it is there."""
        path = resource_of(manifest["kind"]).path(manifest["metadata"]["namespace"])
        await self.ask("POST", path, manifest, forgiven=(409,))

    async def apply(self, manifest: Manifest) -> None:
        """Server-side apply, as a user."""
        key = key_of(manifest)
        path = resource_of(key.kind).path(key.namespace, key.name) + "?fieldManager=user&fieldValidation=Strict"
        await self.ask("PATCH", path, manifest, content="application/apply-patch+yaml")

    async def report(self, key: Key, status: Manifest) -> None:
        """Merge into the object's status; nothing where it is gone."""
        path = resource_of(key.kind).path(key.namespace, key.name, "status")
        await self.ask("PATCH", path, {"status": status}, content="application/merge-patch+json", forgiven=(404,))

    async def patch(self, key: Key, patch: Manifest, *, subresource: str = "", manager: str = "user") -> Manifest:
        """A JSON merge patch, as a user or as another manager."""
        path = resource_of(key.kind).path(key.namespace, key.name, subresource) + f"?fieldManager={manager}"
        changed: Manifest = await self.ask("PATCH", path, patch, content="application/merge-patch+json")
        return changed

    async def delete(self, key: Key, uid: str = "") -> None:
        """Delete the object (exactly that with `uid`), if it is there."""
        options: Manifest = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        if uid:
            options["preconditions"] = {"uid": uid}
        path = resource_of(key.kind).path(key.namespace, key.name)
        await self.ask("DELETE", path, options, forgiven=(404, 409))

    async def asked(self, namespace: str) -> list[Manifest]:
        """Everything in a namespace, asked of the API server itself."""
        results = []
        for watched in WATCHED:
            answer = await self.ask("GET", watched.path(namespace))
            results += [_named(manifest, watched) for manifest in answer["items"]]
        return results

    async def clear(self, namespace: str) -> None:
        """Delete everything in a namespace, and the namespace as far as that goes without its controller."""
        for kind in sorted({key.kind for key in self._there.get(namespace, ())}):
            path = resource_of(kind).path(namespace)
            await self.ask("DELETE", path, {"gracePeriodSeconds": 0}, forgiven=(404, 405))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = "application/json",
        forgiven: tuple[int, ...] = (),
    ) -> Any:
        data = json.dumps(body) if body is not None else None
        deadline = time.monotonic() + AWAY
        while True:
            try:
                async with self.session.request(method, path, data=data, headers={"Content-Type": content}) as answer:
                    text = await answer.text()
                if answer.status < 500 and answer.status != 429:
                    break
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                break
            # The API server is away or not itself, on purpose; what is asked here may be asked twice.
            await asyncio.sleep(0.3)
        if answer.status >= 400 and answer.status not in forgiven:
            raise Refused(answer.status, f"{method} {path}: {text[:1000]}")
        return json.loads(text)

    async def _follow(self, watched: Watched, version: str) -> None:
        while True:
            try:
                await self._watch(watched, version)
            except (aiohttp.ClientError, TimeoutError, ConnectionError, json.JSONDecodeError):
                await asyncio.sleep(0.2)
            version = await self._list_again(watched)

    async def _list_again(self, watched: Watched) -> str:
        while True:
            try:
                return await self._list(watched)
            except (Refused, aiohttp.ClientError, TimeoutError, ConnectionError):
                await asyncio.sleep(0.5)

    async def _list(self, watched: Watched) -> str:
        answer = await self.ask("GET", watched.path())
        fresh = {key_of(entry): entry for entry in (_named(item, watched) for item in answer["items"])}
        for key in [key for key in self.objects if key.kind == watched.kind and key not in fresh]:
            self._tell("DELETED", self.objects[key])
        for manifest in fresh.values():
            self._tell("ADDED", manifest)
        return str(answer["metadata"]["resourceVersion"])

    async def _watch(self, watched: Watched, version: str) -> None:
        path = f"{watched.path()}?watch=true&resourceVersion={version}"
        async with self.session.get(path, timeout=FOR_EVER) as answer:
            if answer.status != 200:
                return  # not itself yet: list again
            # One line may be larger than what aiohttp reads as a line.
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    self._tell(event["type"], _named(event["object"], watched))

    def _tell(self, happened: str, manifest: Manifest) -> None:
        key = key_of(manifest)
        if happened == "DELETED":
            self.objects.pop(key, None)
            self._there[key.namespace].pop(key, None)
            if not self._there[key.namespace]:
                del self._there[key.namespace]
        else:
            self.objects[key] = manifest
            self._there[key.namespace][key] = manifest
        for listener in self.listeners:
            listener(happened, manifest)


def _named(item: Manifest, watched: Watched) -> Manifest:
    return {**item, "kind": watched.kind, "apiVersion": watched.api_version}
