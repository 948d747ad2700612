"""The files of a published model version."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.store import manifest
from tidemill.runtime.store.objects import ObjectStore


class VersionFiles:
    """The files of a version; each is checked before it is read."""

    def __init__(self, version: VersionOrder, store: ObjectStore) -> None:
        self._version, self._store = version, store
        self._folder = store.key_of(version.uri)
        try:
            text = store.get(f"{self._folder}/{manifest.FILE}")
        except FileNotFoundError:
            raise ArtifactCorrupt(
                f"{version.uri} has no {manifest.FILE}: it was deleted, or never published; train it again"
            ) from None
        self._files = manifest.Manifest.verified(text, version.digest, version.uri).files

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def read(self, name: str) -> bytes:
        """The file; raises ArtifactCorrupt where it is not what was published."""
        uri = self._version.uri
        if name not in self._files:
            raise ArtifactCorrupt(f"{uri} has no {name}; train the version again")
        try:
            content = self._store.get(f"{self._folder}/{name}")
        except FileNotFoundError:
            raise ArtifactCorrupt(f"{uri}/{name} is gone; train the version again") from None
        if manifest.entry_of(content) != self._files[name]:
            raise ArtifactCorrupt(
                f"{uri}/{name} is not what was published; nothing of it was used; train the version again"
            )
        return content

    def table(self, name: str) -> pa.Table | None:
        """The rows of a Parquet file; None where the version was made before such files were."""
        if name not in self._files:
            return None
        try:
            return pq.read_table(pa.BufferReader(self.read(name)))
        except (pa.ArrowException, OSError) as error:
            raise ArtifactCorrupt(f"{self._version.uri}/{name} cannot be read: {error}") from error
