"""Elect the leader of several operators: the one that holds a Lease and renews it in time.

Two holders at once would be fenced by names and preconditions anyway. A holder that cannot renew stops before another may
begin, and one that ends releases the Lease, so that the next does not have to wait until it expires.

The clock of another process is never compared with ours: a Lease has expired if it did not change for as long as it lasts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.engine import errors
from tidemill.engine.client import Client
from tidemill.plan.world import Manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """Durations in seconds: of a Lease, of attempts to renew it, and between two attempts."""

    lease_seconds: float = 15.0
    renew_timeout_seconds: float = 10.0
    retry_seconds: float = 2.0


class Lease:
    """Acquire, renew and release one Lease."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        terms: Terms | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._now = now
        self._clock = clock
        self._terms = terms or Terms()
        self._seen_version = ""
        self._seen_at = 0.0
        self._held: Manifest | None = None

    async def acquire(self) -> None:
        """Wait until this process holds the Lease."""
        while True:
            if await self._try_or_log():
                break
            await asyncio.sleep(self._terms.retry_seconds)
        log.info("%s is the leader", self._identity)

    async def renew(self) -> None:
        """Renew the Lease for as long as that works; it is lost when this returns."""
        renewed = self._clock()
        while self._clock() - renewed < self._terms.renew_timeout_seconds:
            await asyncio.sleep(self._terms.retry_seconds)
            try:
                async with asyncio.timeout(self._terms.renew_timeout_seconds / 2):
                    if await self._try_or_log():
                        renewed = self._clock()
                    elif self._held is None:
                        break  # another process holds it
            except TimeoutError:
                log.warning("renewing the Lease timed out")
        log.error("%s is no longer the leader", self._identity)

    async def release(self) -> None:
        """Release the Lease, if this process holds it."""
        if self._held is None:
            return
        spec = {**self._held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._timestamp()}
        try:
            await self._client.replace(self._path(self._name), {**self._held, "spec": spec}, "release the Lease")
        except errors.OperatorError as problem:
            log.info("%s; the Lease will expire", problem)
        self._held = None

    async def _try_or_log(self) -> bool:
        try:
            return await self._try()
        except errors.OperatorError as problem:
            log.info("%s", problem)
            return False

    async def _try(self) -> bool:
        if self._held is not None:
            try:
                self._held = await self._client.replace(
                    self._path(self._name), self._claim(self._held), "renew the Lease"
                )
                return True
            except (errors.Conflict, errors.Missing):
                self._held = None
        try:
            lease = await self._client.get(self._path(self._name), "read the Lease")
        except errors.Missing:
            self._held = await self._client.create(self._path(), self._claim(None), "create the Lease")
            return True
        if not self._is_free(lease):
            return False
        self._held = await self._client.replace(self._path(self._name), self._claim(lease), "take the Lease")
        return True

    def _is_free(self, lease: Manifest) -> bool:
        spec: dict[str, Any] = lease.get("spec") or {}
        holder = spec.get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, self._clock()
        return self._clock() - self._seen_at > float(spec.get("leaseDurationSeconds") or self._terms.lease_seconds)

    def _claim(self, lease: Manifest | None) -> Manifest:
        timestamp = self._timestamp()
        if lease is None:
            metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
            before: dict[str, Any] = {}
        else:
            metadata = lease["metadata"]
            before = lease.get("spec") or {}
        ours = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._terms.lease_seconds)),
            "acquireTime": before.get("acquireTime") if ours else timestamp,
            "renewTime": timestamp,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if ours or lease is None else 1),
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def _timestamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _path(self, name: str = "") -> str:
        root = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases"
        return f"{root}/{name}" if name else root
