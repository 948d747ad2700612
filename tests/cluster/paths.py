"""Where things lie: one cache per user, one folder per cluster in it, and a runtime folder that a restart empties."""

import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent


def cache() -> Path:
    """The folder that outlives every cluster; what is in it is keyed by version."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tidemill"


@dataclass(frozen=True, slots=True)
class ClusterPaths:
    """The folders of one cluster; `down` removes both."""

    name: str

    @property
    def state(self) -> Path:
        return cache() / "clusters" / self.name

    @property
    def run(self) -> Path:
        """Sockets and containerd's live state: a short path, because a socket's may have 107 bytes only."""
        return Path("/run/tidemill") / self.name

    @property
    def lock(self) -> Path:
        return cache() / "clusters" / f"{self.name}.lock"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        return self.state / "audit" / "audit.log"

    @property
    def images(self) -> Path:
        """What is loaded: role to reference, written by `images`, read by the installation of the chart."""
        return self.state / "images.json"
