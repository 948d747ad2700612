"""Where the time of a request goes, stage by stage and form by form, within one process.

    python tests/benchmarks/serving/budget.py [--model logistic] [--count 3000] [--rounds 5]

Each stage is timed by itself, and the smallest of the rounds is printed, in microseconds: what a machine can do that is not busy with
something else. `read` finds the head among those that are known, `parse` reads the body, `model` answers, `write` makes the response,
`metrics` and `log` count and keep it; `whole` is the handler that does all of it in one call.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import forms
import models
import numpy as np

from tidemill.runtime.log.records import PredictionFile
from tidemill.runtime.log.single_rows import SinglesLog
from tidemill.runtime.log.writer import Log
from tidemill.runtime.serve.app import ServingApp
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.http.bodies import accepted_type
from tidemill.runtime.serve.version.loading import from_folder
from tidemill.runtime.serve.version.model import Identity, ServedModel

STAGES = ("read", "parse", "model", "write", "metrics", "log", "sum", "whole")


def served(folder: Path) -> ServingApp:
    """Return the application of a server for the model in `folder`, with a log that is written nowhere."""
    identity = Identity("bench", "m", "m", "1", "sha256:" + "0" * 64, "Stable")
    serving = ServingContext(identity, boot="bench", pod="bench")
    app = ServingApp(serving, batch_rows=64)
    loaded = from_folder(folder)
    model = ServedModel(identity, loaded.predictor, loaded.files)
    app.swap(model)
    serving.state.loaded = True
    serving.predictions = Log(
        "x", "x", PredictionFile(model.codec.features, classifies=True), every=1e9, max_bytes=1 << 40
    )
    return app


def microseconds(work: Callable[[], object], count: int, rounds: int) -> float:
    """Return the least time of one call over the rounds."""
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time()
        for _ in range(count):
            work()
        best = min(best, time.thread_time() - started)
    return best / count * 1e6


def budget(app: ServingApp, path: str, body: bytes, count: int, rounds: int) -> dict[str, float]:
    """Return the microseconds of each stage of one request."""
    serving, model = app.serving, app.serving.model
    assert model is not None
    handler = app.ways()[f"/v2/models/m/{path}".encode()]
    head = (
        f"POST /v2/models/m/{path} HTTP/1.1\r\nhost: localhost:8080\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    request, known = head + body, {head: object()}
    headers = {
        b"host": b"localhost:8080",
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
    }
    codec = model.codec if path == "infer" else model.row_codec
    asked = codec.read(body)
    answer = model.predictor.predict(asked.rows.matrix, whole=asked.rows.whole)
    series = serving.metrics.of("1", "Stable")
    singles, log = SinglesLog(), serving.predictions
    assert log is not None
    responses = app._responses

    def read() -> object:
        end = request.find(b"\r\n\r\n", 0, 2048) + 4
        return known.get(request[:end]), request[end:], accepted_type(headers, body)

    def write() -> object:
        content, end = codec.write(asked, answer, "bench-1")
        return responses.whole(content, "bench-1", end, model.identity)

    work: dict[str, Callable[[], object]] = {
        "read": read,
        "parse": lambda: codec.read(body),
        "model": lambda: model.predictor.predict(asked.rows.matrix, whole=asked.rows.whole),
        "write": write,
        "metrics": lambda: series.answered(200, 0.0001, 1),
        "log": lambda: singles.append(log, model.author, "bench-1", serving.clock(), asked.rows.matrix, answer),
    }
    results = {stage: microseconds(call, count, rounds) for stage, call in work.items()}
    results["sum"] = sum(results.values())
    assert handler(headers, body) is not None, f"{path} is not answered at once"
    results["whole"] = microseconds(lambda: handler(headers, body), count, rounds)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="logistic", choices=models.MODELS)
    parser.add_argument("--count", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        app = served(models.write(chosen.model, Path(scratch) / "m" / "1"))
    model = app.serving.model
    assert model is not None
    row = np.random.default_rng(models.SEED).normal(size=models.FEATURES)
    print(f"{chosen.model}, {models.FEATURES} features; microseconds")
    print(f"{'':>16}" + "".join(f"{stage:>9}" for stage in STAGES))
    for name, (path, body) in forms.bodies(row, list(model.codec.features.names)).items():
        result = budget(app, path, body, chosen.count, chosen.rounds)
        print(f"{name:>16}" + "".join(f"{result[stage]:>9.1f}" for stage in STAGES), flush=True)


if __name__ == "__main__":
    main()
