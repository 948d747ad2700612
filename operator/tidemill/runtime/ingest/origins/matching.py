"""Which files a path stands for: one file, a folder with all that is below it, or a glob pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from tidemill.runtime.failures import SourceNotFound, SourceUnreadable

MAX_FILES: Final = 10_000
_WILDCARD: Final = re.compile(r"[*?]")
_PARTS: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\]|%[0-9A-Fa-f]{2}")
# Such names would write on terminals, turn the direction of a message, or be no text at all.
_UNSHOWABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class PathSelection:
    """What a path selects."""

    path: str
    """As it is written, without a slash at either end."""
    folder: str
    """The folder that all selected files are below; no wildcard is in it."""
    is_one_file: bool
    _regex: re.Pattern[str]
    _hidden: bool
    """Whether hidden files are asked for."""

    @classmethod
    def of(cls, path: str) -> PathSelection:
        """Read a path; one that ends with a slash is a folder, with all that is below it."""
        is_folder, path = path.endswith("/") or not path, path.strip("/")
        if is_folder:
            return cls(path, path, False, pattern(f"{path}/**" if path else "**"), False)
        if not _WILDCARD.search(path):
            return cls(path, path.rpartition("/")[0], True, pattern(path), True)
        folder = _WILDCARD.split(path, maxsplit=1)[0].rpartition("/")[0]
        open_part = path[len(folder) :].strip("/")
        return cls(path, folder, False, pattern(path), any(_is_hidden(name) for name in open_part.split("/")))

    def relative(self, key: str) -> str:
        """Return the part of a key that is below the folder.

        >>> PathSelection.of("lake/day=*/*.csv").relative("lake/day=1/a.csv")
        'day=1/a.csv'
        """
        return key[len(self.folder) :].lstrip("/")

    def matches(self, key: str) -> bool:
        """Return whether the path selects a key; names that begin with `.` or `_`, as Spark's `_SUCCESS`, only if it says so.

        >>> [PathSelection.of("a/").matches(key) for key in ("a/b.csv", "a/b/c.csv", "a/_SUCCESS", "a/.crc/b.csv")]
        [True, True, False, False]
        """
        if not self._regex.fullmatch(key):
            return False
        return self._hidden or not any(_is_hidden(name) for name in self.relative(key).split("/"))

    def chosen(self, uri: str, entries: Iterable[tuple[str, _Entry]]) -> Iterator[_Entry]:
        """Yield the selected ones of entries with their keys; raise SourceNotFound for none, SourceUnreadable for too many."""
        count = 0
        for key, entry in entries:
            if not self.matches(key):
                continue
            if _UNSHOWABLE.search(key):
                raise SourceUnreadable(
                    f"{uri} matches a file whose name has control characters or is not UTF-8, {ascii(key)[:300]}; rename or remove it"
                )
            count += 1
            if count > MAX_FILES:
                raise SourceUnreadable(f"{uri} matches more than {MAX_FILES:,} files; put the rows into fewer files")
            yield entry
        if not count:
            raise SourceNotFound(f"no file matches {uri}; upload one, or correct spec.source.uri")


def pattern(glob: str) -> re.Pattern[str]:
    """Return the expression of a glob over keys: `*` and `?` stay within a folder, `**` does not, and `**/` may be no folder at all.

    >>> bool(pattern("a/*.csv").fullmatch("a/b.csv")), bool(pattern("a/*.csv").fullmatch("a/b/c.csv"))
    (True, False)
    >>> bool(pattern("a/**.csv").fullmatch("a/b/c.csv")), bool(pattern("a/**/c.csv").fullmatch("a/c.csv"))
    (True, True)
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    return re.compile("".join(_PARTS.get(part) or re.escape(part) for part in parts), re.DOTALL)


def confined(path: str, uri: str) -> str:
    """Return a path without its leading slash; raise SourceNotFound where it could lead out of its folder.

    >>> confined("/raw/a.csv", "store:///raw/a.csv")
    'raw/a.csv'
    """
    if _UNSAFE.search(path):
        raise SourceNotFound(
            f"{uri!r} contains an escape, a backslash or a control character; write the name as it is in spec.source.uri"
        )
    kept = path.removeprefix("/")
    if any(name in ("", ".", "..") for name in kept.removesuffix("/").split("/")):
        raise SourceNotFound(
            f"{uri!r} contains an empty name, '.' or '..'; write the path without it in spec.source.uri"
        )
    return kept


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))
