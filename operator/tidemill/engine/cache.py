"""How the world is kept true: watch events, lists and the answers to our own writes become one view that never goes back.

* An entry is never replaced by an older one, whoever brings it.
* A uid that was seen deleted never comes back; one that left the selection of a watch does when something newer is said of it.
* The answer to our own write counts at once, so that no visit ever runs on less than the operator itself has done.
* A full list heals what a watch has lost: changes that never came, and ghosts that are long gone.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tidemill.engine.kinds import BY_KIND, OURS
from tidemill.engine.pruning import Packed, Recent, pruned
from tidemill.plan.world import Key, Manifest, World, key_of

TOMBSTONES = 10_000
READ_VALUES = 250
"""Objects that are kept as values of the domain besides; reading one again costs less than a millisecond."""

Dependents = Callable[[Manifest, World], set[Key]]


def version_of(manifest: Manifest) -> int:
    """The resource version as a number, which Kubernetes promises to be comparable within a kind; 0 where there is none."""
    text = manifest["metadata"].get("resourceVersion") or "0"
    return int(text) if text.isdecimal() else 0


def _left(key: Key, manifest: Manifest) -> float:
    """The version with which an object left a watch or a list: for ever, unless it may only have lost the label they select."""
    return version_of(manifest) if BY_KIND[key.kind].selector else math.inf


@dataclass(slots=True)
class MissedEvents:
    """A change that a list brought to light before its watch did."""

    version: int
    since: float


@dataclass(slots=True)
class Listing:
    """A list of one kind in one place, while it runs."""

    kind: str
    namespace: str | None
    seen: set[Key] = field(default_factory=set)
    touched: set[Key] = field(default_factory=set)
    """Keys that an event or a write of ours changed while the list ran; what the list says of them may be older."""


class ClusterCache:
    """The world, with the rules by which it changes."""

    def __init__(self, world: World, dependents: Dependents, clock: Callable[[], float]) -> None:
        self.world = world
        world.objects = Packed()
        world.values = Recent(READ_VALUES)
        self._dependents = dependents
        self._clock = clock
        self._gone: OrderedDict[str, float] = OrderedDict()
        """The version with which each uid went; infinite where it cannot come back."""
        self._lost: OrderedDict[Key, None] = OrderedDict()
        """Where an object was that went, until one is there again."""
        self._listings: list[Listing] = []
        self._hearsay: set[Key] = set()
        """Objects of ours that only the first list told of, which is older than the lists that followed it."""
        self.missed: dict[Key, MissedEvents] = {}
        """Changes that a watch still owes us."""
        self.ghosts = 0
        """Objects that were gone without a word from the watch."""
        self.last_event: dict[str, float] = {}
        """When the watch of each kind last delivered something."""

    def absorb(self, event_type: str | None, manifest: Manifest) -> set[Key]:
        """Take in a watch event; answers with the keys that it concerns."""
        key = key_of(manifest)
        self.last_event[key.kind] = self._clock()
        self._delivered(key, version_of(manifest))
        self._touch(key)
        if event_type == "DELETED":
            return self._bury(key, manifest["metadata"].get("uid", ""), _left(key, manifest))
        return self._put(manifest)

    def confirm(self, manifest: Manifest) -> set[Key]:
        """Take in the answer to a write of our own; answers with the keys that it concerns."""
        key = key_of(manifest)
        self._touch(key)
        self._hearsay.discard(key)
        return self._put(manifest)

    def bury(self, key: Key, uid: str) -> set[Key]:
        """Take in that the object with `uid` is deleted; answers with the keys that this concerns."""
        return self._bury(key, uid)

    def begin(self, kind: str, namespace: str | None) -> Listing:
        """A list of `kind` begins, of one namespace or of all."""
        listing = Listing(kind, namespace)
        self._listings.append(listing)
        return listing

    def listed(self, listing: Listing, manifests: Iterable[Manifest], *, expected: bool) -> set[Key]:
        """Take in one page; answers with the keys affected by what the watch had not told.

        `expected` says that the watch does not run yet, so that news is no reproach to it.
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
            news = self._put(manifest)
            if news and not expected:
                self.missed[key] = MissedEvents(version_of(manifest), self._clock())
            if news and expected and watched.ours:
                self._hearsay.add(key)
            affected |= news
        return affected

    def abandon(self, listing: Listing) -> None:
        """The list broke off; nothing follows from what it did not say."""
        self._listings.remove(listing)

    def end(self, listing: Listing) -> set[Key]:
        """The list is complete: what it did not name is gone; answers with the keys that this concerns."""
        self._listings.remove(listing)
        affected: set[Key] = set()
        for key in self.world.keys(listing.kind):
            elsewhere = listing.namespace is not None and key.namespace != listing.namespace
            if elsewhere or key in listing.seen or key in listing.touched:
                continue
            ghost = self.world.get(*key)
            if ghost is not None:
                self.ghosts += 1
                affected |= self._bury(key, ghost["metadata"].get("uid", ""), _left(key, ghost))
        return affected

    def has_lost(self, key: Key) -> bool:
        """Whether an object of this name went, and none has come since."""
        return key in self._lost

    def is_hearsay(self, key: Key) -> bool:
        """Whether an object may have gone, with all it had, while the first lists were made one after the other."""
        return key in self._hearsay

    def stale_kinds(self, patience: float) -> list[str]:
        """Kinds whose watch has owed us a change for longer than `patience` seconds."""
        now = self._clock()
        return sorted({key.kind for key, missed in self.missed.items() if now - missed.since > patience})

    def _touch(self, key: Key) -> None:
        for listing in self._listings:
            if listing.kind == key.kind:
                listing.touched.add(key)

    def _delivered(self, key: Key, version: int) -> None:
        if not self.missed:
            return
        # A watch delivers in order: whatever is older than this has come, or never will and was healed by the list.
        for owed in [
            owed for owed, missed in self.missed.items() if owed.kind == key.kind and missed.version <= version
        ]:
            if owed.namespace == key.namespace or owed == key:
                del self.missed[owed]

    def _put(self, manifest: Manifest) -> set[Key]:
        key = key_of(manifest)
        uid = manifest["metadata"].get("uid", "")
        if version_of(manifest) <= self._gone.get(uid, -1):
            return set()
        self._gone.pop(uid, None)
        known = self.world.get(*key)
        if known is not None and version_of(known) >= version_of(manifest):
            return set()
        # Almost half of what watches bring are echoes of our own writes; only what is news is worth the work.
        manifest = pruned(manifest)
        self.world.put(manifest)
        self._lost.pop(key, None)
        affected = self._dependents(manifest, self.world)
        if known is not None and known["metadata"].get("labels") != manifest["metadata"].get("labels"):
            affected |= self._dependents(known, self.world)
        return self._with_itself(key, affected)

    def _bury(self, key: Key, uid: str, version: float = math.inf) -> set[Key]:
        if uid:
            self._gone[uid] = version
            if len(self._gone) > TOMBSTONES:
                self._gone.popitem(last=False)
        known = self.world.get(*key)
        # Another object may have taken the name meanwhile.
        if known is None or known["metadata"].get("uid", "") != uid:
            return set()
        self.world.remove(key)
        self.missed.pop(key, None)
        self._hearsay.discard(key)
        self._lost[key] = None
        if len(self._lost) > TOMBSTONES:
            self._lost.popitem(last=False)
        return self._with_itself(key, self._dependents(known, self.world))

    def _with_itself(self, key: Key, affected: set[Key]) -> set[Key]:
        # Labels name owners, and anyone may write labels: what is not of our kinds has no plan.
        known = {one for one in affected if one.kind in OURS}
        return known | {key} if BY_KIND[key.kind].ours else known
