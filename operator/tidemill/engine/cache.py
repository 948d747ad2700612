"""Keep the world current: watch events, lists and the responses to our own writes become one view that never goes back.

* An entry is never replaced by an older one, from whatever source.
* A uid that was deleted never comes back; one that left the selection of a watch does when a newer version arrives.
* The response to our own write counts at once, so that no reconciliation runs on less than the operator itself has written.
* A full list corrects what a watch has missed: changes and deletions that never arrived.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tidemill.engine.kinds import BY_KIND, OURS
from tidemill.engine.pruning import Packed, Recent, pruned
from tidemill.plan.world import Key, Manifest, World, key_of

MAX_TOMBSTONES = 10_000
MAX_VALUES = 250
"""Objects that are also kept as parsed values; parsing one again takes less than a millisecond."""

Dependents = Callable[[Manifest, World], set[Key]]


def compact_world() -> World:
    """Return an empty world that takes half the memory of one made of dictionaries."""
    return World(objects=Packed(), values=Recent(MAX_VALUES))


def version_of(manifest: Manifest) -> int:
    """Return the resource version as a number, which Kubernetes promises to be comparable within a kind; 0 if there is none."""
    text = manifest["metadata"].get("resourceVersion") or "0"
    return int(text) if text.isdecimal() else 0


def _last_version(key: Key, manifest: Manifest) -> float:
    """Return the version up to which an object is gone: infinite, unless it may only have lost the label that is selected."""
    return version_of(manifest) if BY_KIND[key.kind].selector else math.inf


@dataclass(slots=True)
class MissedEvents:
    """A change that a list found before its watch delivered it."""

    version: int
    since: float


@dataclass(slots=True)
class Listing:
    """A list of one kind, in one namespace or in all, while it runs."""

    kind: str
    namespace: str | None
    seen: set[Key] = field(default_factory=set)
    touched: set[Key] = field(default_factory=set)
    """Keys that an event or our own write changed while the list ran; the list may hold older versions of them."""


class ClusterCache:
    """The world, and the rules by which it changes."""

    def __init__(self, world: World, dependents: Dependents, clock: Callable[[], float]) -> None:
        self.world = world
        self._dependents = dependents
        self._clock = clock
        self._gone: OrderedDict[str, float] = OrderedDict()
        """The version up to which each uid is gone; infinite if it cannot come back."""
        self._lost: OrderedDict[Key, None] = OrderedDict()
        """Keys of deleted objects, until an object of that name exists again."""
        self._listings: list[Listing] = []
        self._unconfirmed: set[Key] = set()
        """Objects of our kinds known from the first list alone, which is older than the lists that followed it."""
        self.missed: dict[Key, MissedEvents] = {}
        """Changes that a watch has not delivered yet."""
        self.missed_deletions = 0
        """Objects that a list found deleted without a watch event."""
        self.last_event: dict[str, float] = {}
        """When the watch of each kind last delivered an event."""

    def apply_event(self, event_type: str | None, manifest: Manifest) -> set[Key]:
        """Apply a watch event, and return the keys that it affects."""
        key = key_of(manifest)
        self.last_event[key.kind] = self._clock()
        self._delivered(key, version_of(manifest))
        self._touch(key)
        if event_type == "DELETED":
            return self._remove(key, manifest["metadata"].get("uid", ""), _last_version(key, manifest))
        return self._put(manifest)

    def confirm(self, manifest: Manifest) -> set[Key]:
        """Apply the response to a write of our own, and return the keys that it affects."""
        key = key_of(manifest)
        self._touch(key)
        self._unconfirmed.discard(key)
        return self._put(manifest)

    def remove(self, key: Key, uid: str) -> set[Key]:
        """Remove the object with `uid`, and return the keys that this affects."""
        return self._remove(key, uid)

    def begin(self, kind: str, namespace: str | None) -> Listing:
        """Begin a list of `kind`, of one namespace or of all."""
        listing = Listing(kind, namespace)
        self._listings.append(listing)
        return listing

    def listed(self, listing: Listing, manifests: Iterable[Manifest], *, expected: bool) -> set[Key]:
        """Apply one page, and return the keys affected by what the watch had not delivered.

        `expected` says that the watch does not run yet, so that it has missed nothing.
        """
        watched = BY_KIND[listing.kind]
        affected: set[Key] = set()
        for manifest in manifests:
            # Objects in a list do not repeat their kind.
            manifest.setdefault("apiVersion", watched.api_version)
            manifest.setdefault("kind", watched.kind)
            key = key_of(manifest)
            listing.seen.add(key)
            if key in listing.touched:
                continue
            changed = self._put(manifest)
            if changed and not expected:
                self.missed[key] = MissedEvents(version_of(manifest), self._clock())
            if changed and expected and watched.ours:
                self._unconfirmed.add(key)
            affected |= changed
        return affected

    def abandon(self, listing: Listing) -> None:
        """Give up a list that failed; nothing follows from what it did not contain."""
        self._listings.remove(listing)

    def end(self, listing: Listing) -> set[Key]:
        """End a complete list: remove what it did not contain, and return the keys that this affects."""
        self._listings.remove(listing)
        affected: set[Key] = set()
        for key in self.world.keys(listing.kind):
            elsewhere = listing.namespace is not None and key.namespace != listing.namespace
            if elsewhere or key in listing.seen or key in listing.touched:
                continue
            deleted = self.world.get(*key)
            if deleted is not None:
                self.missed_deletions += 1
                affected |= self._remove(key, deleted["metadata"].get("uid", ""), _last_version(key, deleted))
        return affected

    def has_lost(self, key: Key) -> bool:
        """Return whether an object of this name was deleted, and none exists since."""
        return key in self._lost

    def is_unconfirmed(self, key: Key) -> bool:
        """Return whether an object may have been deleted, with its children, while the first lists were made one after the other."""
        return key in self._unconfirmed

    def stale_kinds(self, timeout_seconds: float) -> list[str]:
        """Return the kinds whose watch has not delivered a known change for longer than `timeout_seconds`."""
        now = self._clock()
        return sorted({key.kind for key, missed in self.missed.items() if now - missed.since > timeout_seconds})

    def _touch(self, key: Key) -> None:
        for listing in self._listings:
            if listing.kind == key.kind:
                listing.touched.add(key)

    def _delivered(self, key: Key, version: int) -> None:
        if not self.missed:
            return
        # A watch delivers in order: an older change has arrived, or never will and was corrected by the list.
        arrived = [
            other for other, change in self.missed.items() if other.kind == key.kind and change.version <= version
        ]
        for other in arrived:
            if other.namespace == key.namespace or other == key:
                del self.missed[other]

    def _put(self, manifest: Manifest) -> set[Key]:
        key = key_of(manifest)
        uid = manifest["metadata"].get("uid", "")
        if version_of(manifest) <= self._gone.get(uid, -1):
            return set()
        self._gone.pop(uid, None)
        known = self.world.get(*key)
        if known is not None and version_of(known) >= version_of(manifest):
            return set()
        # Almost half of all events are echoes of our own writes; only what is new is worth the work.
        manifest = pruned(manifest)
        self.world.put(manifest)
        self._lost.pop(key, None)
        affected = self._dependents(manifest, self.world)
        if known is not None and known["metadata"].get("labels") != manifest["metadata"].get("labels"):
            affected |= self._dependents(known, self.world)
        return self._with_itself(key, affected)

    def _remove(self, key: Key, uid: str, version: float = math.inf) -> set[Key]:
        if uid:
            self._gone[uid] = version
            if len(self._gone) > MAX_TOMBSTONES:
                self._gone.popitem(last=False)
        known = self.world.get(*key)
        # Another object may have taken the name meanwhile.
        if known is None or known["metadata"].get("uid", "") != uid:
            return set()
        self.world.remove(key)
        self.missed.pop(key, None)
        self._unconfirmed.discard(key)
        self._lost[key] = None
        if len(self._lost) > MAX_TOMBSTONES:
            self._lost.popitem(last=False)
        return self._with_itself(key, self._dependents(known, self.world))

    def _with_itself(self, key: Key, affected: set[Key]) -> set[Key]:
        # Labels name owners, and everyone may write labels: an object of another kind has no plan.
        known = {other for other in affected if other.kind in OURS}
        return known | {key} if BY_KIND[key.kind].ours else known
