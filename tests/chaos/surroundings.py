"""What leaves no room for pods: quotas, limits, full nodes and slow pulls that come and go, and whether Tidemill tells of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

from chaos.kubelet import Kubelet
from chaos.mirror import Mirror
from chaos.plans import Scarcity
from tidemill.children import names
from tidemill.plan.world import Key, Manifest

TOLD_WITHIN = 30.0
"""Seconds from the first pod that does not run until the owner says why."""
MESSAGES = {
    "Quota": "ResourceQuota 'scarce' is used up",
    "LimitRange": "a LimitRange refuses the pod",
    "FullNode": "Insufficient cpu; lower spec.resources.requests",
    "SlowPull": "ulling image",
}
"""What the status of the owner says while it lasts."""
POLL = 0.1
QUOTAS = {"Quota": {"pods": "0"}, "QuotaOfLimits": {"limits.cpu": "4"}}
"""What a quota leaves."""


class Surroundings:
    """The surroundings of one namespace."""

    def __init__(self, mirror: Mirror, kubelet: Kubelet, namespace: str) -> None:
        self._mirror = mirror
        self._kubelet = kubelet
        self._namespace = namespace
        self.problems: list[str] = []
        self.struck = 0
        """Scarcities that kept a pod from running."""

    async def follow(self, scarcities: tuple[Scarcity, ...], writes: Callable[[], int]) -> None:
        """Impose one scarcity after the other, each at its write, and lift it again."""
        for scarcity in scarcities:
            await self._until_written(scarcity.write, writes)
            await self.impose(scarcity.cause)
            try:
                await (asyncio.sleep(scarcity.seconds) if scarcity.seconds else self._until_told(scarcity.cause))
                self.struck += bool(self._stuck())
            finally:
                await self.lift(scarcity.cause)

    async def _until_written(self, write: int, writes: Callable[[], int]) -> None:
        while True:
            if writes() >= write:
                return
            await asyncio.sleep(POLL / 5)

    async def _until_told(self, cause: str) -> None:
        """Wait for a pod that does not run, and for its owner to say why; no longer than the workload may take."""
        end = time.monotonic() + 2 * TOLD_WITHIN
        while time.monotonic() < end:
            owners = self._stuck()
            untold = [owner for owner in owners if MESSAGES[cause] not in self._says(owner)]
            if owners and not untold:
                return
            for owner in untold:
                if time.monotonic() - owners[owner] > TOLD_WITHIN:
                    self.problems.append(f"O7: {owner} does not tell of {cause}: {self._says(owner)}")
                    return
            await asyncio.sleep(POLL)

    def _stuck(self) -> dict[Key, float]:
        """Return the owners of what has no pod that runs, with the time since when."""
        results: dict[Key, float] = {}
        for key, since in self._kubelet.stuck.items():
            child = self._mirror.get(*key) if key.namespace == self._namespace else None
            if child is not None:
                labels = child["metadata"]["labels"]
                owner = Key(labels[names.OWNER_KIND], self._namespace, labels[names.OWNER_NAME])
                results[owner] = min(since, results.get(owner, since))
        return results

    def _says(self, owner: Key) -> str:
        manifest = self._mirror.get(*owner) or {}
        conditions = (manifest.get("status") or {}).get("conditions") or ()
        return json.dumps(
            [f"{condition['type']}={condition['status']} {condition['message']}" for condition in conditions],
            ensure_ascii=False,
        )

    async def impose(self, cause: str) -> None:
        """Let no new pod run, for this cause."""
        root = f"/api/v1/namespaces/{self._namespace}"
        if cause in QUOTAS:
            hard: Manifest = {"hard": QUOTAS[cause]}
            await self._mirror.ask("POST", f"{root}/resourcequotas", _named({"spec": hard}), forgiven=(409,))
            # Its controller, which does not run here, counts what there is.
            status = {"status": {**hard, "used": dict.fromkeys(QUOTAS[cause], "0")}}
            path = f"{root}/resourcequotas/scarce/status"
            await self._mirror.ask("PATCH", path, status, content="application/merge-patch+json")
        elif cause == "LimitRange":
            spec = {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]}
            await self._mirror.ask("POST", f"{root}/limitranges", _named({"spec": spec}), forgiven=(409,))
        else:
            self._kubelet.scripts[self._namespace].scarce = cause

    async def lift(self, cause: str) -> None:
        """Let pods run again."""
        root = f"/api/v1/namespaces/{self._namespace}"
        if cause in QUOTAS:
            await self._mirror.ask("DELETE", f"{root}/resourcequotas/scarce", forgiven=(404,))
        elif cause == "LimitRange":
            await self._mirror.ask("DELETE", f"{root}/limitranges/scarce", forgiven=(404,))
        else:
            await self._kubelet.make_room(self._namespace)


def _named(manifest: Manifest) -> Manifest:
    return {"metadata": {"name": "scarce"}, **manifest}
