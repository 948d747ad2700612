"""kind, where a container engine runs: create the cluster, load images, hand over a kubeconfig."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cluster import clients, engines, programs, versions
from cluster.choice import Provider
from cluster.commands import answers, run
from cluster.paths import REPOSITORY, ClusterPaths
from cluster.progress import note, step

CONFIGURATION = REPOSITORY / "kind-config.yaml"


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind cluster that `paths` describes; its name for kind is the name without our prefix."""

    paths: ClusterPaths
    name: str

    @classmethod
    def named(cls, name: str) -> "Kind":
        # A folder of its own, so that the two providers never mistake each other's leftovers for theirs.
        return cls(ClusterPaths(f"kind-{name}"), name)

    @property
    def engine(self) -> str:
        return engines.answering() or "docker"

    @property
    def provider(self) -> Provider:
        return Provider.KIND

    @property
    def context(self) -> str:
        return f"kind-{self.name}"

    def exists(self) -> bool:
        """Whether we made it and have not taken it down since."""
        return self.paths.state.exists()

    def parts(self) -> dict[str, str]:
        """kind looks after its parts itself."""
        return {}

    def healthy(self) -> bool:
        """Whether the cluster's API answers."""
        if not self.paths.kubeconfig.exists():
            return False
        kubectl = [str(clients.locate(versions.KUBECTL)), "--kubeconfig", str(self.paths.kubeconfig)]
        return answers([*kubectl, "get", "--raw", "/readyz"], timeout=10)

    def up(self) -> None:
        """Create the cluster, unless it is there and answers."""
        with programs.exclusive(f"cluster-{self.paths.name}"):
            if self.healthy():
                return
            self._remove()
            self.paths.state.mkdir(parents=True, exist_ok=True)
            image = os.environ.get("TIDEMILL_KIND_NODE_IMAGE")
            chosen = ["--image", image] if image else []
            try:
                with step(f"creating the kind cluster {self.name}"):
                    self._kind(
                        "create", "cluster", "--config", str(CONFIGURATION),
                        "--kubeconfig", str(self.paths.kubeconfig), "--wait", "180s", *chosen,
                    )  # fmt: skip
            except BaseException:
                self._remove()
                raise

    def down(self) -> None:
        """Delete the cluster and what we know of it."""
        with programs.exclusive(f"cluster-{self.paths.name}"):
            self._remove()

    def load(self, references: list[str]) -> None:
        """Give the node images that the engine has; those it has already are not sent again."""
        if self.engine == "docker":
            self._kind("load", "docker-image", *references)
            return
        archive = self.paths.state / "images.tar"
        try:
            run([self.engine, "save", "--multi-image-archive", "-o", archive, *references])
            self._kind("load", "image-archive", str(archive))
        finally:
            archive.unlink(missing_ok=True)

    def _remove(self) -> None:
        if not self.paths.state.exists():
            return
        if engines.answering():
            self._kind("delete", "cluster", "--kubeconfig", str(self.paths.kubeconfig))
        else:
            # An engine that is gone took its containers along; one that is only stopped may still have them.
            note(f"no container engine answers; if one comes back, `kind delete cluster --name {self.name}`")
        shutil.rmtree(self.paths.state)

    def _kind(self, *words: str) -> str:
        return run([_command(), *words, "--name", self.name], env=engines.environment(self.engine))


def _command() -> str | Path:
    """kind itself: from the PATH, or built."""
    if executable := shutil.which("kind"):
        return executable
    programs.ensure([versions.KIND])
    return programs.path(versions.KIND)
