"""The parts of an upload in the object store: any pod goes on where another one was cut off.

A part is an object whose name has its number and digest. The file appears under its own name only when all parts
together have the digest that was announced; then the parts are deleted.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from tidemill.contract.uploads import FOLDER, ReceivedPart, UploadOrder, UploadProgress
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.store.objects import ObjectStore

ABANDONED: Final = timedelta(days=7)
"""Parts of an upload that did not go on for so long are deleted by the next one in the namespace."""


class Rejected(Exception):
    """Bytes that are not what was announced."""


class PartStore:
    """What has arrived of one file."""

    def __init__(self, order: UploadOrder, store: ObjectStore) -> None:
        self._order, self._store = order, store
        self._folder = f"{order.namespace}/{FOLDER}/.parts/{order.digest.removeprefix('sha256:')}"
        self._key = f"{order.namespace}/{order.path}"
        self._finishing = threading.Lock()

    def progress(self) -> UploadProgress:
        """Return what has arrived; raise StoreUnreachable."""
        file = self._store.head(self._key)
        if file is not None and file.size == self._order.size:
            return UploadProgress(complete=True)
        return UploadProgress(
            parts=tuple(ReceivedPart(number=number, digest=digest) for number, digest in self._received())
        )

    def put(self, number: int, content: bytes, digest: str) -> None:
        """Keep one part; raise Rejected where it is not part `number` with this digest."""
        if not 0 <= number < self._order.parts:
            raise Rejected(f"the file has {self._order.parts} parts, and no part {number}")
        if len(content) != self._order.part_size(number):
            raise Rejected(f"part {number} has {len(content)} bytes, not {self._order.part_size(number)}")
        actual = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if actual != digest:
            raise Rejected(f"part {number} arrived with digest {actual}, not {digest}")
        self._store.put(self._name(number, digest), content)

    def finish(self) -> None:
        """Put the file under its own name; raise Rejected where parts are absent or the whole is not what was announced."""
        with self._finishing:
            if not self.progress().complete:
                self._store.put_stream(self._key, self._whole())
            self._store.delete_many([entry.key for entry in self._store.stream(self._folder)])

    def delete_abandoned(self, now: datetime) -> None:
        """Delete the parts of other uploads that did not go on for a week."""
        newest: dict[str, datetime] = {}
        keys: dict[str, list[str]] = {}
        for entry in self._store.stream(self._folder.rpartition("/")[0]):
            upload = entry.key.rpartition("/")[0]
            newest[upload] = max(entry.modified, newest.get(upload, entry.modified))
            keys.setdefault(upload, []).append(entry.key)
        for upload, modified in newest.items():
            if upload != self._folder and now - modified > ABANDONED:
                self._store.delete_many(keys[upload])

    def _received(self) -> Iterator[tuple[int, str]]:
        """Yield number and digest of each part, one for each number: the newest, where the file had changed meanwhile."""
        newest: dict[int, tuple[datetime, str]] = {}
        for entry in self._store.list(self._folder):
            written, _, digest = entry.key.rpartition("/")[2].partition("-")
            number = int(written)
            if entry.size == self._order.part_size(number):
                newest[number] = max(newest.get(number, (entry.modified, "")), (entry.modified, digest))
        for number in sorted(newest):
            yield number, f"sha256:{newest[number][1]}"

    def _whole(self) -> Iterator[bytes]:
        """Yield the bytes of the file; an error at the end keeps it from appearing."""
        digest, received = hashlib.sha256(), list(self._received())
        if [number for number, _ in received] != list(range(self._order.parts)):
            raise Rejected(f"{len(received)} of {self._order.parts} parts have arrived")
        for number, part in received:
            try:
                content = self._store.get(self._name(number, part))
            except FileNotFoundError as error:
                raise StoreUnreachable(f"part {number} of the upload is gone; run the command again") from error
            digest.update(content)
            if number == self._order.parts - 1 and f"sha256:{digest.hexdigest()}" != self._order.digest:
                raise Rejected(f"the file arrived with digest sha256:{digest.hexdigest()}, not {self._order.digest}")
            yield content

    def _name(self, number: int, digest: str) -> str:
        return f"{self._folder}/{number:06d}-{digest.removeprefix('sha256:')}"
