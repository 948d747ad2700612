"""How fast and how sparing the operator is, compared with an idiomatic kopf operator that does the same work, in one run.

    python -m benchmarks.operator [--objects 1000,10000] [--peer-objects 1000] [--rounds 1] [--minutes 6]

The work: a Dataset gets one Job, and what the Job's pod reports becomes the Dataset's status. It is the workload whose work
is the same for both: one child for each spec, and nothing that only one of them would do. etcd (without fsync) and
kube-apiserver are real, on loopback; a process of its own stands for the Job controller and the kubelet, and ends every run
after 0.1 s. The clock is the audit log. Figures of a busy machine are no figures: the load average is printed with them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.operator import limits, report
from benchmarks.operator.clock import AuditLog
from benchmarks.operator.contenders import Contender
from benchmarks.operator.loads import DRIVER, connected, create, define, make_namespace
from benchmarks.operator.play import Result, play
from cluster import Plane, control_plane
from cluster.paths import REPOSITORY

PATCHED = 200
"""Objects over which the patches of the limit are spread."""
PATCH_SECONDS = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default="1000", help="how many, one number or several with commas")
    parser.add_argument(
        "--peer-objects", type=int, default=1000, help="the idiomatic operator takes part up to so many"
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=6.0, help="that one burst may take at most")
    parser.add_argument("--only", choices=("tidemill", "idiomatic"), help="leave the other out")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "reports" / "operator")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-bench-") as scratch,
        control_plane(Path(scratch)) as plane,
        runs_of(plane),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(chosen, plane))


@contextmanager
def runs_of(plane: Plane) -> Iterator[None]:
    """The process that ends every Job's run, for as long as the body runs."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.operator.runs", str(plane.kubeconfig)])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def measure(chosen: argparse.Namespace, plane: Plane) -> None:
    """Play every turn, measure the limits, print and write."""
    before = report.machine()
    print(", ".join(f"{name} {value}" for name, value in before.items()), flush=True)
    kubeconfig = str(plane.kubeconfig)
    results: list[Result] = []
    async with connected(kubeconfig, DRIVER) as hands:
        await define(hands)
        audit = AuditLog(plane.audit_log)
        for objects in (int(text) for text in chosen.objects.split(",")):
            for number in range(chosen.rounds):
                for name in ("tidemill", "idiomatic"):
                    left_out = chosen.only not in (None, name)
                    if left_out or (name == "idiomatic" and objects > chosen.peer_objects):
                        continue
                    namespace = f"{name}-{objects}-{number}"
                    log = chosen.folder / f"{namespace}.log"
                    log.unlink(missing_ok=True)
                    contender = Contender(name, namespace, plane.kubeconfig, log)
                    result = await play(contender, hands, audit, objects, minutes=chosen.minutes)
                    results.append(result)
                    print(f"{namespace}: {result.converged:,} of {objects:,}, {result.rate:.1f}/s", flush=True)
        patches, lists = await _limits(hands, results)
    _tell(chosen.folder, before, results, patches, lists)


async def _limits(hands: Any, results: list[Result]) -> tuple[list[dict[str, float]], list[dict[str, Any]]]:
    await make_namespace(hands, "limits")
    await create(hands, "limits", range(PATCHED), at_a_time=8)
    patches = [
        await limits.status_patches(hands, "limits", PATCHED, connections=connections, seconds=PATCH_SECONDS)
        for connections in (1, 8, 32)
    ]
    sizes = {result.objects: f"{result.contender}-{result.objects}-0" for result in results}
    return patches, [await limits.list_and_parse(hands, namespace) for _, namespace in sorted(sizes.items())]


def _tell(
    folder: Path,
    before: dict[str, Any],
    results: list[Result],
    patches: list[dict[str, float]],
    lists: list[dict[str, Any]],
) -> None:
    for line in (*report.table(results, patches, lists), "", *report.details(results), *report.ranges(results)):
        print(line)
    print("\nGoals")
    for line in report.goals(results):
        print(line)
    after = os.getloadavg()[0]
    print(f"\nload average {before['load']} before, {after:.2f} after, with the benchmark's own work in it")
    written = {
        "machine": before,
        "load_after": after,
        "results": [result.to_wire() for result in results],
        "limits": {"status_patches": patches, "lists": lists},
        "goals": [line.strip() for line in report.goals(results)],
    }
    (folder / "results.json").write_text(json.dumps(written, indent=1))
    print(f"written to {folder / 'results.json'}")


if __name__ == "__main__":
    main()
