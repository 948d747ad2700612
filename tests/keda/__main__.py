"""`python -m keda`: a service is scaled by KEDA on a cluster of its own, which goes when it is over.

Six minutes once KEDA is built, which takes ten the first time.
"""

import signal
import sys
from typing import Annotated, Any

import typer

from cluster import Provider, clusters, down, ensure
from cluster.commands import CommandFailed
from cluster.progress import step
from keda import images, release
from keda.proof import Proof, scaled_object
from keda.watching import NAMESPACE, Prometheus
from support import installation
from support.api import connected
from support.environment import Environment
from support.waiting import TooLate


def main(name: Annotated[str, typer.Option(help="The cluster's name.")] = "tidekeda") -> None:
    """Let KEDA follow a crowd up and down; exit with 1 where it does not."""
    if clusters.look(name).healthy:
        sys.exit(f"there is a cluster called {name} already; it would go when this is over")
    try:
        problems = _played(name, scaled_object())
    except (CommandFailed, TooLate) as failure:
        problems = [str(failure)]
    finally:
        down(name, Provider.EMBEDDED)
    for problem in problems:
        print(f"✗ {problem}")
    if not problems:
        print("✓ KEDA scaled the service up and down by what Prometheus scraped, and no request failed")
    sys.exit(1 if problems else 0)


def _played(name: str, manifest: dict[str, Any]) -> list[str]:
    """Set the scene on a new cluster, and return what was not as it should be."""
    namespace = manifest["metadata"]["namespace"]
    # Its images are given to the node without a registry, which only the embedded cluster takes from here.
    cluster = ensure(name, Provider.EMBEDDED)
    images.load(cluster)
    with connected(cluster) as api:
        pictures = installation.build_images(cluster)
        installation.make_namespaces(api, [installation.NAMESPACE, namespace, NAMESPACE])
        with step("installing Tidemill"):
            installation.install(cluster, pictures, [namespace])
        prometheus = Prometheus(cluster, api, watched=namespace, service=manifest["spec"]["scaleTargetRef"]["name"])
        release.install(cluster)
        return Proof(Environment(cluster, api, pictures), prometheus, _say, manifest).play()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    # To be ended is to be interrupted: what was started ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    typer.run(main)
