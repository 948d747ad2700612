"""Container images of a few files and no operating system, written without any engine."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Images with the same content have the same digest, whenever they are made.
EPOCH = 0


def archive(
    reference: str,
    files: Mapping[str, Path],
    *,
    command: Sequence[str],
    links: Mapping[str, str] | None = None,
    user: str = "",
) -> bytes:
    """A docker archive of one image: `files` by path in the image, `links` to other paths, what it runs and as whom."""
    layer = _layer(files, links or {})
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Entrypoint": list(command), "Env": ["PATH=/bin"], "User": user},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        _add(tar, "manifest.json", json.dumps(manifest).encode(), 0o644)
        _add(tar, name, config, 0o644)
        _add(tar, "layer.tar", layer, 0o644)
    return packed.getvalue()


def _layer(files: Mapping[str, Path], links: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, EPOCH
            tar.addfile(entry)
        for path, source in files.items():
            _add(tar, path, source.read_bytes(), 0o755)
        for path, target in links.items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname, entry.mtime = tarfile.SYMTYPE, target, EPOCH
            tar.addfile(entry)
    return packed.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.mtime = len(content), mode, EPOCH
    tar.addfile(entry, io.BytesIO(content))


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
