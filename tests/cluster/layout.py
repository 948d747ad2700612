"""An OCI image layout: a folder of blobs that images share, and the part of it that a node still lacks."""

import io
import json
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

NAME = "org.opencontainers.image.ref.name"
# How a node spells a name that names no registry.
DEFAULT_REGISTRY = "docker.io"


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout in `folder`."""

    folder: Path

    def references(self) -> list[str]:
        return [entry["annotations"][NAME] for entry in self._entries() if NAME in entry.get("annotations", {})]

    def layers(self, reference: str) -> list[str]:
        """The layers of an image, bottom first, by the digests of their unpacked content."""
        manifest = self._json(self._entry(reference)["digest"])
        return list(self._json(manifest["config"]["digest"])["rootfs"]["diff_ids"])

    def blobs(self, reference: str) -> list[str]:
        """Everything an image consists of."""
        entry = self._entry(reference)
        manifest = self._json(entry["digest"])
        return [entry["digest"], manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]

    def forget(self, dropped: Collection[str]) -> None:
        """Drop some images, and the blobs that no other image needs."""
        if not dropped:
            return
        kept = [entry for entry in self._entries() if entry.get("annotations", {}).get(NAME) not in dropped]
        self._index.write_text(json.dumps({**json.loads(self._index.read_text()), "manifests": kept}))
        needed = {blob.removeprefix("sha256:") for reference in self.references() for blob in self.blobs(reference)}
        for path in (self.folder / "blobs" / "sha256").iterdir():
            if path.name not in needed:
                path.unlink()

    def export(self, references: list[str], to: IO[bytes], *, present: set[str]) -> None:
        """Write an archive of these images to a stream, without the blobs in `present`: the receiver has them."""
        entries = []
        for reference in references:
            entry = dict(self._entry(reference))
            entry["annotations"] = {"io.containerd.image.name": f"{DEFAULT_REGISTRY}/{reference}"}
            entries.append(entry)
        with tarfile.open(fileobj=to, mode="w|") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
            for blob in dict.fromkeys(blob for reference in references for blob in self.blobs(reference)):
                if blob not in present:
                    tar.add(self._blob(blob), arcname=f"blobs/{blob.replace(':', '/')}")

    @property
    def _index(self) -> Path:
        return self.folder / "index.json"

    def _entries(self) -> list[dict[str, Any]]:
        return list(json.loads(self._index.read_text())["manifests"]) if self._index.exists() else []

    def _entry(self, reference: str) -> dict[str, Any]:
        for entry in self._entries():
            if entry.get("annotations", {}).get(NAME) == reference:
                return entry
        raise KeyError(f"no image {reference} in {self.folder}")

    def _blob(self, digest: str) -> Path:
        return self.folder / "blobs" / digest.replace(":", "/")

    def _json(self, digest: str) -> Any:
        return json.loads(self._blob(digest).read_text())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
