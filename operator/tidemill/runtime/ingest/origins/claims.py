"""Files of a PersistentVolumeClaim, which is mounted read-only in the pod.

The volume may be written by others meanwhile, and a link on it could lead to this pod's own files. So each folder and
file is opened below the one before, without following links.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidemill.contract.orders import CLAIM_PATH
from tidemill.runtime.failures import SourceNotFound, SourceUnreachable, SourceUnreadable
from tidemill.runtime.ingest.origins.matching import PathSelection, confined
from tidemill.runtime.ingest.origins.origin import SourceFile

SCHEME: Final = "pvc://"
_URI: Final = re.compile(r"pvc://([a-z0-9][a-z0-9.-]*)(/.+)", re.DOTALL)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class Claim:
    """The files that a URI selects on a volume."""

    uri: str
    root: Path
    """Where the volume is mounted."""
    selection: PathSelection

    @classmethod
    def of(cls, uri: str, root: Path = Path(CLAIM_PATH)) -> Claim:
        """Read a URI; raise SourceNotFound where it names no path on a claim."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise SourceNotFound(f"{uri!r} names no file of a claim; write pvc://CLAIM/path")
        return cls(uri, root, PathSelection.of(confined(match[2], uri)))

    def files(self) -> list[SourceFile]:
        """Return the selected files; links and what is not a file are left out."""
        try:
            if self.selection.is_one_file:
                with self._opened(self.selection.path) as (_, status):
                    return [SourceFile(self.selection.path, self.selection.path, _tag(status))]
            chosen = self.selection.chosen(self.uri, self._below(self.selection.folder, 0))
            return sorted(SourceFile(key, self.selection.relative(key), tag) for key, tag in chosen)
        except OSError as error:
            raise self._failure(error) from error

    def content(self, file: SourceFile) -> bytes:
        """Return the bytes of a file."""
        try:
            with self._opened(file.name) as (descriptor, _), os.fdopen(os.dup(descriptor), "rb") as opened:
                return opened.read()
        except OSError as error:
            raise self._failure(error) from error

    @contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        """Open a folder below the root, one step after the other."""
        descriptor = os.open(self.root, _FOLDER)
        try:
            for name in path.split("/") if path else ():
                below = os.open(name, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, path: str) -> Iterator[tuple[int, os.stat_result]]:
        folder, _, name = path.rpartition("/")
        with self._folder(folder) as parent:
            descriptor = os.open(name, _FILE, dir_fd=parent)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise SourceNotFound(f"{self.uri} is a folder; write {self.uri}/ to read all files below it")
            if not stat.S_ISREG(status.st_mode):
                raise SourceUnreadable(f"{path!r} on the volume is not a file; correct spec.source.uri")
            yield descriptor, status
        finally:
            os.close(descriptor)

    def _below(self, folder: str, depth: int) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield the files below a folder: their path, twice, and their tag."""
        if depth > _MAX_DEPTH:
            raise SourceUnreadable(f"{folder!r} is more than {_MAX_DEPTH} folders deep; name a folder below it")
        folders = []
        with self._folder(folder) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}".lstrip("/")
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path, (path, _tag(os.stat(entry.name, dir_fd=descriptor, follow_symlinks=False)))
        for path in folders:
            yield from self._below(path, depth + 1)

    def _failure(self, error: OSError) -> SourceNotFound | SourceUnreachable:
        text = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            return SourceNotFound(
                f"{self.uri} does not exist on the volume; write the file, or correct spec.source.uri"
            )
        if isinstance(error, PermissionError):
            return SourceUnreachable(
                f"{self.uri} may not be read ({text}); make the file readable for user or group 65532"
            )
        if isinstance(error, NotADirectoryError) or error.errno == errno.ELOOP:
            return SourceNotFound(
                f"{self.uri} leads through a symbolic link or a file ({text}); name the file without links"
            )
        return SourceUnreachable(f"{self.uri} cannot be read: {text}; check the volume")


def _tag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
