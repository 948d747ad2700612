"""Which of several operators acts: the one that holds a Lease and renews it in time.

Two holders at once would be fenced by names and preconditions anyway. A holder that cannot renew stops before anyone else
may begin, and one that ends gives the Lease back, so that the next does not have to wait for it to expire.

The other's clock is never compared with ours: a Lease has expired when we have not seen it change for as long as it lasts.
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
    """Seconds: how long a Lease lasts, how long a holder tries to renew it, and how often."""

    lasts: float = 15.0
    renew_within: float = 10.0
    every: float = 2.0


class Lease:
    """One Lease and our claim to it."""

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
        """Wait until the Lease is ours."""
        while True:
            if await self._tried():
                break
            await asyncio.sleep(self._terms.every)
        log.info("%s leads", self._identity)

    async def keep(self) -> None:
        """Renew the Lease for as long as that works; returning means that it is lost."""
        renewed = self._clock()
        while self._clock() - renewed < self._terms.renew_within:
            await asyncio.sleep(self._terms.every)
            try:
                async with asyncio.timeout(self._terms.renew_within / 2):
                    if await self._tried():
                        renewed = self._clock()
                    elif self._held is None:
                        break  # somebody else has it
            except TimeoutError:
                log.warning("renewing the Lease took too long")
        log.error("%s no longer leads", self._identity)

    async def release(self) -> None:
        """Give the Lease back, if it is ours."""
        if self._held is None:
            return
        spec = {**self._held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._moment()}
        try:
            await self._client.replace(self._path(self._name), {**self._held, "spec": spec}, "release the Lease")
        except errors.OperatorError as problem:
            log.info("%s; it will expire", problem)
        self._held = None

    async def _tried(self) -> bool:
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
        return self._clock() - self._seen_at > float(spec.get("leaseDurationSeconds") or self._terms.lasts)

    def _claim(self, lease: Manifest | None) -> Manifest:
        moment = self._moment()
        if lease is None:
            metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
            before: dict[str, Any] = {}
        else:
            metadata = lease["metadata"]
            before = lease.get("spec") or {}
        ours = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._terms.lasts)),
            "acquireTime": before.get("acquireTime") if ours else moment,
            "renewTime": moment,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if ours or lease is None else 1),
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def _moment(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _path(self, name: str = "") -> str:
        root = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases"
        return f"{root}/{name}" if name else root
