"""The rules on the structure of the code that import-linter does not hold; `docs/contributing.md` states them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "operator" / "tidemill"
MAX_MODULES = 15
LARGER_FOLDERS = {
    "engine": "rooms were tried: `metrics` and `kinds` tie them into a circle",
    "api": "one module per kind and per group of its fields",
    "runtime/train": "one subject; rooms would import each other in circles",
}
MAX_LINES = 450
SHARED_CLASS_NAMES: dict[str, str] = {}
"""Class names that may occur in more than one module of the product, with the reason."""


def modules(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def size_of_folders() -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    for path in modules(PRODUCT):
        if path.name != "__init__.py":
            sizes[path.parent.relative_to(PRODUCT).as_posix()] += 1
    return sizes


def classes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node.name


def test_no_folder_has_more_modules_than_a_reader_can_scan() -> None:
    too_large = {folder: size for folder, size in size_of_folders().items() if size > MAX_MODULES}

    assert too_large.keys() == LARGER_FOLDERS.keys(), (
        f"give modules that belong together a folder of their own, or take it off LARGER_FOLDERS: {too_large}"
    )


def test_no_class_name_means_two_things() -> None:
    positions: dict[str, list[str]] = defaultdict(list)
    for path in modules(PRODUCT):
        for name in classes(path):
            positions[name].append(path.relative_to(PRODUCT).as_posix())

    twice = {name: result for name, result in positions.items() if len(result) > 1}

    assert twice.keys() == SHARED_CLASS_NAMES.keys(), f"rename one, or correct SHARED_CLASS_NAMES: {twice}"


@pytest.mark.parametrize("root", ["operator", "tests"])
def test_no_module_is_longer_than_one_subject_needs(root: str) -> None:
    lines = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in modules(ROOT / root)
    }

    assert {} == {path: count for path, count in lines.items() if count > MAX_LINES}
