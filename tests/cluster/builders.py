"""The two ways to turn a recipe into an image: a container engine, or buildah where there is none."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster import packages, places, rootfs
from cluster.commands import CommandFailed, answers, run
from cluster.layout import Layout
from cluster.recipes import Recipe, superseded
from cluster.progress import step

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

    def tidy(self, kept: int) -> None:
        """Forget all but the latest `kept` builds of each image."""
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

    def tidy(self, kept: int) -> None:
        names = run([self.command, "image", "ls", "--filter", "reference=tidemill/*", "--format", "{{.Repository}}:{{.Tag}}"])
        for reference in superseded(list(reversed(names.split())), kept):
            # One that is still in use by a container stays, and that is well.
            answers([self.command, "image", "rm", reference], timeout=60)

    def layers(self, reference: str) -> dict[str, int]:
        # An engine gives the digests of layers in one place and their sizes in another, where empty ones count too.
        digests = json.loads(run([self.command, "image", "inspect", "--format", "{{json .RootFS.Layers}}", reference]))
        said = run([self.command, "history", "--no-trunc", "--human=false", "--format", "{{.Size}}", reference])
        sizes = [int(size) for size in reversed(said.split()) if int(size)]
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
        with context(recipe) as folder:
            name = f"localhost/{recipe.reference}"
            # The network is the host's, and unused: with one of its own, chroot isolation would need more tools.
            self._buildah("bud", "--quiet", "--layers", "--network=host", "--tag", name, *_arguments(recipe), str(folder))
            # A layout always compresses what it is given; this costs a tenth of what gzip would.
            fast = ["--compression-format=zstd", "--compression-level=1"]
            self._buildah("push", "--quiet", *fast, name, f"oci:{self.layout.folder}:{recipe.reference}")

    def tidy(self, kept: int) -> None:
        """Forget all but the latest builds of each image."""
        old = superseded(self.layout.references(), kept)
        self.layout.forget(old)
        for reference in old:
            self._buildah("rmi", "--force", f"localhost/{reference}")

    def layers(self, reference: str) -> dict[str, int]:
        known = json.loads((_folder() / self.storage / f"{self.storage}-layers" / "layers.json").read_text())
        sizes = {layer.get("diff-digest"): layer.get("diff-size", 0) for layer in known}
        return {digest: sizes.get(digest, 0) for digest in self.layout.layers(reference)}

    def _buildah(self, *words: str) -> str:
        policy = _folder() / "policy.json"
        if not policy.exists():
            policy.parent.mkdir(parents=True, exist_ok=True)
            policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        command, *rest = words
        signatures = ["--signature-policy", str(policy)] if command in ("bud", "push", "from") else []
        # In a mount namespace of its own: the storage is a mount that would stay behind.
        return run(
            [
                "unshare", "--mount", "buildah", "--root", _folder() / self.storage, "--runroot", "/run/tidemill/buildah",
                "--storage-driver", self.storage, command, *signatures, *rest,
            ],
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
        )  # fmt: skip


@contextmanager
def context(recipe: Recipe) -> Iterator[Path]:
    """A folder with the recipe's files and nothing else, as links where possible."""
    _folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_folder(), prefix=f"{recipe.role}-") as name:
        folder = Path(name)
        for place, source in {**recipe.context, "Dockerfile": recipe.dockerfile}.items():
            target = folder / place
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
    return places.cache() / "images"
