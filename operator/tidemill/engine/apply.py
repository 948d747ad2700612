"""Writes: carry out a plan with as few requests as possible, and with none if nothing differs.

The response to a write is put into the cache at once, so that the next reconciliation sees it. If the API server keeps something
other than what was sent (a default that the comparison does not know, a field that it drops), the remaining difference is
remembered and not written again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tidemill.children import names
from tidemill.engine import errors, metrics
from tidemill.engine.cache import ClusterCache
from tidemill.engine.client import MARKS_MANAGER, Client
from tidemill.engine.diff import Difference, applicable, differences
from tidemill.engine.pruning import is_complete
from tidemill.engine.statuses import merge_patch
from tidemill.plan.types import Mark, Retirement
from tidemill.plan.world import Key, Manifest, key_of

log = logging.getLogger(__name__)

Enqueue = Callable[[set[Key]], None]


class Applier:
    """Write objects, statuses and annotations; each write names the key it is made for."""

    def __init__(self, client: Client, cache: ClusterCache, enqueue: Enqueue) -> None:
        self._client = client
        self._cache = cache
        self._enqueue = enqueue
        self._accepted_drift: dict[Key, frozenset[str]] = {}
        """Differences that remained after the API server accepted a write."""

    async def ensure(self, wanted: Manifest, why: Key) -> bool:
        """Make the object equal to `wanted`, and return whether anything had to be written.

        Raises NameConflict if an object of somebody else has the name.
        """
        key = key_of(wanted)
        live = self._cache.world.get(*key)
        if live is None:
            return await self._create(key, wanted, why)
        if not is_ours(wanted, live):
            raise _conflict(key, live)
        if live["metadata"].get("deletionTimestamp"):
            return False  # its deletion is followed by an event
        return await self._adjust(key, wanted, live, why)

    async def mark(self, mark: Mark, why: Key) -> bool:
        """Set and remove annotations, and return whether anything had to be written."""
        live = self._cache.world.get(*mark.key)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return False
        present = live["metadata"].get("annotations") or {}
        changes = {name: value for name, value in mark.annotations.items() if present.get(name) != value}
        if not changes:
            return False
        log.info("%s: mark %s: %s", why, mark.key, ", ".join(sorted(changes)))
        # A merge patch, not an apply: two planners may mark one object, and an apply would remove the other's annotations.
        patch = {"metadata": {"uid": live["metadata"]["uid"], "annotations": changes}}
        try:
            response = await self._client.merge(mark.key, patch, manager=MARKS_MANAGER)
        except errors.Missing:
            return False
        self._record("mark", mark.key, response)
        return True

    async def report(self, key: Key, live: Manifest, status: Mapping[str, Any]) -> bool:
        """Write the status if it differs from the live one, and return whether it did.

        The resource version is a precondition: a status that was decided on an older object is never written.
        """
        patch = merge_patch(live.get("status"), status)
        if not patch or self._is_accepted(key, patch):
            return False
        response = await self._write_status(key, live, patch)
        if response is None:
            return False
        self._accept(key, merge_patch(response.get("status"), status))
        return True

    async def report_invalid(self, key: Key, live: Manifest, fields: Mapping[str, Any]) -> bool:
        """Set `fields` in the status of an object that does not parse, and return whether anything had to be written."""
        status = live.get("status")
        patch = {
            name: value
            for name, value in fields.items()
            if not isinstance(status, Mapping) or status.get(name) != value
        }
        return bool(patch) and await self._write_status(key, live, patch) is not None

    async def retire(self, retirement: Retirement, why: Key) -> bool:
        """Delete exactly the object that was observed, and return whether it existed."""
        key = retirement.key
        log.info("%s: delete %s: %s", why, key, retirement.reason)
        try:
            response = await self._client.delete(key, uid=retirement.uid)
        except errors.Missing:
            self._enqueue(self._cache.remove(key, retirement.uid))
            return False
        except errors.Conflict:
            if await self._is_still_there(retirement):
                raise  # somebody wrote at the same time: try again soon
            log.info("%s: %s is another object now; it is not deleted", why, key)
            return False
        metrics.WRITES.labels(key.kind, "delete").inc()
        if response.get("kind") == "Status":
            self._enqueue(self._cache.remove(key, retirement.uid))
        else:
            self._enqueue(self._cache.confirm(response))  # it is being deleted
        return True

    async def _is_still_there(self, retirement: Retirement) -> bool:
        """Return whether the object to delete is the one that has the name now."""
        try:
            live = await self._client.read(retirement.key)
        except errors.Missing:
            self._enqueue(self._cache.remove(retirement.key, retirement.uid))
            return False
        self._enqueue(self._cache.confirm(live))
        return bool(live["metadata"]["uid"] == retirement.uid)

    def forget(self, key: Key) -> None:
        """Forget what is remembered of the object at `key`, which is gone."""
        self._accepted_drift.pop(key, None)

    async def _create(self, key: Key, wanted: Manifest, why: Key) -> bool:
        if self._is_surprising(key, why):
            await self._confirm_owner(wanted, why)
        try:
            # Without force: if an object exists that the cache does not know, its fields stay as they are.
            response = await self._client.apply(wanted, force=False)
        except errors.Conflict:
            live = await self._client.read(key)
            if not is_ours(wanted, live):
                raise _conflict(key, live) from None
            self._enqueue(self._cache.confirm(live))
            return await self._adjust(key, wanted, live, why)
        log.info("%s: create %s", why, key)
        self._record("create", key, response)
        self._remember(key, wanted, response)
        return True

    def _is_surprising(self, key: Key, why: Key) -> bool:
        """Return whether a missing object existed before: then its owner may be gone too, and the event late.

        A new process that lists the owners, then the children, cannot know: both may have been deleted in between.
        """
        cache = self._cache
        return cache.has_lost(key) or cache.is_unconfirmed(why) or is_true(cache.world.get(*why), "Ready")

    async def _confirm_owner(self, wanted: Manifest, why: Key) -> None:
        """Raise Missing if `why` is no longer the owner that `wanted` names: its children must not come back.

        Raises Conflict if its spec has changed since the plan was made.
        """
        uids = {owner["uid"] for owner in wanted["metadata"].get("ownerReferences") or ()}
        known = self._cache.world.get(*why)
        if known is None or known["metadata"]["uid"] not in uids:
            return
        try:
            live = await self._client.read(why)
        except errors.Missing:
            self._enqueue(self._cache.remove(why, known["metadata"]["uid"]))
            raise
        self._enqueue(self._cache.confirm(live))
        if live["metadata"].get("deletionTimestamp") or live["metadata"]["uid"] not in uids:
            raise errors.Missing(f"{why} the owner of {key_of(wanted)}, is being deleted or gone")
        if live["metadata"].get("generation") != known["metadata"].get("generation"):
            raise errors.Conflict(f"{why} has changed since {key_of(wanted)} was planned")

    async def _adjust(self, key: Key, wanted: Manifest, live: Manifest, why: Key) -> bool:
        changes = [
            change for change in differences(wanted, live) if str(change) not in self._accepted_drift.get(key, ())
        ]
        if not changes:
            return False
        if not is_complete(key.kind):
            live = await self._client.read(key)
        body = applicable(wanted, live)
        body = {**body, "metadata": {**body["metadata"], "uid": live["metadata"]["uid"]}}
        try:
            response = await self._client.apply(body, force=True)
        except errors.Invalid as refusal:
            response = await self._insist(key, body, refusal)
        log.info("%s: apply %s: %s", why, key, _summary(changes))
        self._record("apply", key, response)
        self._remember(key, wanted, response)
        return True

    async def _insist(self, key: Key, body: Manifest, refusal: errors.Invalid) -> Manifest:
        """Replace whole lists, if an element of another manager in one of them makes the object invalid."""
        try:
            return await self._client.merge(
                key, {name: value for name, value in body.items() if name not in ("apiVersion", "kind")}
            )
        except errors.Invalid:
            raise refusal from None

    async def _write_status(self, key: Key, live: Manifest, patch: Mapping[str, Any]) -> Manifest | None:
        metadata = live["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": patch}
        try:
            response = await self._client.merge(key, body, subresource="status")
        except errors.Missing:
            self._enqueue(self._cache.remove(key, metadata.get("uid", "")))
            return None
        except errors.Conflict:
            # The cached object is old. The watch may be late, so read the object before the next try.
            self._enqueue(self._cache.confirm(await self._client.read(key)))
            raise
        self._record("status", key, response)
        return response

    def _record(self, operation: str, key: Key, response: Manifest) -> None:
        metrics.WRITES.labels(key.kind, operation).inc()
        self._enqueue(self._cache.confirm(response))

    def _remember(self, key: Key, wanted: Manifest, response: Manifest) -> None:
        left = frozenset(str(change) for change in differences(wanted, response))
        if left:
            log.warning("%s: the API server keeps other values than were applied: %s", key, "; ".join(sorted(left)))
            self._accepted_drift[key] = left
        else:
            self._accepted_drift.pop(key, None)

    def _is_accepted(self, key: Key, patch: Mapping[str, Any]) -> bool:
        return frozenset({f"status {patch}"}) == self._accepted_drift.get(key)

    def _accept(self, key: Key, left: Mapping[str, Any]) -> None:
        if left:
            log.warning("%s: the API server keeps another status than was written: %s", key, ", ".join(sorted(left)))
            self._accepted_drift[key] = frozenset({f"status {left}"})
        else:
            self._accepted_drift.pop(key, None)


def is_ours(wanted: Manifest, live: Manifest) -> bool:
    """Return whether the live object was made by the owner that `wanted` names, by owner reference or by label.

    An object that names no owner belongs to everyone.
    """
    owners = _owners(wanted)
    return not owners or bool(owners & _owners(live))


def is_true(manifest: Manifest | None, condition: str) -> bool:
    """Return whether the condition of the object is True."""
    status = (manifest or {}).get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    return any(item.get("type") == condition and item.get("status") == "True" for item in conditions or ())


def _owners(manifest: Manifest) -> set[str]:
    metadata = manifest["metadata"]
    uids = {str(owner.get("uid")) for owner in metadata.get("ownerReferences") or ()}
    label = (metadata.get("labels") or {}).get(names.OWNER_UID)
    return uids | {label} if label else uids


def _conflict(key: Key, live: Manifest) -> errors.NameConflict:
    created = live["metadata"].get("creationTimestamp", "at an unknown time")
    return errors.NameConflict(
        f"{key} already exists (created {created}) and is not managed by this resource; rename or delete it, "
        "or choose another name for this resource"
    )


def _summary(changes: list[Difference]) -> str:
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f"{changes[0]}{more}"
