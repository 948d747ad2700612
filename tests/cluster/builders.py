"""The two ways to turn a recipe into an image: a container engine, or buildah where there is none."""

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster import code_layer, packages, paths, rootfs
from cluster.commands import CommandFailed, answers, run
from cluster.layout import Layout
from cluster.progress import step
from cluster.recipes import Recipe, superseded

STRAYS = (Path("/var/lib/containers"), Path("/run/containers"))
PULLED = "python:3.11-slim-bookworm"


class Builder(Protocol):
    """Builds images and knows how large they are."""

    def base(self) -> str:
        """The image that all others start from."""
        ...

    def has(self, reference: str) -> bool: ...

    def build(self, recipe: Recipe) -> None: ...

    def layers(self, reference: str) -> dict[str, int]:
        """Each layer and its size in bytes, unpacked; images share layers."""
        ...

    def tidy(self, kept: int, wanted: Collection[str]) -> None:
        """Forget all but the latest `kept` builds of each image, and none that is `wanted` now."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """docker, with or without BuildKit, or podman."""

    command: str

    def base(self) -> str:
        return os.environ.get("TIDEMILL_BASE_IMAGE") or PULLED

    def has(self, reference: str) -> bool:
        return answers([self.command, "image", "inspect", reference], timeout=20)

    def build(self, recipe: Recipe) -> None:
        with context(recipe) as folder:
            run([self.command, "build", "--quiet", "--tag", recipe.reference, *_arguments(recipe), folder])

    def tidy(self, kept: int, wanted: Collection[str]) -> None:
        names = run(
            [self.command, "image", "ls", "--filter", "reference=tidemill/*", "--format", "{{.Repository}}:{{.Tag}}"]
        )
        for reference in set(superseded(list(reversed(names.split())), kept)) - set(wanted):
            # One that is still in use by a container stays, and that is well.
            answers([self.command, "image", "rm", reference], timeout=60)

    def layers(self, reference: str) -> dict[str, int]:
        # An engine gives the digests of layers in one place and their sizes in another, where empty ones count too.
        digests = json.loads(run([self.command, "image", "inspect", "--format", "{{json .RootFS.Layers}}", reference]))
        output = run([self.command, "history", "--no-trunc", "--human=false", "--format", "{{.Size}}", reference])
        sizes = [int(size) for size in reversed(output.split()) if int(size)]
        # The base image may have been squashed or imported; what matters are the layers on top of it.
        return dict(zip(reversed(digests), reversed(sizes), strict=False))


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah without privileges of its own, with storage in our cache; finished images go into an OCI layout."""

    storage: str

    @classmethod
    def prepared(cls) -> "Buildah":
        """With the overlay driver, if this file system carries it; vfs copies every layer of every step."""
        packages.ensure(packages.IMAGES)
        overlay = cls("overlay")
        return overlay if overlay.works() else cls("vfs")

    @property
    def layout(self) -> Layout:
        return Layout(_folder() / "layout")

    def works(self) -> bool:
        try:
            self._buildah("rm", self._buildah("from", "scratch").strip())
        except CommandFailed:
            return False
        return True

    def base(self) -> str:
        if given := os.environ.get("TIDEMILL_BASE_IMAGE"):
            return given
        recipe = rootfs.recipe()
        if not self.has(recipe.reference):
            with step(f"building {recipe.reference}"):
                self.build(recipe)
        return recipe.reference

    def has(self, reference: str) -> bool:
        return reference in self.layout.references()

    def build(self, recipe: Recipe) -> None:
        if not recipe.code or not code_layer.possible():
            self._build(recipe)
            return
        # buildah takes ten seconds to notice that nothing but the last layer has changed, and this takes one.
        below = recipe.dependencies
        if not self.has(below.reference):
            self._build(below, "--target=dependencies")
        self.layout.append(below.reference, recipe.reference, code_layer.archive(recipe.code))

    def _build(self, recipe: Recipe, *options: str) -> None:
        name = f"localhost/{recipe.reference}"
        with context(recipe) as folder:
            # The network is the host's, and unused: with one of its own, chroot isolation would need more tools.
            always = ["--quiet", "--layers", "--network=host", "--tag", name]
            self._buildah("bud", *always, *options, *_arguments(recipe), str(folder))
        # A layout always compresses what it is given; this costs a tenth of what gzip would.
        fast = ["--compression-format=zstd", "--compression-level=1"]
        self._buildah("push", "--quiet", *fast, name, f"oci:{self.layout.folder}:{recipe.reference}")

    def tidy(self, kept: int, wanted: Collection[str]) -> None:
        """Forget all but the latest builds of each image."""
        old = set(superseded(self.layout.references(), kept)) - set(wanted)
        self.layout.forget(old)
        stored = self._buildah("images", "--format", "{{.Name}}:{{.Tag}}").split() if old else []
        for name in (f"localhost/{reference}" for reference in old):
            if name in stored:
                self._buildah("rmi", "--force", name)

    def layers(self, reference: str) -> dict[str, int]:
        known = json.loads((_folder() / self.storage / f"{self.storage}-layers" / "layers.json").read_text())
        sizes = {layer.get("diff-digest"): layer.get("diff-size", 0) for layer in known}
        # A layer that buildah does not know is one that was appended, and lies in the layout as it is.
        return {digest: sizes.get(digest) or self.layout.size(digest) for digest in self.layout.layers(reference)}

    def _buildah(self, *words: str) -> str:
        policy = _folder() / "policy.json"
        if not policy.exists():
            policy.parent.mkdir(parents=True, exist_ok=True)
            policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        command, *rest = words
        signatures = ["--signature-policy", str(policy)] if command in ("bud", "push", "from") else []
        with _leaving_no_strays(), tempfile.TemporaryDirectory(prefix="tidemill-") as live:
            # In a mount namespace of its own: the storage is a mount that would stay behind.
            alone = ["unshare", "--mount", "buildah", "--root", str(_folder() / self.storage), "--runroot", live]
            return run(
                [*alone, "--storage-driver", self.storage, command, *signatures, *rest],
                env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
            )


@contextmanager
def _leaving_no_strays() -> Iterator[None]:
    """Remove the folders of the system that buildah writes to whatever it is told, unless they were there before."""
    absent = [folder for folder in STRAYS if not folder.exists()]
    try:
        yield
    finally:
        for folder in absent:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def context(recipe: Recipe) -> Iterator[Path]:
    """A folder with the recipe's files and nothing else, as links where possible."""
    _folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_folder(), prefix=f"{recipe.role}-") as name:
        folder = Path(name)
        for path, source in {**recipe.context, **recipe.code, "Dockerfile": recipe.dockerfile}.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)
        yield folder


def _arguments(recipe: Recipe) -> list[str]:
    return [word for name, value in recipe.arguments.items() for word in ("--build-arg", f"{name}={value}")]


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # the cache is on another file system


def _folder() -> Path:
    return paths.cache() / "images"
