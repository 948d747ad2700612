"""`python -m demo`: set up a cluster, install Tidemill, and play one drift and one broken sensor."""

import signal
import sys
import time
from typing import Annotated, Any

import typer
from rich.console import Console

from cluster import Cluster, NoCluster, clusters, down, ensure
from cluster.commands import CommandFailed
from cluster.paths import REPOSITORY
from cluster.progress import note, step
from demo import context, defect, drift, ending
from demo.narrator import Narrator
from demo.stage import NotPlayed, play
from demo.story import Story
from support import installation
from support.api import Api, connected
from support.kubectl import kubectl
from support.turns import my_turn

NAMESPACE = "tidemill-demo"


def main(
    context_is_mine: Annotated[
        bool, typer.Option(help="Use the given cluster although its context is not one of a local cluster.")
    ] = False,
    name: Annotated[str, typer.Option(help="The cluster's name.")] = clusters.DEFAULT_NAME,
) -> None:
    """Show the closed loop on a real cluster."""
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=160)
    signal.signal(signal.SIGTERM, _interrupted)
    was_up = clusters.look(name).healthy
    cluster: Cluster | None = None
    try:
        with my_turn(note):
            began = time.monotonic()
            console.print("[bold]Setting up[/] (minutes the first time, seconds after that)")
            cluster = ensure(name)
            context.check(cluster, allowed=context_is_mine)
            with connected(cluster) as api:
                images = _set_up(cluster, api)
                console.print(f"set up in {time.monotonic() - began:.0f} s")
                _tell(cluster, api, images, console)
    except KeyboardInterrupt:
        console.print("\nInterrupted; tidying up")
        _tidy(cluster, name, was_up)
        sys.exit(130)
    except (NoCluster, CommandFailed, context.NotOurs, TimeoutError) as failure:
        console.print(f"[red]{failure}[/]", markup=True)
        sys.exit(2)


def _set_up(cluster: Cluster, api: Api) -> installation.Images:
    """Images, the chart, and an empty namespace."""
    images = installation.build_images(cluster)
    if left := installation.leftovers(api, NAMESPACE):
        with step(f"removing what an earlier run left: {', '.join(left)}"):
            installation.remove_namespaces(api, left)
    installation.make_namespaces(api, [installation.NAMESPACE, NAMESPACE])
    with step("helm upgrade --install tidemill charts/tidemill"):
        installation.install(cluster, images, [NAMESPACE])
    return images


def _tell(cluster: Cluster, api: Api, images: installation.Images, console: Console) -> None:
    """Play the story, and exit with 1 where it does not go as it should."""
    narrator = Narrator(console)
    story = Story(cluster, api, images, NAMESPACE, narrator)
    began = time.monotonic()
    try:
        played = play(story, (*drift.STAGES, *defect.STAGES))
        ending.settle(story)
    except NotPlayed as failure:
        ending.show_stages(console, failure.played)
        console.print("\n[red]✗[/] ", end="")
        console.print(str(failure), markup=False)
        _explain(cluster, console)
        sys.exit(1)
    except ending.Unsettled as failure:
        console.print(f"\n[red]✗[/] {failure}")
        sys.exit(1)
    reports = ending.fetch_reports(story, REPOSITORY / "reports")
    assert story.traffic is not None, "the story has traffic"
    ending.show_stages(console, played)
    ending.show_figures(console, story)
    story.traffic.stop()
    console.print(f"\n[bold green]The loop closed[/] in {time.monotonic() - began:.0f} s.")
    ending.show_ways_on(console, story, reports)


def _explain(cluster: Cluster, console: Console) -> None:
    """What a person would look at first."""
    for words in (
        ("get", "tidemill,pods,jobs", "-n", NAMESPACE),
        ("get", "events", "-n", NAMESPACE, "--sort-by=.lastTimestamp"),
        ("logs", "-n", installation.NAMESPACE, "deployment/tidemill", "--tail=30"),
    ):
        console.print(f"\n[bold]kubectl {' '.join(words)}[/]")
        try:
            console.print("\n".join(kubectl(cluster, *words).splitlines()[-40:]), markup=False)
        except CommandFailed as failure:
            console.print(str(failure), markup=False)


def _tidy(cluster: Cluster | None, name: str, was_up: bool) -> None:
    """Leave the machine as it was found: the cluster goes if this run brought it up, else only what it put there."""
    if not was_up:
        down(name)
    elif cluster is not None:
        with step("removing the demo"):
            kubectl(cluster, "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
            installation.uninstall(cluster)
            kubectl(cluster, "delete", "namespace", NAMESPACE, installation.NAMESPACE, "--ignore-not-found")


def _interrupted(*_: Any) -> None:
    # `kill` is as polite a wish to stop as Ctrl-C, and gets the same tidying up.
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
