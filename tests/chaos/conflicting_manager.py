"""Another manager, who deletes what Tidemill has made, and changes each field that Tidemill owns; and what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from chaos.mirror import Mirror, Refused
from chaos.plans import Interference
from chaos.play import TURN, fits
from tidemill.engine.client import MANAGER
from tidemill.engine.kinds import resource_of
from tidemill.plan.world import Key, Manifest, key_of

PATIENCE = 45.0
"""Seconds within which a change must be healed; the operator's own tries may be some seconds apart by then."""
THEIRS = "example.com/theirs"
Path = tuple[str, ...]


class ConflictingManager:
    """Meddles in one namespace."""

    def __init__(self, mirror: Mirror, namespace: str) -> None:
        self._mirror = mirror
        self._namespace = namespace
        self.healed = 0

    async def interfere(self, deed: Interference) -> list[str]:
        """Do it, and answer with what was not healed, or healed that was none of Tidemill's business."""
        named = self._mirror.all(self._namespace, deed.kind)
        result = next((manifest for manifest in named if fits(deed.name, manifest["metadata"]["name"])), None)
        if result is None:
            return [f"C12: there is no {deed.kind} {deed.name} to interfere with"]
        key = key_of(result)
        match deed.deed:
            case "Delete":
                return await self._delete(key, result)
            case "Status":
                return await self._spoil_status(key, result)
            case _:
                return await self._edit(key)

    async def _delete(self, key: Key, manifest: Manifest) -> list[str]:
        await self._mirror.delete(key)
        if key.kind == "Job":
            # Its answer is in the status: a run that is over is not repeated because its Job is gone.
            await asyncio.sleep(2.0)
            return [f"C12: {key} was made again"] if self._mirror.get(*key) else []
        again = await self._heals(key, lambda live: live["metadata"]["uid"] != manifest["metadata"]["uid"])
        return [] if again else [f"C12: {key} did not come back"]

    async def _spoil_status(self, key: Key, manifest: Manifest) -> list[str]:
        status = {"conditions": [], "observedGeneration": 77}
        await self._mirror.patch(key, {"status": status}, subresource="status", manager="meddler")
        wanted = manifest["status"]["observedGeneration"]
        again = await self._heals(key, lambda live: live["status"].get("observedGeneration") == wanted)
        return [] if again else [f"C12: the status of {key} was not mended"]

    async def _edit(self, key: Key) -> list[str]:
        """Change every owned field, one after the other; what is somebody else's must stay as it is."""
        theirs: Manifest = {"annotations": {THEIRS: "kept"}, "labels": {THEIRS: "kept"}}
        live = await self._mirror.patch(key, {"metadata": theirs}, manager="meddler")
        problems = []
        for path in sorted(owned(live)):
            problems += await self._change(key, path)
        live = await self._mirror.ask("GET", _path(key))
        for field, marks in theirs.items():
            if live["metadata"].get(field, {}).get(THEIRS) != marks[THEIRS]:
                problems.append(f"C12: a foreign entry in {field} of {key} is gone")
        gone: Manifest = {field: {THEIRS: None} for field in theirs}
        await self._mirror.patch(key, {"metadata": gone}, manager="meddler")
        return problems

    async def _change(self, key: Key, path: Path) -> list[str]:
        live = await self._mirror.ask("GET", _path(key))
        paths = pointers(live, path)
        if not paths:
            return []
        pointer, value = paths[0]
        try:
            await self._mirror.ask(
                "PATCH",
                _path(key) + "?fieldManager=meddler",
                [_other(pointer, value)],
                content="application/json-patch+json",
            )
        except Refused:
            return []  # the API server itself does not let anybody
        if not await self._heals(key, lambda live: [value] == [present for _, present in pointers(live, path)]):
            now = [present for _, present in pointers(self._mirror.get(*key) or {}, path)]
            return [f"C12: {pointer} of {key} was not mended: {now} instead of {value!r}"]
        self.healed += 1
        return []

    async def _heals(self, key: Key, is_well: Callable[[Manifest], bool]) -> bool:
        # The mirror may not have seen the change itself yet.
        await asyncio.sleep(0.2)
        for _ in range(int(PATIENCE / TURN)):
            live = self._mirror.get(*key)
            if live is not None and is_well(live):
                return True
            await asyncio.sleep(TURN)
        return False


def owned(live: Manifest) -> list[Path]:
    """The fields that Tidemill has applied, as the API server keeps account of them."""
    entries = [
        entry
        for entry in live["metadata"]["managedFields"]
        if entry["manager"] == MANAGER and not entry.get("subresource")
    ]
    return sorted({path for entry in entries for path in _leaves(entry["fieldsV1"], ())})


def _leaves(fields: Manifest, path: Path) -> Iterator[Path]:
    # What an element of a list is known by is not a field to change: it would be another element, and somebody else's.
    known_by = json.loads(path[-1][2:]) if path and path[-1].startswith("k:") else {}
    children = {name: inner for name, inner in fields.items() if name != "." and name[2:] not in known_by}
    if not children and path:
        yield path
    for name, inner in children.items():
        yield from _leaves(inner, (*path, name))


def pointers(live: Any, path: Path, so_far: str = "") -> list[tuple[str, Any]]:
    """Where a field of the account is in the object, as a JSON pointer and the value there; nothing where it is not.

    >>> pointers({"ports": [{"name": "http", "port": 80}]}, ("f:ports", 'k:{"name":"http"}', "f:port"))
    [('/ports/0/port', 80)]
    """
    if not path:
        return [(so_far, live)]
    kind, _, name = path[0].partition(":")
    if kind == "f" and isinstance(live, dict) and name in live:
        return pointers(live[name], path[1:], f"{so_far}/{name.replace('~', '~0').replace('/', '~1')}")
    if kind == "k" and isinstance(live, list):
        wanted = json.loads(name)
        for number, element in enumerate(live):
            if all(element.get(field, _default(field)) == value for field, value in wanted.items()):
                return pointers(element, path[1:], f"{so_far}/{number}")
    return []


def _default(field: str) -> Any:
    return "TCP" if field == "protocol" else None


def _other(pointer: str, value: Any) -> Manifest:
    """A JSON patch operation that makes the field another one."""
    match value:
        case bool():
            return {"op": "replace", "path": pointer, "value": not value}
        case int() | float():
            return {"op": "replace", "path": pointer, "value": value + 1}
        case str():
            return {"op": "replace", "path": pointer, "value": value + "x"}
        case _:
            return {"op": "remove", "path": pointer}


def _path(key: Key) -> str:
    return resource_of(key.kind).path(key.namespace, key.name)
