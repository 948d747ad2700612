"""An OCI image layout: a folder of blobs that images share, and the part of it that a node still lacks."""

import hashlib
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
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


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

    def size(self, digest: str) -> int:
        """The bytes of a blob, 0 if it is not here."""
        return self._blob(digest).stat().st_size if self._blob(digest).exists() else 0

    def blobs(self, reference: str) -> list[str]:
        """Everything an image consists of."""
        entry = self._entry(reference)
        manifest = self._json(entry["digest"])
        return [entry["digest"], manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]

    def append(self, below: str, reference: str, layer: bytes) -> None:
        """Make the image `reference`: the image `below` with one more layer, given as a tar archive."""
        manifest = self._json(self._entry(below)["digest"])
        config = self._json(manifest["config"]["digest"])
        diff = self._write(layer)
        config["rootfs"]["diff_ids"].append(diff)
        config.setdefault("history", []).append({"created_by": "COPY --from=code /opt/tidemill /opt/tidemill"})
        about = json.dumps(config).encode()
        manifest["config"] |= {"digest": self._write(about), "size": len(about)}
        manifest["layers"].append({"mediaType": LAYER, "digest": diff, "size": len(layer)})
        content = json.dumps(manifest).encode()
        entry = {
            "mediaType": manifest.get("mediaType", MANIFEST),
            "digest": self._write(content),
            "size": len(content),
            "annotations": {NAME: reference},
        }
        others = [each for each in self._entries() if each.get("annotations", {}).get(NAME) != reference]
        self._save([*others, entry])

    def forget(self, dropped: Collection[str]) -> None:
        """Drop some images, and the blobs that no other image needs."""
        if not dropped:
            return
        kept = [entry for entry in self._entries() if entry.get("annotations", {}).get(NAME) not in dropped]
        self._save(kept)
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
        with tarfile.open(fileobj=to, mode="w") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
            for blob in dict.fromkeys(blob for reference in references for blob in self.blobs(reference)):
                if blob not in present:
                    tar.add(self._blob(blob), arcname=f"blobs/{blob.replace(':', '/')}")

    @property
    def _index(self) -> Path:
        return self.folder / "index.json"

    def _save(self, entries: list[dict[str, Any]]) -> None:
        draft = self._index.with_suffix(".draft")
        draft.write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
        draft.rename(self._index)

    def _write(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._blob(digest).write_bytes(content)
        return digest

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
