"""Our own code as a layer: what the last stage of the Dockerfiles copies, made without an engine in no time."""

import importlib.util
import io
import py_compile
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cluster import wheels

FOLDER = "opt/tidemill/tidemill"


def possible() -> bool:
    """Whether this Python compiles for the Python in the images."""
    return (
        sys.implementation.name == "cpython" and f"{sys.version_info.major}.{sys.version_info.minor}" == wheels.PYTHON
    )


def archive(code: Mapping[str, Path]) -> bytes:
    """A tar archive of the package with its byte code; the same code gives the same bytes."""
    files = {path.removeprefix("tidemill/"): source for path, source in code.items()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        parents = {parent for path in files for parent in Path(FOLDER, path).parents if parent != Path()}
        for folder in sorted(parents):
            _add(tar, str(folder), None)
        for folder in sorted({Path(FOLDER, path).parent for path in files if path.endswith(".py")}):
            _add(tar, str(folder / "__pycache__"), None)
        for path, source in sorted(files.items()):
            inside = Path(FOLDER, path)
            _add(tar, str(inside), source.read_bytes())
            if source.suffix == ".py":
                _add(tar, importlib.util.cache_from_source(str(inside)), _compiled(source, f"/{inside}"))
    return packed.getvalue()


def _compiled(source: Path, shown: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "code.pyc")
        # Not checked against the source at run time: in an image neither changes.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), cfile=str(target), dfile=shown, doraise=True, invalidation_mode=mode)
        return target.read_bytes()


def _add(tar: tarfile.TarFile, path: str, content: bytes | None) -> None:
    entry = tarfile.TarInfo(path)
    if content is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        return
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))
