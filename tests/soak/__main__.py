"""`python -m soak`: fifty rollouts under a hundred thousand requests, and a ledger of what was lost."""

import signal
import sys
from typing import Annotated

import typer

from cluster import clusters, down, ensure
from cluster.progress import note
from soak.campaign import Soak
from soak.terms import Terms, programme
from support import installation
from support.api import connected
from support.environment import SOAK, prepare
from support.turns import my_turn


def main(
    rollouts: Annotated[int, typer.Option(help="Versions that are brought.")] = 50,
    requests: Annotated[int, typer.Option(help="Requests that are sent, at the most.")] = 100_000,
    minutes: Annotated[float, typer.Option(help="Bring no further version after so long.")] = 28.0,
    name: Annotated[str, typer.Option(help="The cluster's name.")] = clusters.DEFAULT_NAME,
) -> None:
    """Roll versions out under traffic while the cluster is disturbed; exit with 1 where anything was lost."""
    was_up = clusters.look(name).healthy
    try:
        with my_turn(note):
            cluster = ensure(name)
            with connected(cluster) as api:
                environment = prepare(cluster, api)
                terms = Terms(
                    programme(rollouts),
                    rate=requests / (minutes * 60) * 1.05,
                    most=2 * requests,
                    seconds=minutes * 60,
                    least=requests,
                )
                ledger = Soak(environment, SOAK, terms, _say).play()
                installation.uninstall(cluster)
                installation.remove_namespaces(api, installation.leftovers(api, installation.NAMESPACE))
    finally:
        if not was_up:
            down(name)
    print(ledger.summary())
    for problem in ledger.problems:
        print(f"✗ {problem}")
    sys.exit(1 if ledger.problems else 0)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    # To be ended is to be interrupted: what was started ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    typer.run(main)
