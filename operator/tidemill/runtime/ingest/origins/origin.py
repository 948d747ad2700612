"""What every place of files offers: the files that a URI stands for, and the bytes of each."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class SourceFile(NamedTuple):
    """One file of a source."""

    name: str
    """How messages call it, such as its key in a bucket."""
    path: str
    """The part of the name that the URI leaves open; its folders may say values of columns."""
    tag: str
    """Changes with the content, such as an ETag; empty where nothing says so."""


class Origin(Protocol):
    """The place of the files of one URI."""

    def files(self) -> list[SourceFile]:
        """Return the files in the order of their names, at least one; raise SourceNotFound or SourceUnreachable."""
        ...

    def content(self, file: SourceFile) -> bytes:
        """Return the bytes of one file; raise SourceNotFound, SourceUnreachable or SourceUnreadable."""
        ...
