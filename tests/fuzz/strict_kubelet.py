"""The ground that specs are tried on: the harness's kubelet and its account of what the operator asked for."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, BinaryIO

from chaos.kubelet import Kubelet, moment, pod_of
from tidemill.plan.world import Key, Manifest, key_of

ROOM = {"cpu": Decimal(64), "memory": Decimal(2**40)}
"""What the largest node of the harness has."""
MIN_MEMORY = Decimal(16 * 2**20)
MAX_PODS = 4
"""Pods that one Deployment gets, however many it wants."""
_SCALE = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9.]+)?)([numkKMGTPE]?)(i?)")


def amount(quantity: Any) -> Decimal:
    """A Kubernetes quantity as a number; what is none is taken to be endless.

    >>> amount("250m"), amount("2Ki"), amount(3)
    (Decimal('0.250'), Decimal('2048'), Decimal('3'))
    """
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        return Decimal("Infinity")
    try:
        number, power = Decimal(match[1]), _SCALE[match[2]]
    except InvalidOperation:
        return Decimal("Infinity")
    return number * (Decimal(1024) ** (power // 3) if match[3] else Decimal(10) ** power)


def has_room(template: Manifest) -> bool:
    """Whether some node could take the pod."""
    asked = (template["spec"]["containers"][0].get("resources") or {}).get("requests") or {}
    return all(amount(quantity) <= ROOM.get(name, Decimal(0)) for name, quantity in asked.items() if amount(quantity))


def starves(template: Manifest) -> bool:
    """Whether no run can live with so little memory."""
    limits = (template["spec"]["containers"][0].get("resources") or {}).get("limits") or {}
    return "memory" in limits and amount(limits["memory"]) < MIN_MEMORY


class StrictKubelet(Kubelet):
    """A kubelet that has no room for what no node could hold, and an owner's runs wait while they are told to."""

    def __init__(self, mirror: Any) -> None:
        super().__init__(mirror)
        self.held: set[str] = set()
        """Names of owners whose runs do not end yet."""

    def let_go(self, namespace: str, owner: str) -> None:
        """Runs of `owner` may end from now on."""
        self.held.discard(owner)
        for job in self._mirror.all(namespace, "Job"):
            if _owner(job) == owner:
                self._nudge(key_of(job))

    async def _run(self, job: Manifest) -> None:
        if starves(job["spec"]["template"]) and has_room(job["spec"]["template"]) and _owner(job) not in self.held:
            await self._kill(job)
            return
        if has_room(job["spec"]["template"]) and _owner(job) not in self.held:
            await super()._run(job)
            return
        key = key_of(job)
        pod_key = Key("Pod", key.namespace, f"{key.name}-pod")
        pod = self._mirror.get(*pod_key)
        if pod is not None and await self._is_anothers(pod, job):
            return
        if pod is None and not (job.get("status") or {}).get("conditions"):
            await self._mirror.create(pod_of(job, pod_key.name))
            if not has_room(job["spec"]["template"]):
                waits = {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes fit",
                }
                await self._mirror.report(pod_key, {"phase": "Pending", "conditions": [waits]})

    async def _kill(self, job: Manifest) -> None:
        """The run needs more memory than it may have."""
        key = key_of(job)
        pod_key = Key("Pod", key.namespace, f"{key.name}-pod")
        if (job.get("status") or {}).get("conditions"):
            return
        pod = self._mirror.get(*pod_key)
        if pod is None:
            await self._mirror.create(pod_of(job, pod_key.name))
            return
        if await self._is_anothers(pod, job):
            return
        ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": moment(), "finishedAt": moment()}
        container = job["spec"]["template"]["spec"]["containers"][0]
        values = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
        }
        await self._mirror.report(
            pod_key, {"phase": "Failed", "containerStatuses": [{**values, "state": {"terminated": ended}}]}
        )
        failed = [
            {"type": type_, "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": moment()}
            for type_ in ("FailureTarget", "Failed")
        ]
        await self._mirror.report(key, {"startTime": moment(), "failed": 1, "conditions": failed})

    async def _roll(self, deployment: Manifest) -> None:
        room = MAX_PODS if has_room(deployment["spec"]["template"]) else 0
        wanted = min(deployment["spec"].get("replicas", 1), room)
        await super()._roll({**deployment, "spec": {**deployment["spec"], "replicas": wanted}})


def _owner(manifest: Manifest) -> str:
    return next((str(owner["name"]) for owner in manifest["metadata"].get("ownerReferences") or ()), "")


class Account:
    """Requests of the operator by the name of what they are about, from the audit log; also where the log is rotated."""

    def __init__(self, log: Path) -> None:
        self._path = log
        self._open: BinaryIO | None = None
        self._rest = b""
        self.requests: Counter[str] = Counter()
        self.writes = 0

    def read(self) -> None:
        """Go on to the end of the log."""
        if self._open is None:
            self._open = self._path.open("rb")
        while True:
            *lines, self._rest = (self._rest + self._open.read()).split(b"\n")
            for line in lines:
                if b'"userAgent":"tidemill/' in line:
                    self._count(json.loads(line))
            if self._path.stat().st_ino == _inode(self._open):
                return
            self._open.close()
            self._open = self._path.open("rb")

    def _count(self, entry: dict[str, Any]) -> None:
        about = entry.get("objectRef") or {}
        if entry["verb"] in {"list", "watch"} or about.get("resource") == "events":
            return
        self.requests[str(about.get("name"))] += 1
        self.writes += entry["verb"] != "get"

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino
