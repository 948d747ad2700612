"""Deeds: what a plan wants, done with as few writes as it takes, and with none where everything already is as it shall be.

Whatever is written is taken into the store at once, so that a next visit sees it. Where the API server keeps something
other than what we said (a default that the comparison does not know, a field that it drops), the remaining difference is
remembered and not written again: a wish that was granted differently is no reason to wish for ever.
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

Nudge = Callable[[set[Key]], None]


class Applier:
    """Writes, with the owner's key as the reason."""

    def __init__(self, client: Client, store: ClusterCache, nudge: Nudge) -> None:
        self._client = client
        self._store = store
        self._nudge = nudge
        self._granted: dict[Key, frozenset[str]] = {}
        """Differences that the API server has left after it accepted what we said."""

    async def ensure(self, wanted: Manifest, why: Key) -> bool:
        """Make the object as `wanted` says; answers whether anything had to be written.

        Raises NameConflict where an object of somebody else has the name.
        """
        key = key_of(wanted)
        live = self._store.world.get(*key)
        if live is None:
            return await self._make(key, wanted, why)
        if not is_ours(wanted, live):
            raise _conflict(key, live)
        if live["metadata"].get("deletionTimestamp"):
            return False  # its end will bring us back
        return await self._adjust(key, wanted, live, why)

    async def mark(self, mark: Mark, why: Key) -> bool:
        """Set and take away annotations; answers whether anything had to be written."""
        live = self._store.world.get(*mark.key)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return False
        present = live["metadata"].get("annotations") or {}
        changes = {name: value for name, value in mark.annotations.items() if present.get(name) != value}
        if not changes:
            return False
        log.info("%s: mark %s: %s", why, mark.key, ", ".join(sorted(changes)))
        # A merge patch, not an apply: two planners may mark one object, and an apply would take the other's marks away.
        patch = {"metadata": {"uid": live["metadata"]["uid"], "annotations": changes}}
        try:
            answer = await self._client.merge(mark.key, patch, manager=MARKS_MANAGER)
        except errors.Missing:
            return False
        self._wrote("mark", mark.key, answer)
        return True

    async def report(self, key: Key, live: Manifest, status: Mapping[str, Any]) -> bool:
        """Write the status where it differs from the live one; answers whether it did.

        The resource version is a precondition: a status that was decided on something older is never written.
        """
        patch = merge_patch(live.get("status"), status)
        if not patch or self._is_granted(key, patch):
            return False
        answer = await self._write_status(key, live, patch)
        if answer is None:
            return False
        self._grant(key, merge_patch(answer.get("status"), status))
        return True

    async def complain(self, key: Key, live: Manifest, said: Mapping[str, Any]) -> bool:
        """Write into the status of an object that does not parse, and leave what else is there; answers whether it had to."""
        status = live.get("status")
        patch = {
            name: value for name, value in said.items() if not isinstance(status, Mapping) or status.get(name) != value
        }
        return bool(patch) and await self._write_status(key, live, patch) is not None

    async def retire(self, retirement: Retirement, why: Key) -> bool:
        """Delete exactly the object that was seen; answers whether it was there."""
        key = retirement.key
        log.info("%s: delete %s: %s", why, key, retirement.reason)
        try:
            answer = await self._client.delete(key, uid=retirement.uid)
        except errors.Missing:
            self._nudge(self._store.bury(key, retirement.uid))
            return False
        except errors.Conflict:
            if await self._is_still_there(retirement):
                raise  # somebody wrote at the same moment: again, and soon
            log.info("%s: %s is another object by now", why, key)
            return False
        metrics.WRITES.labels(key.kind, "delete").inc()
        if answer.get("kind") == "Status":
            self._nudge(self._store.bury(key, retirement.uid))
        else:
            self._nudge(self._store.confirm(answer))  # it is leaving
        return True

    async def _is_still_there(self, retirement: Retirement) -> bool:
        """Whether what was to be deleted is what has the name now."""
        try:
            live = await self._client.read(retirement.key)
        except errors.Missing:
            self._nudge(self._store.bury(retirement.key, retirement.uid))
            return False
        self._nudge(self._store.confirm(live))
        return bool(live["metadata"]["uid"] == retirement.uid)

    def forget(self, key: Key) -> None:
        """The object at `key` is gone."""
        self._granted.pop(key, None)

    async def _make(self, key: Key, wanted: Manifest, why: Key) -> bool:
        if self._is_surprising(key, why):
            await self._confirm_owner(wanted, why)
        try:
            # Without force: should an object exist that we do not see, its fields stay as they are.
            answer = await self._client.apply(wanted, force=False)
        except errors.Conflict:
            live = await self._client.read(key)
            if not is_ours(wanted, live):
                raise _conflict(key, live) from None
            self._nudge(self._store.confirm(live))
            return await self._adjust(key, wanted, live, why)
        log.info("%s: make %s", why, key)
        self._wrote("make", key, answer)
        self._remember(key, wanted, answer)
        return True

    def _is_surprising(self, key: Key, why: Key) -> bool:
        """Whether an object that is missing was there before: so its owner may be gone too, and its watch late to say so.

        A new life that lists the owner, then the children, cannot know: both may have gone in between.
        """
        store = self._store
        return store.has_lost(key) or store.is_hearsay(why) or is_true(store.world.get(*why), "Ready")

    async def _confirm_owner(self, wanted: Manifest, why: Key) -> None:
        """Missing where `why` is not the owner any more that `wanted` names: what it made must not come back.

        Conflict where its spec is another one by now than that which was planned for.
        """
        uids = {owner["uid"] for owner in wanted["metadata"].get("ownerReferences") or ()}
        known = self._store.world.get(*why)
        if known is None or known["metadata"]["uid"] not in uids:
            return
        try:
            live = await self._client.read(why)
        except errors.Missing:
            self._nudge(self._store.bury(why, known["metadata"]["uid"]))
            raise
        self._nudge(self._store.confirm(live))
        if live["metadata"].get("deletionTimestamp") or live["metadata"]["uid"] not in uids:
            raise errors.Missing(f"{why} that was to have {key_of(wanted)} is going or gone")
        if live["metadata"].get("generation") != known["metadata"].get("generation"):
            raise errors.Conflict(f"{why} asks for something else since {key_of(wanted)} was planned")

    async def _adjust(self, key: Key, wanted: Manifest, live: Manifest, why: Key) -> bool:
        found = [one for one in differences(wanted, live) if str(one) not in self._granted.get(key, ())]
        if not found:
            return False
        if not is_complete(key.kind):
            live = await self._client.read(key)
        body = applicable(wanted, live)
        body = {**body, "metadata": {**body["metadata"], "uid": live["metadata"]["uid"]}}
        try:
            answer = await self._client.apply(body, force=True)
        except errors.Invalid as refusal:
            answer = await self._insist(key, body, refusal)
        log.info("%s: apply %s: %s", why, key, _summary(found))
        self._wrote("apply", key, answer)
        self._remember(key, wanted, answer)
        return True

    async def _insist(self, key: Key, body: Manifest, refusal: errors.Invalid) -> Manifest:
        """Replace whole lists, where an element of somebody else's in one of them makes ours invalid."""
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
            answer = await self._client.merge(key, body, subresource="status")
        except errors.Missing:
            self._nudge(self._store.bury(key, metadata.get("uid", "")))
            return None
        except errors.Conflict:
            # What we know is old. The watch may be late, so look for ourselves before the next try.
            self._nudge(self._store.confirm(await self._client.read(key)))
            raise
        self._wrote("status", key, answer)
        return answer

    def _wrote(self, operation: str, key: Key, answer: Manifest) -> None:
        metrics.WRITES.labels(key.kind, operation).inc()
        self._nudge(self._store.confirm(answer))

    def _remember(self, key: Key, wanted: Manifest, answer: Manifest) -> None:
        left = frozenset(str(one) for one in differences(wanted, answer))
        if left:
            log.warning("%s: the API server keeps it otherwise: %s", key, "; ".join(sorted(left)))
            self._granted[key] = left
        else:
            self._granted.pop(key, None)

    def _is_granted(self, key: Key, patch: Mapping[str, Any]) -> bool:
        return frozenset({f"status {patch}"}) == self._granted.get(key)

    def _grant(self, key: Key, left: Mapping[str, Any]) -> None:
        if left:
            log.warning("%s: the API server keeps the status otherwise: %s", key, ", ".join(sorted(left)))
            self._granted[key] = frozenset({f"status {left}"})
        else:
            self._granted.pop(key, None)


def is_ours(wanted: Manifest, live: Manifest) -> bool:
    """Whether the live object was made by the owner that `wanted` names, by owner reference or by label.

    An object that names no owner at all is wanted by nobody in particular, and everyone may keep it.
    """
    owners = _owners(wanted)
    return not owners or bool(owners & _owners(live))


def is_true(manifest: Manifest | None, condition: str) -> bool:
    """Whether the object says so of itself."""
    status = (manifest or {}).get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    return any(one.get("type") == condition and one.get("status") == "True" for one in conditions or ())


def _owners(manifest: Manifest) -> set[str]:
    metadata = manifest["metadata"]
    uids = {str(owner.get("uid")) for owner in metadata.get("ownerReferences") or ()}
    label = (metadata.get("labels") or {}).get(names.OWNER_UID)
    return uids | {label} if label else uids


def _conflict(key: Key, live: Manifest) -> errors.NameConflict:
    made = live["metadata"].get("creationTimestamp", "an unknown time")
    return errors.NameConflict(
        f"{key} exists since {made} and is not ours; rename or delete it, or choose another name for this resource"
    )


def _summary(found: list[Difference]) -> str:
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]}{more}"
