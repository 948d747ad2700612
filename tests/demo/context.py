"""Which clusters the demo may touch: it installs things, and deletes what an earlier demo left."""

import os
from collections.abc import Mapping

from cluster import Cluster, Provider

ANY_CONTEXT = "TIDEMILL_DEMO_ANY_CONTEXT"


class NotOurs(RuntimeError):
    """The kubeconfig points at a cluster that may be somebody's."""


def check(cluster: Cluster, *, allowed: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Raise NotOurs unless the cluster is kind's, our own embedded one, or the user has said that it is theirs to use."""
    if allowed or environment.get(ANY_CONTEXT) == "1":
        return
    ours = cluster.provider is not Provider.GIVEN
    if ours or cluster.context.startswith("kind-"):
        return
    raise NotOurs(
        f"the context {cluster.context!r} of {cluster.kubeconfig} is neither kind's nor Tidemill's own. The demo installs an operator there and"
        f" deletes the namespaces of earlier demos. If you want that, run `python -m demo --context-is-mine`, or set {ANY_CONTEXT}=1."
    )
