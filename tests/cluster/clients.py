"""kubectl and Helm, as programs to run."""

import re
import shutil
from pathlib import Path

from cluster import paths, programs, versions
from cluster.commands import CommandFailed, run
from cluster.versions import Program


def folder() -> Path:
    """A folder that holds exactly kubectl and helm, for a PATH."""
    place = paths.cache() / "tools"
    place.mkdir(parents=True, exist_ok=True)
    for program in versions.CLIENTS:
        _link(place / program.name, locate(program))
    return place


def locate(program: Program) -> Path:
    """The client itself: ours if it is built, one from the PATH if it fits, else ours, built now."""
    if programs.path(program).exists():
        return programs.path(program)
    found = shutil.which(program.name)
    if found and not Path(found).is_relative_to(paths.cache()) and _fits(program, found):
        return Path(found)
    programs.ensure([program])
    return programs.path(program)


def _fits(program: Program, found: str) -> bool:
    try:
        said = run([found, *program.proof], timeout=20)
    except CommandFailed:
        return False
    return fits(said, program.version)


def fits(said: str, wanted: str) -> bool:
    """Whether the first version named in `said` has the same major version and at most one minor version less.

    >>> fits("Client Version: v1.36.0", "1.35.4"), fits("Client Version: v1.32.4", "1.35.4")
    (True, False)
    >>> fits('version.BuildInfo{Version:"v3.19.0"}', "4.1.4"), fits("what?", "4.1.4")
    (False, False)
    """
    found = re.search(r"v(\d+)\.(\d+)\.", said)
    if not found:
        return False
    major, minor = (int(part) for part in wanted.split(".")[:2])
    return int(found[1]) == major and int(found[2]) >= minor - 1


def _link(place: Path, target: Path) -> None:
    if place.is_symlink() and place.readlink() == target:
        return
    draft = place.with_name(f".{place.name}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.rename(place)
