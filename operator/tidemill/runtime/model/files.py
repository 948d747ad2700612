"""The files of a published model version: the only reader of its manifest, for pods that serve, train, ingest and check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.store import manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from tidemill.runtime.store.objects import ObjectStore

TRAIN_AGAIN: Final = "train the version again"


def published_digest(uri: str, store: ObjectStore) -> str:
    """Return the digest of the version that is published at `uri`; raise FileNotFoundError where none is."""
    return manifest.digest_of(store.get(f"{store.key_of(uri)}/{manifest.FILE}"))


def folder_digest(folder: Path) -> str | None:
    """Return the digest of the version in a local folder; None where the folder has no manifest."""
    file = folder / manifest.FILE
    return manifest.digest_of(file.read_bytes()) if file.is_file() else None


def check_folder(folder: Path) -> None:
    """Raise ArtifactCorrupt where a file of a local folder differs from the folder's manifest, if it has one."""
    file = folder / manifest.FILE
    if not file.is_file():
        return
    text = file.read_bytes()
    for name, expected in manifest.Manifest.verified(text, manifest.digest_of(text), str(folder)).files.items():
        path = folder / name
        if not path.is_file() or manifest.entry_of(path) != expected:
            raise ArtifactCorrupt(f"{path} is not the file that {file} names; copy the folder again")


class VersionFiles:
    """The files of a version; each is checked before it is read."""

    def __init__(self, uri: str, digest: str, store: ObjectStore, *, remedy: str = TRAIN_AGAIN) -> None:
        """Read the manifest that `digest` names; raise ArtifactCorrupt where there is another one, or none.

        Messages about files end with the `remedy`.
        """
        self._uri, self._store, self._remedy = uri, store, remedy
        self._folder = store.key_of(uri)
        try:
            text = store.get(f"{self._folder}/{manifest.FILE}")
        except FileNotFoundError:
            raise ArtifactCorrupt(
                f"{uri} has no {manifest.FILE}: it was deleted, or never published; {remedy}"
            ) from None
        self._files = manifest.Manifest.verified(text, digest, uri).files

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def read(self, name: str) -> bytes:
        """Return the file; raise ArtifactCorrupt where it is not what was published."""
        uri, remedy = self._uri, self._remedy
        if name not in self._files:
            raise ArtifactCorrupt(f"{uri} has no {name}; {remedy}")
        try:
            content = self._store.get(f"{self._folder}/{name}")
        except FileNotFoundError:
            raise ArtifactCorrupt(f"{uri}/{name} is gone; {remedy}") from None
        if manifest.entry_of(content) != self._files[name]:
            raise ArtifactCorrupt(f"{uri}/{name} is not what was published; nothing of it was used; {remedy}")
        return content

    def table(self, name: str) -> pa.Table | None:
        """Return the rows of a Parquet file; None where the version was made before such files were."""
        if name not in self._files:
            return None
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_table(pa.BufferReader(self.read(name)))
        except (pa.ArrowException, OSError) as error:
            raise ArtifactCorrupt(f"{self._uri}/{name} cannot be read: {error}") from error
