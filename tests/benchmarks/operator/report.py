"""The results as a table for people, with what is missed and by how much."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.operator.play import CHANGES, Result

PATCHERS = 8
"""The connections at which the API server's limit is the measure: as many as there are objects that Tidemill visits at a time."""

ROWS: tuple[tuple[str, str, Callable[[Result], float]], ...] = (
    ("converged objects a second", "{:.1f}", lambda r: r.rate),
    ("burst: created → converged p50", "{:.2f} s", lambda r: r.burst_p50),
    ("burst: created → converged p99", "{:.2f} s", lambda r: r.burst_p99),
    ("10/s: created → converged p50", "{:.3f} s", lambda r: r.create_p50),
    ("10/s: created → converged p99", "{:.3f} s", lambda r: r.create_p99),
    ("10/s: spec edit → child p50", "{:.3f} s", lambda r: r.edit_p50),
    ("10/s: spec edit → child p99", "{:.3f} s", lambda r: r.edit_p99),
    ("writes per created object", "{:.2f}", lambda r: _per(r.burst_writes, r.objects)),
    ("  of these, Events", "{:.2f}", lambda r: _per(_of(r.burst_writes, "events"), r.objects)),
    ("  of these, status", "{:.2f}", lambda r: _per(_of(r.burst_writes, "datasets/status"), r.objects)),
    ("  of these, the object itself", "{:.2f}", lambda r: _per(_of(r.burst_writes, "datasets"), r.objects)),
    ("writes per edit", "{:.2f}", lambda r: _per(r.edit_writes, CHANGES)),
    ("reads per created object", "{:.2f}", lambda r: _per(r.burst_reads, r.objects)),
    ("processor time per created object", "{:.2f} ms", lambda r: 1000 * r.burst_cpu / max(1, r.converged)),
    ("RSS at the start", "{:.0f} MB", lambda r: r.rss_start),
    ("RSS at most", "{:.0f} MB", lambda r: r.rss_peak),
    ("RSS settled", "{:.0f} MB", lambda r: r.rss_settled),
    ("processor when idle", "{:.2f} %", lambda r: r.idle_cpu_percent),
    ("writes when idle", "{:.0f}", lambda r: r.idle_writes),
    ("restart → answers ready", "{:.1f} s", lambda r: r.restart_ready),
    ("restart → at rest", "{:.1f} s", lambda r: r.restart_rest),
    ("processor time of a restart", "{:.1f} s", lambda r: r.restart_cpu),
    ("writes on a restart", "{:.0f}", lambda r: sum(r.restart_writes.values())),
)


def machine() -> dict[str, Any]:
    """Where this was measured, and with what."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return {
        "processor": next((line.partition(": ")[2] for line in lines if line.startswith("model name")), ""),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        **{name: version(name) for name in ("kopf", "kubernetes", "aiohttp", "orjson", "pydantic", "uvloop")},
    }


def middle(results: Iterable[Result]) -> dict[tuple[int, str], Result]:
    """Of several rounds, the one whose rate is the median, by objects and contender."""
    grouped: dict[tuple[int, str], list[Result]] = {}
    for result in results:
        grouped.setdefault((result.objects, result.contender), []).append(result)
    return {key: sorted(observed, key=lambda r: r.rate)[len(observed) // 2] for key, observed in grouped.items()}


def table(results: Iterable[Result], patches: list[dict[str, float]], lists: list[dict[str, Any]]) -> Iterator[str]:
    """Every figure, next to the other operator's and the API server's own limits."""
    result = middle(results)
    for objects in sorted({objects for objects, _ in result}):
        ours, theirs = result.get((objects, "tidemill")), result.get((objects, "idiomatic"))
        yield f"\n{objects:,} objects{'':25}{'tidemill':>14}{'idiomatic':>14}{'ours/theirs':>13}"
        for label, form, read in ROWS:
            mine, other = (read(side) if side is not None else None for side in (ours, theirs))
            ratio = f"{mine / other:.2f}" if mine is not None and other and math.isfinite(mine / other) else "–"
            cells = ["not run" if side is None else form.format(side) for side in (mine, other)]
            yield f"  {label:35}{cells[0]:>14}{cells[1]:>14}{ratio:>13}"
        for side in (ours, theirs):
            if side is not None and side.converged < side.objects:
                yield f"  {side.contender}: only {side.converged:,} converged in the time given; what follows was not run"
    yield ""
    for limit in patches:
        rate = limit["a_second"]
        yield f"limit: {rate:6.0f} status patches/s, median {limit['median_ms']:.1f} ms, on {limit['connections']:.0f} connections"
        for (objects, name), side in sorted(result.items()):
            if name == "tidemill" and limit["connections"] == PATCHERS and side.rate:
                writes = _per(side.burst_writes, side.objects) * side.rate
                yield f"  {objects:,} objects: {writes:.0f} writes/s of Tidemill's own in the burst, {writes / rate:.0%} of it"
    for limit in lists:
        seconds = limit["list_seconds"] + limit["parse_seconds"]
        yield (
            f"limit: one list of {limit['objects']:,} Datasets, {limit['megabytes']:.0f} MB: {limit['list_seconds']:.2f} s,"
            f" parsed in {limit['parse_seconds']:.2f} s"
        )
        for (objects, name), side in sorted(result.items()):
            if name == "tidemill" and objects <= limit["objects"] < 2 * objects and math.isfinite(side.restart_ready):
                yield f"  restart → ready takes {side.restart_ready / seconds:.1f} times as long; it lists Jobs and pods too"


def goals(results: Iterable[Result]) -> Iterator[str]:
    """Which goals are kept, and which are missed by how much."""
    result = middle(results)
    for (objects, name), ours in sorted(result.items()):
        if name != "tidemill":
            continue
        theirs = result.get((objects, "idiomatic"))
        large = objects >= 10_000
        if large:
            yield _at_least(f"{objects:,}: converged objects a second", ours.rate, 45)
            yield _at_most(f"{objects:,}: RSS at most, MB", ours.rss_peak, 200)
            yield _at_most(f"{objects:,}: restart → ready, s", ours.restart_ready, 60)
        yield _at_most(f"{objects:,}: spec edit → child p99, s", ours.edit_p99, 3 if large else 1)
        yield _at_most(
            f"{objects:,}: status writes per edit", _per(_of(ours.edit_writes, "datasets/status"), CHANGES), 2
        )
        yield _at_most(f"{objects:,}: writes when idle", ours.idle_writes, 0)
        yield _at_most(f"{objects:,}: writes on a restart", sum(ours.restart_writes.values()), 0)
        if theirs is not None:
            for what, read in WRITTEN.items():
                mine, other = read(ours), read(theirs)
                factor = other / mine if mine else math.inf if other else math.nan
                yield _at_least(f"{objects:,}: times fewer writes than the idiomatic operator, {what}", factor, 5)


WRITTEN: dict[str, Callable[[Result], float]] = {
    "created": lambda r: sum(r.burst_writes.values()) / r.objects,
    "edited": lambda r: sum(r.edit_writes.values()) / CHANGES,
    "restarted": lambda r: sum(r.restart_writes.values()),
}


def details(results: Iterable[Result]) -> Iterator[str]:
    """Writes by verb and resource."""
    for (objects, name), manifest in sorted(middle(results).items()):
        for phase, writes in (
            ("burst", manifest.burst_writes),
            ("edits", manifest.edit_writes),
            ("restart", manifest.restart_writes),
        ):
            counts = ", ".join(f"{what} {count}" for what, count in sorted(writes.items())) or "none"
            yield f"{name}, {objects:,} objects, writes in the {phase}: {counts}"


def ranges(results: Iterable[Result]) -> Iterator[str]:
    """How much the rounds differ."""
    grouped: dict[tuple[int, str], list[float]] = {}
    for result in results:
        grouped.setdefault((result.objects, result.contender), []).append(result.rate)
    for (objects, name), rates in sorted(grouped.items()):
        if len(rates) > 1:
            yield (
                f"{name}, {objects:,} objects, {len(rates)} rounds: {statistics.median(rates):.1f} converged/s"
                f" ({min(rates):.1f}–{max(rates):.1f})"
            )


def _at_least(what: str, value: float, goal: float) -> str:
    verdict = "kept" if value >= goal else f"MISSED by {goal - value:.2f} ({value / goal:.0%} of it)"
    return f"  {what}: {value:.2f}, goal ≥ {goal:g}: {verdict}"


def _at_most(what: str, value: float, goal: float) -> str:
    verdict = "kept" if value <= goal else f"MISSED by {value - goal:.2f}"
    return f"  {what}: {value:.2f}, goal ≤ {goal:g}: {verdict}"


def _of(writes: dict[str, int], resource: str) -> dict[str, int]:
    return {what: count for what, count in writes.items() if what.partition(" ")[2].split(" ")[0] == resource}


def _per(writes: dict[str, int], objects: int) -> float:
    return sum(writes.values()) / objects
