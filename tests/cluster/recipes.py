"""What each image is made of, and the tag that follows from it: same inputs, same tag."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster import paths, programs, versions, wheels
from cluster.wheels import Wheel

FOLDER = paths.REPOSITORY / "operator" / "images"
PACKAGE = paths.REPOSITORY / "operator" / "tidemill"
# The images that a cluster needs, in the order in which they are built.
ROLES = ("controller", "workload", "server", "store")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile, the files next to it in the build context, and its build arguments."""

    role: str
    dockerfile: Path
    context: Mapping[str, Path]
    arguments: Mapping[str, str]
    # Our own code, by its place in the package; it changes most often and goes in last.
    code: Mapping[str, Path] = field(default_factory=dict)

    @property
    def dependencies(self) -> "Recipe":
        """The same without our code: what the Dockerfile's stage of this name makes."""
        return Recipe(f"{self.role}-dependencies", self.dockerfile, self.context, self.arguments)

    @property
    def digest(self) -> str:
        """Twelve digits that change with anything that goes in."""
        parts = [self.dockerfile.read_bytes(), repr(sorted(self.arguments.items())).encode()]
        for path, source in sorted({**self.context, **self.code}.items()):
            parts.append(path.encode() + b"=" + _identity(source))
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]

    @property
    def reference(self) -> str:
        return f"tidemill/{self.role}:dev-{self.digest}"


def science(base: str, workload: Iterable[Wheel], server: Iterable[Wheel]) -> Recipe:
    """What the two large images share: every wheel that both need."""
    shared = set(server)
    return _installing("science", [wheel for wheel in workload if wheel in shared], {"BASE": base})


def superseded(references: Iterable[str], kept: int) -> list[str]:
    """Of these builds, oldest first, all but the latest `kept` of each image.

    >>> superseded(["a/x:1", "a/y:1", "a/x:2", "a/x:3"], 2)
    ['a/x:1']
    """
    seen: Counter[str] = Counter()
    old = []
    for reference in reversed(list(references)):
        name = reference.partition(":")[0]
        seen[name] += 1
        if seen[name] > kept:
            old.append(reference)
    return old


def controller(base: str, own: Iterable[Wheel], package: Path) -> Recipe:
    """The operator's image."""
    return _with_code(_installing("controller", own, {"BASE": base}), package)


def on_science(role: str, science: Recipe, own: Iterable[Wheel], package: Path) -> Recipe:
    """The workload or server image: what `science` has not, and our code."""
    more = [wheel for wheel in own if f"wheels/{wheel.name}" not in science.context]
    return _with_code(_installing(role, more, {"SCIENCE": science.reference}), package)


def store() -> Recipe:
    """The object store's image."""
    return Recipe("store", FOLDER / "store.Dockerfile", {"versitygw": programs.path(versions.STORE)}, {})


def _installing(role: str, installed: Iterable[Wheel], arguments: Mapping[str, str]) -> Recipe:
    context = {f"wheels/{wheel.name}": wheel.path for wheel in installed}
    context |= {"pip.whl": wheels.pip().path, "slim.py": FOLDER / "slim.py"}
    return Recipe(role, FOLDER / f"{role}.Dockerfile", context, arguments)


def _with_code(recipe: Recipe, package: Path) -> Recipe:
    code = {f"tidemill/{path.relative_to(package).as_posix()}": path for path in package.rglob("*") if path.is_file()}
    return replace(recipe, code=code)


@contextmanager
def snapshot() -> Iterator[Path]:
    """A copy of our package as it is now: someone may be editing it while the images are built."""
    with TemporaryDirectory(prefix="tidemill-") as folder:
        copy = Path(folder) / "tidemill"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        yield copy


def _identity(source: Path) -> bytes:
    if source.suffix == ".whl":
        return source.name.encode()  # a published wheel never changes
    if source.is_relative_to(paths.cache()):
        return f"{source.parent.name}/{source.name}".encode()  # one of the two has the digest of what it was made from
    return source.read_bytes()
