"""A published folder in short: every file with its digest and size; the digest of this list names the folder's content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationError

from tidemill.api.base import Digest, Model
from tidemill.runtime.failures import ArtifactCorrupt

FILE: Final = "manifest.json"


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
        or name == FILE
    ):
        raise ValueError(f"{name!r} is no file name that a manifest may hold")
    return name


class Entry(Model):
    """One file."""

    digest: Digest
    size: int = Field(ge=0)


class Manifest(Model):
    """The files of a folder, complete."""

    format: Literal["tidemill.dev/manifest/v1"] = "tidemill.dev/manifest/v1"
    files: dict[Annotated[str, AfterValidator(_plain)], Entry]

    def to_json(self) -> bytes:
        """Canonical JSON: equal manifests are equal bytes."""
        return json.dumps(self.to_wire(), sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """Names the content of the folder."""
        return digest_of(self.to_json())

    @classmethod
    def of(cls, files: Mapping[str, bytes | Path]) -> Manifest:
        """The manifest of files given as bytes or as paths."""
        return cls(files={name: entry_of(content) for name, content in files.items()})

    @classmethod
    def verified(cls, text: bytes, digest: str, where: str) -> Manifest:
        """The manifest in `text`, if it is the one that `digest` names; raises ArtifactCorrupt otherwise."""
        found = digest_of(text)
        if found != digest:
            raise ArtifactCorrupt(
                f"{where}/{FILE} has the digest {found}, not {digest}: somebody changed or replaced it; nothing of it was used"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ArtifactCorrupt(f"{where}/{FILE} is no manifest of Tidemill: {error.errors()[0]['msg']}") from error


def digest_of(content: bytes) -> str:
    """
    >>> digest_of(b"")[:19]
    'sha256:e3b0c44298fc'
    """
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def entry_of(content: bytes | Path) -> Entry:
    """Digest and size of a file."""
    if isinstance(content, bytes):
        return Entry(digest=digest_of(content), size=len(content))
    with content.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(digest=f"sha256:{digest}", size=file.tell())
