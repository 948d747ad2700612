"""A cluster to use, from any provider."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cluster import kubeconfig
from cluster.choice import NoCluster, Provider, choose
from cluster.embedded import Embedded
from cluster.kind import Kind
from cluster.paths import ClusterPaths

DEFAULT_NAME = "tidemill"
NAME = re.compile(r"(?!kind-)[a-z]([a-z0-9-]{0,28}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster and how to reach it."""

    name: str
    provider: Provider
    kubeconfig: Path
    context: str
    state: Path
    # Everything that was asked of the API server, one JSON object a line; only the embedded cluster has it.
    audit_log: Path | None = None

    @property
    def images(self) -> Path:
        """What `images` loaded, or what a given cluster can pull: role to reference."""
        if self.provider is Provider.GIVEN and (named := os.environ.get("TIDEMILL_IMAGES")):
            return Path(named).expanduser().resolve()
        return self.state / "images.json"

    @property
    def environment(self) -> dict[str, str]:
        """What kubectl and Helm need to know."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}


def ensure(name: str = DEFAULT_NAME, provider: Provider | None = None) -> Cluster:
    """The cluster called `name`, brought up if it is not."""
    made = _made(name, provider or choose())
    if made is None:
        return given()
    made.up()
    return describe(made, name)


def down(name: str = DEFAULT_NAME, provider: Provider | None = None) -> None:
    """Take down whatever is left of the cluster called `name`: from all providers, or from one."""
    for made in _possible(name):
        if provider in (None, made.provider):
            made.down()


def existing(name: str = DEFAULT_NAME) -> Cluster:
    """The cluster called `name` that is up, from any provider; none is started."""
    if os.environ.get("TIDEMILL_KUBECONFIG") and not os.environ.get("TIDEMILL_CLUSTER"):
        return given()
    for made in _possible(name):
        if made.healthy():
            return describe(made, name)
    raise NoCluster(f"there is no cluster called {name}; `make cluster-up` brings one up")


@dataclass(frozen=True, slots=True)
class Observed:
    """What there is of a cluster."""

    summary: str
    healthy: bool
    parts: dict[str, str]


def look(name: str = DEFAULT_NAME) -> Observed:
    """What there is of the cluster called `name`."""
    for made in _possible(name):
        healthy = made.healthy()
        state = "up" if healthy else "not working; `up` mends it and `down` clears it away"
        return Observed(f"{made.provider} cluster, {state}", healthy, made.parts())
    return Observed("down", False, {})


def given() -> Cluster:
    """The cluster in TIDEMILL_KUBECONFIG, which we neither start nor stop."""
    path = Path(os.environ["TIDEMILL_KUBECONFIG"]).expanduser().resolve()
    if not path.is_file():
        raise NoCluster(f"TIDEMILL_KUBECONFIG names {path}, which is no file")
    state = ClusterPaths("given").state
    state.mkdir(parents=True, exist_ok=True)
    return Cluster("given", Provider.GIVEN, path, kubeconfig.current_context(path), state)


def describe(made: Embedded | Kind, name: str) -> Cluster:
    """The handle for a cluster of our own."""
    paths = made.paths
    log = paths.audit_log if isinstance(made, Embedded) else None
    return Cluster(name, made.provider, paths.kubeconfig, made.context, paths.state, log)


def _made(name: str, provider: Provider) -> Embedded | Kind | None:
    match provider:
        case Provider.GIVEN:
            return None
        case Provider.KIND:
            return Kind.named(_checked(name))
        case Provider.EMBEDDED:
            return Embedded(ClusterPaths(_checked(name)))


def _possible(name: str) -> list[Embedded | Kind]:
    """The clusters of this name of which there is anything to see; first the one that `ensure` would use."""
    both: list[Embedded | Kind] = [Embedded(ClusterPaths(_checked(name))), Kind.named(name)]
    there = [made for made in both if made.exists()]
    if len(there) > 1 and choose() is Provider.KIND:
        there.reverse()
    return there


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise NoCluster(f"{name!r} cannot be a cluster's name: use up to 30 lower-case letters, digits and dashes")
    return name
