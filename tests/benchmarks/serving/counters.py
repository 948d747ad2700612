"""What drift counters cost a serving pod: the same pod with and without them, interleaved, as ratios of requests per second
and of processor time.

    python tests/benchmarks/serving/counters.py [--models logistic] [--seconds 6] [--rounds 5] [--connections 16] [--rows 1]

Both pods carry out an order and log every row; one serves a version with a profile, whose bins it counts on, the other the
same version without. Nothing is asserted: figures of a busy machine are no figures, and the load average is printed with
them. Needs `wrk`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import compare
import models
import numpy as np
import pyarrow as pa

from tidemill.contract.serving import ServeOrder, VersionOrder
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.profile import ProfiledColumn, profile_table
from tidemill.runtime.store.objects import ObjectStore

SIDES = ("rows only", "counted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=models.MODELS, default=["logistic"])
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rows", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.models:
            measure(chosen, name, Path(scratch) / name)


def measure(chosen: argparse.Namespace, name: str, scratch: Path) -> None:
    """Load both sides in turns, and print."""
    model = models.write(name, scratch / "model" / "1")
    store = ObjectStore.open(f"file://{scratch}/store")
    signature = Signature.from_json((model / "signature.json").read_bytes())
    commands = {side: _command(side, model, store, signature, scratch) for side in SIDES}
    rows = np.random.default_rng(7).normal(size=(chosen.rows, models.FEATURES)).round(6)
    asked = compare.Asked.of(rows, binary=False)
    script = asked.script(scratch)
    before = os.getloadavg()[0]
    results: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for turn in range(chosen.rounds):
        for side in SIDES if turn % 2 else SIDES[::-1]:
            server = compare.Running(commands[side], "/v2/models/m/infer")
            try:
                server.first_answer(asked)
                server.settled()
                server.load(script, compare.WARM, chosen.connections)
                worked = server.worked()
                count, rate, _ = server.load(script, chosen.seconds, chosen.connections)
                results[side].append((rate, (server.worked() - worked) / count * 1e6))
            finally:
                server.stop()
    for side, values in results.items():
        rate, each = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{name:10} {side:10} {rate:7.0f} requests/s, {each:6.1f} us of processor each")
    pairs = list(zip(results["counted"], results["rows only"], strict=True))
    rates = [counted[0] / plain[0] for counted, plain in pairs]
    work = [counted[1] / plain[1] for counted, plain in pairs]
    print(
        f"{name:10} counted / rows only, median of {len(pairs)} pairs: {statistics.median(rates):.3f} by requests/s"
        f" ({min(rates):.3f} to {max(rates):.3f}), {statistics.median(work):.3f} by processor time"
        f" ({min(work):.3f} to {max(work):.3f}); load average {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    )


def _command(side: str, model: Path, store: ObjectStore, signature: Signature, scratch: Path) -> list[str]:
    files: dict[str, bytes | Path] = {
        file.name: file.read_bytes() for file in model.iterdir() if file.name != "model.joblib"
    }
    if side == "counted":
        rng = np.random.default_rng(3)
        training = pa.table({feature.name: rng.normal(size=10_000) for feature in signature.features})
        answers = {"prediction": rng.choice(["0", "1"], 10_000), "score": rng.uniform(0.5, 1, 10_000)}
        for column, values in answers.items():
            training = training.append_column(column, pa.array(values))
        kinds = [
            ProfiledColumn(column, "Categorical" if column == "prediction" else "Numerical")
            for column in training.column_names
        ]
        files["profile.json"] = profile_table(training, kinds).to_json()
    folder = scratch / side.replace(" ", "-")
    published = store.publish(f"ns/models/m/{folder.name}", files)
    order = ServeOrder(
        namespace="ns",
        service=folder.name,
        model="m",
        role="Stable",
        version=VersionOrder(name="m-1", uri=published.uri, digest=published.digest),
    )
    (folder / "store").mkdir(parents=True)
    (folder / "store" / "uri").write_text(store.uri)
    (folder / "order.json").write_text(json.dumps(order.to_wire()))
    return [
        sys.executable, "-m", "tidemill", "serve", "--order", str(folder / "order.json"), "--routes", str(folder / "routes.json"),
        "--store", str(folder / "store"), "--host", "127.0.0.1", "--port", str(compare.PORT),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
