"""kubectl and Helm, as programs to run."""

import re
import shutil
from pathlib import Path

from cluster import paths, programs, versions
from cluster.commands import CommandFailed, run
from cluster.versions import Program


def folder() -> Path:
    """A folder that holds exactly kubectl and helm, for a PATH."""
    path = paths.cache() / "tools"
    path.mkdir(parents=True, exist_ok=True)
    for program in versions.CLIENTS:
        _link(path / program.name, locate(program))
    return path


def locate(program: Program) -> Path:
    """The client itself: ours if it is built, one from the PATH if it fits, else ours, built now."""
    if programs.path(program).exists():
        return programs.path(program)
    executable = shutil.which(program.name)
    if executable and not Path(executable).is_relative_to(paths.cache()) and _fits(program, executable):
        return Path(executable)
    programs.ensure([program])
    return programs.path(program)


def _fits(program: Program, result: str) -> bool:
    try:
        output = run([result, *program.proof], timeout=20)
    except CommandFailed:
        return False
    return fits(output, program.version)


def fits(output: str, wanted: str) -> bool:
    """Whether the first version named in `said` has the same major version and at most one minor version less.

    >>> fits("Client Version: v1.36.0", "1.35.4"), fits("Client Version: v1.32.4", "1.35.4")
    (True, False)
    >>> fits('version.BuildInfo{Version:"v3.19.0"}', "4.1.4"), fits("what?", "4.1.4")
    (False, False)
    """
    match = re.search(r"v(\d+)\.(\d+)\.", output)
    if not match:
        return False
    major, minor = (int(part) for part in wanted.split(".")[:2])
    return int(match[1]) == major and int(match[2]) >= minor - 1


def _link(path: Path, target: Path) -> None:
    if path.is_symlink() and path.readlink() == target:
        return
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.rename(path)
