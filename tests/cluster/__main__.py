"""`python -m cluster`: bring up a cluster, take it down, build and load the images."""

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cluster import clients, clusters, images, plane
from cluster.choice import NoCluster, Provider, choose
from cluster.commands import CommandFailed
from cluster.progress import console

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
Name = Annotated[str, typer.Option(help="Which cluster; several can be up side by side.")]
Wish = Annotated[Provider | None, typer.Option(help="Rather than what this machine would get by itself.")]


@app.command()
def up(name: Name = clusters.DEFAULT_NAME, provider: Wish = None) -> None:
    """Bring the cluster up and print the path of its kubeconfig."""
    made = clusters.ensure(name, provider)
    console.print(f"{made.provider} cluster, context {made.context}")
    print(made.kubeconfig)


@app.command()
def down(name: Name = clusters.DEFAULT_NAME, provider: Wish = None) -> None:
    """Take the cluster down; nothing stays but the cache."""
    clusters.down(name, provider)


@app.command()
def status(name: Name = clusters.DEFAULT_NAME) -> None:
    """Say what is up; exit with 1 if the cluster is not."""
    seen = clusters.look(name)
    table = Table("part", "state", box=None)
    for part, state in seen.parts.items():
        table.add_row(part, state)
    console.print(f"{name}: {seen.summary}")
    if seen.parts:
        console.print(table)
    raise typer.Exit(0 if seen.healthy else 1)


@app.command("kubeconfig")
def print_kubeconfig(name: Name = clusters.DEFAULT_NAME) -> None:
    """Print the path of the kubeconfig of the cluster that is up."""
    print(clusters.existing(name).kubeconfig)


@app.command("images")
def build_images(
    name: Name = clusters.DEFAULT_NAME,
    provider: Wish = None,
    load: Annotated[bool, typer.Option(help="Load them into the cluster, which must be up.")] = True,
) -> None:
    """Build the images that changed, load them, and print their sizes and references."""
    cluster = clusters.existing(name) if load else None
    if cluster and cluster.provider is Provider.GIVEN:
        # Nothing is built for a cluster that has its own: it only has to be known which they are.
        for role, reference in images.named(cluster).items():
            console.print(f"{role}: {reference}")
        return
    built = images.build(cluster.provider if cluster else provider or choose())
    if cluster:
        images.load(built, cluster)
    console.print(images.table(built))


@app.command()
def tools() -> None:
    """Print the folder that has kubectl and Helm."""
    print(clients.folder())


@app.command("control-plane")
def run_control_plane(
    controllers: Annotated[bool, typer.Option(help="Run kube-controller-manager too.")] = False,
) -> None:
    """Run an API server without a node, and print its kubeconfig; Ctrl-C ends it."""
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-") as folder,
        plane.control_plane(Path(folder), controllers=controllers) as running,
    ):
        print(running.kubeconfig, flush=True)
        signal.pause()


class Interrupted(BaseException):
    """Someone wants this to stop: by Ctrl-C or by `kill`, which is as polite a wish and gets the same tidying up.

    Not a KeyboardInterrupt, which typer would turn into an error like any other.
    """


def _interrupted(*_: Any) -> None:
    raise Interrupted


def main() -> None:
    """Run one command; what went wrong is one message, not a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        app(standalone_mode=True)
    except Interrupted:
        sys.exit(130)
    except (CommandFailed, NoCluster, TimeoutError, OSError) as failure:
        console.print(f"[red]{type(failure).__name__}[/]", end=": ")
        console.print(str(failure), markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
