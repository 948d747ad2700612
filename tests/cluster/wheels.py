"""The wheels that go into the images, fetched on this machine so that the builds need no network."""

import hashlib
import platform
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster import paths
from cluster.commands import run, twice
from cluster.progress import step

PROJECT = paths.REPOSITORY / "pyproject.toml"
CONSTRAINTS = paths.REPOSITORY / "operator" / "constraints.txt"
# What the base image runs, whatever runs this.
PYTHON = "3.11"
PIP = "pip==25.3"
# The C libraries of Debian 12, newest first: wheels for newer ones would not load.
GLIBC = tuple(f"manylinux_2_{minor}" for minor in range(36, 16, -1))
OLDER = ("manylinux2014", "manylinux2010", "manylinux1")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel file; its name says what is in it, as a published wheel never changes."""

    name: str
    path: Path = field(compare=False)


def requirements(project: dict[str, Any], role: str) -> list[str]:
    """What the image `role` asks for: the core dependencies and those of its extra.

    >>> requirements({"dependencies": ["a>=1"], "optional-dependencies": {"server": ["b<2"]}}, "server")
    ['a>=1', 'b<2']
    """
    return [*project["dependencies"], *project["optional-dependencies"][role]]


def of(role: str) -> list[Wheel]:
    """All wheels of the image `role`, exact versions by the constraints file."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    return fetch(role, requirements(project, role), pins(CONSTRAINTS.read_text()))


def pip() -> Wheel:
    """pip itself, to be run from its own wheel: the base image needs none."""
    (wheel,) = fetch("pip", [PIP], [])
    return wheel


def pins(constraints: str) -> list[str]:
    """The lines of a constraints file that pin something, in order.

    >>> pins("# made by …\\nb==2\\na==1  # via b\\n")
    ['a==1', 'b==2']
    """
    return sorted(match[0] for line in constraints.splitlines() if (match := re.match(r"[A-Za-z0-9][^\s#;]*", line)))


def fetch(role: str, wanted: list[str], pinned: list[str]) -> list[Wheel]:
    """The wheels for `wanted` and all that they need, from the cache if they were fetched before."""
    key = hashlib.sha256("\n".join([PYTHON, platform.machine(), *GLIBC, *wanted, "--", *pinned]).encode()).hexdigest()
    file_path = paths.cache() / "wheels" / f"{role}-{key[:12]}"
    if not file_path.exists():
        with step(f"fetching the packages of {role}"):
            twice(lambda: _download(file_path, wanted, pinned))
    return [Wheel(path.name, path) for path in sorted(file_path.glob("*.whl"))]


def _download(path: Path, wanted: list[str], pinned: list[str]) -> None:
    draft = path.with_name(f".{path.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    constraints = draft / "constraints.txt"
    constraints.write_text("\n".join(pinned) + "\n")
    tags = [f"{tag}_{platform.machine()}" for tag in (*GLIBC, *OLDER)] + ["any"]
    run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--dest", draft, "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON,
            *(word for tag in tags for word in ("--platform", tag)), "--constraint", constraints, *wanted,
        ]
    )  # fmt: skip
    draft.rename(path)
