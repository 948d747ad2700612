"""The file on this machine: its digest, and its parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidemill.contract.uploads import PART_BYTES


class UnusableFile(ValueError):
    """The file cannot be uploaded; the message says why."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file as it was when its digest was computed."""

    path: Path
    size: int
    modified: int
    """Time of the last change, in nanoseconds."""
    digest: str

    @classmethod
    def read(cls, path: Path, *, max_bytes: int, note: Callable[[int, int], None]) -> LocalFile:
        """Compute the digest of a file, and call `note` with the bytes read and the size; raise UnusableFile or OSError."""
        if not path.is_file():
            raise UnusableFile(f"'{path}' is not a file; name one file, such as data.parquet")
        before = path.stat()
        if not before.st_size:
            raise UnusableFile(f"'{path}' is empty; put rows into it")
        if before.st_size > max_bytes:
            raise UnusableFile(
                f"'{path}' is larger than {max_bytes >> 30} GiB; copy it to a bucket, and set spec.source.uri to it"
            )
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(PART_BYTES):
                digest.update(block)
                size += len(block)
                note(size, before.st_size)
        result = cls(path, size, before.st_mtime_ns, f"sha256:{digest.hexdigest()}")
        result.check()
        return result

    def part(self, number: int) -> bytes:
        """Return the bytes of a part, counted from 0; raise UnusableFile where the file changed."""
        with self.path.open("rb") as file:
            file.seek(number * PART_BYTES)
            content = file.read(PART_BYTES)
        self.check()
        return content

    def check(self) -> None:
        """Raise UnusableFile where the file is not as it was."""
        now = self.path.stat()
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified):
            raise UnusableFile(f"'{self.path}' was changed during the upload; run the command again")
