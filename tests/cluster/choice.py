"""Which kind of cluster this machine gets."""

import os
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum

from cluster import engines


class Provider(StrEnum):
    """Who provides the cluster."""

    GIVEN = "given"
    KIND = "kind"
    EMBEDDED = "embedded"


class NoCluster(RuntimeError):
    """This machine can have no cluster as it is; the message says what would help."""


NOTHING_TO_RUN_ON = """\
There is nothing here to run a Kubernetes cluster on. One of these helps:
  - start Docker or Podman, and kind does the rest
  - be root on a Debian-like Linux, and an embedded single-node Kubernetes does
  - set TIDEMILL_KUBECONFIG to the kubeconfig of a cluster that you may use for tests"""


def choose(
    environment: Mapping[str, str] = os.environ,
    *,
    engine: Callable[[], str | None] = engines.answering,
    root_on_linux: Callable[[], bool] = lambda: sys.platform == "linux" and os.geteuid() == 0,
) -> Provider:
    """What was asked for, else what was given, else kind, else the embedded node; the first that is possible."""
    match environment.get("TIDEMILL_CLUSTER", ""):
        case "kind":
            if not engine():
                raise NoCluster("TIDEMILL_CLUSTER=kind, but neither docker nor podman answers")
            return Provider.KIND
        case "embedded":
            if not root_on_linux():
                raise NoCluster("TIDEMILL_CLUSTER=embedded needs Linux and root")
            return Provider.EMBEDDED
        case "":
            pass
        case other:
            raise NoCluster(f"TIDEMILL_CLUSTER is {other!r}; it can be kind or embedded")
    if environment.get("TIDEMILL_KUBECONFIG"):
        return Provider.GIVEN
    if engine():
        return Provider.KIND
    if root_on_linux():
        return Provider.EMBEDDED
    raise NoCluster(NOTHING_TO_RUN_ON)
