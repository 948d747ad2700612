"""The sweeper of an object store: measure it, mark what no object uses, and delete what has long been marked.

Nothing is deleted by age alone. A folder that no object of the cluster uses is marked with the time; if that is still so
after the grace period, and nothing was written there meanwhile, it is deleted. A killed sweep leaves marks, and the next one goes
on from them.

A published folder may be published again while it is deleted, with the same content. So it is marked in the folder first;
then its manifest is looked at: a publisher touches it first, and looks for the mark afterwards (`ObjectStore.publish`).
One of the two always sees the other.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from tidemill.contract.references import References
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.retention import record as records
from tidemill.runtime.retention.record import Record
from tidemill.runtime.retention.subjects import OTHER, PUBLISHED, Subject, Used, subject_of
from tidemill.runtime.store import manifest
from tidemill.runtime.store.objects import ObjectEntry, ObjectStore

logger = logging.getLogger(__name__)

MAX_DELETED: Final = 50_000
"""Objects deleted in one turn; what is left waits for the next one."""
_BATCH: Final = 1000
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(slots=True)
class Size:
    """How much there is of something."""

    objects: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.objects += 1
        self.bytes += size


@dataclass(slots=True)
class ListedFolder:
    """One subject as it was listed."""

    size: Size = field(default_factory=Size)
    newest: datetime = _EPOCH
    """When something was last written there."""
    is_being_deleted: bool = False


@dataclass(slots=True)
class Turn:
    """What one turn found and did."""

    sizes: dict[tuple[str, str, bool], Size] = field(default_factory=lambda: defaultdict(Size))
    """By namespace, kind and whether an object uses it."""
    deleted: dict[str, Size] = field(default_factory=lambda: defaultdict(Size))
    """By kind."""
    left: bool = False
    """Whether there is more to delete than one turn may."""

    @property
    def deleted_objects(self) -> int:
        return sum(size.objects for size in self.deleted.values())


class Sweeper:
    """Looks after one store for one release; there must not be two at a time."""

    def __init__(
        self,
        store: ObjectStore,
        ask: Callable[[], References],
        *,
        release: str,
        is_only_user: bool,
        grace: timedelta | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Ask what is in use with `ask`; data that no object uses is kept for `grace`, for good where that is None.

        Where the release is not the store's only user, only namespaces are swept in which it has had an object.
        """
        self._store, self._ask = store, ask
        self._release, self._is_only_user = release, is_only_user
        self._grace, self._clock = grace, clock

    def turn(self) -> Turn:
        """Measure everything, and delete what is due; raises RunFailed or OSError where the store or the operator does not answer."""
        used, turn = Used(self._ask()), Turn()
        for namespace in self._store.folders():
            if not namespace.startswith("_"):
                self._visit(namespace, used, turn)
        return turn

    def _visit(self, namespace: str, used: Used, turn: Turn) -> None:
        folders = self._listed(namespace, used, turn)
        before = records.read(self._store, namespace)
        release = before.release if before else self._release
        may_claim = self._is_only_user or namespace in used.namespaces
        if release != self._release or (before is None and not may_claim):
            return  # measured, and left to the release that has objects there
        now, unused, kept = self._clock(), dict[str, datetime](), 0
        for subject, folder in sorted(folders.items()):
            since = before.unused.get(subject.folder) if before else None
            is_used = subject in used
            if since is None or folder.newest > since:
                since = now
            if folder.is_being_deleted and (is_used or since == now):
                # Left by a killed sweep; as long as it is there, the folder cannot be published again.
                self._store.delete(f"{subject.folder}/{manifest.DELETING}")
            if is_used:
                kept += 1
                continue
            if self._grace is None or now - since < self._grace or not self._delete(subject, since, now, turn):
                unused[subject.folder] = since
        record = Record(self._release, dict(islice(unused.items(), records.MAX_MARKS)))
        if not kept and not unused and (namespace, OTHER, True) not in turn.sizes:
            records.delete(self._store, namespace)  # the namespace has left nothing, so it is not visited again
        elif record != before:
            records.write(self._store, namespace, record)

    def _listed(self, namespace: str, used: Used, turn: Turn) -> dict[Subject, ListedFolder]:
        folders: dict[Subject, ListedFolder] = defaultdict(ListedFolder)
        for entry in self._store.stream(namespace):
            subject = subject_of(entry.key)
            if subject is None:
                turn.sizes[namespace, OTHER, True].add(entry.size)
                continue
            folder = folders[subject]
            folder.size.add(entry.size)
            if entry.key.endswith(f"/{manifest.DELETING}"):
                folder.is_being_deleted = True
            else:
                folder.newest = max(folder.newest, entry.modified)
        for subject, folder in folders.items():
            size = turn.sizes[namespace, subject.kind, subject in used]
            size.objects += folder.size.objects
            size.bytes += folder.size.bytes
        return folders

    def _delete(self, subject: Subject, since: datetime, now: datetime, turn: Turn) -> bool:
        """Delete a folder, and return whether all of it is gone."""
        mark = f"{subject.folder}/{manifest.DELETING}"
        if turn.deleted_objects >= MAX_DELETED:
            turn.left = True
            return False
        if subject.kind in PUBLISHED:
            self._store.create(mark, b"{}")
            published = self._store.head(f"{subject.folder}/{manifest.FILE}")
            if published is not None and published.modified > since:
                self._store.delete(mark)
                return False
            if published is not None:
                self._store.delete(published.key)  # from now on the folder does not exist for readers
                turn.deleted[subject.kind].add(published.size)
        size, first = Size(), None
        while batch := list(islice(self._remaining(subject, mark), min(_BATCH, MAX_DELETED - turn.deleted_objects))):
            if batch[0] == first:  # with the same time: a publisher may have put it again
                raise StoreUnreachable(
                    f"{self._store.uri_of(first.key)} is still there after it was deleted; check the rights to delete"
                )
            first = batch[0]
            self._store.delete_many([entry.key for entry in batch])
            for entry in batch:
                size.add(entry.size)
                turn.deleted[subject.kind].add(entry.size)
        if turn.deleted_objects >= MAX_DELETED and next(self._remaining(subject, mark), None) is not None:
            turn.left = True
            return False
        self._store.delete(mark)
        logger.info(
            "deleted %s, %d objects of %d bytes: no object has used it since %s",
            subject.folder,
            size.objects,
            size.bytes,
            since,
        )
        return True

    def _remaining(self, subject: Subject, mark: str) -> Iterator[ObjectEntry]:
        return (entry for entry in self._store.stream(subject.folder) if entry.key != mark)
