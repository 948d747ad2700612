"""Cut from a folder of installed packages what no program of ours ever opens, then compile the rest.

Run inside the image build, by the Python of the image: `python slim.py SITE_PACKAGES`.
"""

import compileall
import py_compile
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# Test suites and sources; what is kept is imported or read by its own package.
FOLDERS = ("tests", "test", "__pycache__", "include")
KEPT = ("numpy/_core/tests", "sklearn/datasets/data")
FILES = (
    "*.pyi",
    "*.pxd",
    "*.pyx",
    "*.pxi",
    "*.c",
    "*.h",
    "*.hpp",
    "*.cpp",
    "*.cc",
    "*.a",
    "*.lib",
    "*.proto",
    "*.js.map",
)
# Parts of packages that are large and that we do not use; each was tried without.
UNUSED = (
    "bin",
    "share",
    "kubernetes/aio",
    "kubernetes/docs",
    "kubernetes/e2e_test",
    "onnx/backend/test",
    "onnx/examples",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "pyarrow/src",
    "pyarrow/libarrow_flight*",
    "pyarrow/libarrow_python_flight*",
    "pyarrow/_flight*",
    "sklearn/datasets/images",
    "uv",
)


def unused(site: Path) -> Iterator[Path]:
    """What goes, in no particular order; some lie inside others."""
    for pattern in UNUSED:
        yield from site.glob(pattern)
    for path in site.rglob("*"):
        inside = path.relative_to(site).as_posix()
        if inside.startswith(KEPT):
            continue
        if (path.is_dir() and path.name in FOLDERS) or (path.is_file() and any(path.match(name) for name in FILES)):
            yield path


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    site = Path(sys.argv[1])
    for path in list(unused(site)):
        if path.exists():
            remove(path)
    # Some packages carry templates in Python's syntax but not quite; they are never imported.
    compileall.compile_dir(site, quiet=2, workers=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


main()
