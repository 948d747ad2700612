"""The end of the story: the accounts are settled, the reports fetched, and the table shown."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cluster import clients
from demo.stage import Played
from demo.story import NAME, Story
from support.store_client import key_of


class Unsettled(RuntimeError):
    """The story ended, but something about it was not as promised."""


def settle(story: Story) -> None:
    """Hold the counters against what was promised: no failed request, and every answer named the bytes that gave it."""
    counted = story.counters()
    if counted.failed or counted.labels_failed:
        raise Unsettled(f"{counted.failed} of {counted.sent} requests failed: {list(counted.failures)[:5]}")
    served = {story.first_version, story.second_version}
    if set(counted.versions) != served:
        raise Unsettled(f"answers came from {sorted(counted.versions)}, not from {sorted(served)}")
    for name, digests in counted.digests().items():
        version = story.version(name)
        if version is None or digests != [version.spec.artifact.digest]:
            raise Unsettled(f"answers of {name} came with the digests {digests}")


def fetch_reports(story: Story, folder: Path) -> dict[str, Path]:
    """Copy the HTML reports out of the store."""
    assert story.store_client is not None, "the store_client came with the traffic"
    folder.mkdir(exist_ok=True)
    fetched = {}
    for about, uri in story.reports.items():
        if uri:
            path = folder / f"{about.removeprefix('the ').replace(' ', '-')}.html"
            path.write_bytes(story.store_client.get(key_of(uri)))
            fetched[about] = path
    return fetched


def show_stages(console: Console, played: Sequence[Played]) -> None:
    table = Table("stage", "object", "took", "what was seen", box=None, title_justify="left", pad_edge=False)
    for each in played:
        table.add_row(each.stage.title, each.stage.about, f"{each.seconds:.0f} s", each.figure)
    console.print()
    console.print(table)


def show_figures(console: Console, story: Story) -> None:
    counted = story.counters()
    assert story.undrifted and story.before and story.after, "all three were measured"
    table = Table("figure", "before", "after", box=None, pad_edge=False)
    table.add_row(
        f"accuracy on {story.after.rows} shifted rows that neither version was trained on",
        f"{story.before.accuracy:.3f}",
        f"[bold]{story.after.accuracy:.3f}[/]",
    )
    first, second = story.version(story.first_version), story.version(story.second_version)
    for measured in second.spec.evaluation if second else ():
        of_old = measured.stable.get("accuracy")
        of_new = measured.metrics.get("accuracy")
        where = (
            "the old hold-out" if measured.on == "Holdout" else "the newest labelled rows held out from the retraining"
        )
        if of_old is not None and of_new is not None:
            table.add_row(f"accuracy on {where} ({measured.rows} rows)", f"{of_old:.3f}", f"{of_new:.3f}")
    table.add_row("version", story.first_version, story.second_version)
    for name, version in zip((story.first_version, story.second_version), (first, second), strict=True):
        answers = counted.versions[name]
        digest = version.spec.artifact.digest[:19] if version else ""
        table.add_row(f"answers of {name} ({digest})", "", str(answers["answered"]))
    table.add_row("requests failed", "", f"[bold]{counted.failed}[/] of {counted.sent}")
    table.add_row(
        "answered within (95 % / all)", "", f"{(counted.p95 or 0) * 1000:.0f} ms / {counted.slowest * 1000:.0f} ms"
    )
    table.add_row("retrainings", "", str(len(story.retrainings())))
    console.print()
    console.print(table)


def show_ways_on(console: Console, story: Story, reports: dict[str, Path]) -> None:
    """Where to look from here."""
    console.print()
    console.print("[bold]Reports[/]")
    for about, path in reports.items():
        console.print(f"  {about}: {path}", highlight=False)
    kubectl = f"KUBECONFIG={story.cluster.kubeconfig} {clients.folder()}/kubectl -n {story.namespace}"
    console.print("[bold]Look around[/] (everything is still running)")
    for words in (
        "get tidemill",
        f"describe tdm {NAME}",
        f"get tmv -l tidemill.dev/model={NAME} -o wide",
        "get events --sort-by=.lastTimestamp",
        "explain tis.spec.rollout --api-version=tidemill.dev/v1alpha1",
    ):
        console.print(f"  {kubectl} {words}", highlight=False, soft_wrap=True)
    console.print("  make cluster-down   # ends it, and leaves nothing but the cache", highlight=False)
