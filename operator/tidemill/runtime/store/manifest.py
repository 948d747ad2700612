"""A published folder in short: every file with its digest and size; the digest of this list names the folder's content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tidemill.runtime.failures import ArtifactCorrupt

FILE: Final = "manifest.json"
DELETING: Final = "deleting.json"
"""The mark of a folder that is being deleted; it is there before the first file goes, and until the last one has gone."""
FORMAT: Final = "tidemill.dev/manifest/v1"
_DIGEST: Final = re.compile("sha256:[0-9a-f]{64}")


def _plain(name: str) -> str:
    """A name that stays inside its folder, wherever it is written."""
    path = PurePosixPath(name)
    if (
        not name
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or "\0" in name
        or path.as_posix() != name
        or name in (FILE, DELETING)
    ):
        raise ValueError(f"invalid file name {name!r} in a manifest")
    return name


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One file."""

    digest: str
    size: int

    @classmethod
    def from_wire(cls, wire: Any) -> ManifestEntry:
        """Return what a manifest says of a file; raises ValueError where it says anything else."""
        if not isinstance(wire, dict):
            raise ValueError("a file must be an object")  # noqa: TRY004 - one error for all that a file may be
        digest, size = wire.get("digest"), wire.get("size")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ValueError("digest: must be sha256: and 64 hexadecimal digits")
        if type(size) is not int or size < 0:
            raise ValueError("size: must be a whole number from 0")
        return cls(digest, size)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a folder, complete."""

    files: dict[str, ManifestEntry]

    def to_json(self) -> bytes:
        """Canonical JSON: equal manifests are equal bytes."""
        files = {name: {"digest": entry.digest, "size": entry.size} for name, entry in self.files.items()}
        return json.dumps({"format": FORMAT, "files": files}, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Return what `to_json` wrote; raises ValueError where it is anything else."""
        wire = json.loads(text)
        if (
            not isinstance(wire, dict)
            or wire.get("format", FORMAT) != FORMAT
            or not isinstance(wire.get("files"), dict)
        ):
            raise ValueError(f"must be a JSON object with the format {FORMAT} and files")
        return cls({_plain(name): ManifestEntry.from_wire(entry) for name, entry in wire["files"].items()})

    @property
    def digest(self) -> str:
        """Names the content of the folder."""
        return digest_of(self.to_json())

    @classmethod
    def of(cls, files: Mapping[str, bytes | Path]) -> Manifest:
        """The manifest of files given as bytes or as paths."""
        return cls({_plain(name): entry_of(content) for name, content in files.items()})

    @classmethod
    def verified(cls, text: bytes, digest: str, where: str) -> Manifest:
        """The manifest in `text`, if it is the one that `digest` names; raises ArtifactCorrupt otherwise."""
        actual = digest_of(text)
        if actual != digest:
            raise ArtifactCorrupt(
                f"{where}/{FILE} has the digest {actual}, not {digest}: somebody changed or replaced it; nothing of it was used"
            )
        try:
            return cls.from_json(text)
        except ValueError as error:
            raise ArtifactCorrupt(f"{where}/{FILE} is not a manifest of Tidemill: {error}") from error


def digest_of(content: bytes) -> str:
    """
    >>> digest_of(b"")[:19]
    'sha256:e3b0c44298fc'
    """
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def entry_of(content: bytes | Path) -> ManifestEntry:
    """Digest and size of a file."""
    if isinstance(content, bytes):
        return ManifestEntry(digest=digest_of(content), size=len(content))
    with content.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ManifestEntry(digest=f"sha256:{digest}", size=file.tell())
