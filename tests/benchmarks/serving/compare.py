"""Requests per second of `tidemill serve`, beside an echo of the same bodies and other servers, as ratios.

    python tests/benchmarks/serving/compare.py [--models logistic boosting forest] [--seconds 3] [--rounds 5]
        [--connections 16] [--rows 1] [--binary] [--peers fastapi]

`--binary` sends and takes tensors as bytes; the peers, which cannot, get JSON. Answers are held against scikit-learn's before
anything is timed.

One server at a time on core 0, wrk on core 1, interleaved; the log and the metrics of Tidemill are on, and BentoML is loaded.
Nothing is asserted: figures of a busy machine are no figures, and the load average from before and after is printed with
them. Needs `wrk`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import models
import numpy as np
import peers

HERE = Path(__file__).parent
PORT = 8711
PATIENCE = 120.0
GAP = 1e-6
"""How far a server's probabilities may lie from scikit-learn's."""
WARM = 3
"""Seconds of load before the one that is measured."""
PAUSE = 0.5
"""Seconds between a start and the load on it, in which the processor comes to rest."""


class Asked(NamedTuple):
    """A request."""

    body: bytes
    headers: dict[str, str]

    @classmethod
    def of(cls, rows: np.ndarray, *, binary: bool) -> Asked:
        tensor: dict[str, Any] = {"name": "input", "shape": list(rows.shape), "datatype": "FP32"}
        if not binary:
            return cls(
                json.dumps({"inputs": [{**tensor, "data": rows.tolist()}]}).encode(),
                {"content-type": "application/json", "accept-encoding": "identity"},
            )
        raw = rows.astype("<f4").tobytes()
        head = json.dumps(
            {
                "inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}],
                "parameters": {"binary_data_output": True},
            }
        ).encode()
        return cls(
            head + raw,
            {
                "content-type": "application/octet-stream",
                "inference-header-content-length": str(len(head)),
                "accept-encoding": "identity",
            },
        )

    def script(self, folder: Path) -> Path:
        """For wrk: posts this."""
        body = folder / "body"
        body.write_bytes(self.body)
        script = folder / "post.lua"
        lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers.items()]
        script.write_text(
            "\n".join(['wrk.method = "POST"', *lines, f'wrk.body = io.open("{body}", "rb"):read("*a")', ""])
        )
        return script


def probabilities_in(answer: httpx.Response) -> np.ndarray:
    """What a server says the probabilities are."""
    end = answer.headers.get("inference-header-content-length")
    document = json.loads(answer.content[: int(end)] if end else answer.content)
    at = int(end or 0)
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        if output["name"] == "predict_proba":
            values = np.frombuffer(answer.content[at : at + size], "<f4") if size else np.array(output["data"])
            return values.reshape(output["shape"]).astype(np.float64)
        at += size
    raise SystemExit("an answer without probabilities")


class Running:
    """A server on core 0."""

    def __init__(self, command: list[str], path: str) -> None:
        with socket.socket() as free:
            # A server that was left behind would answer in the place of the one that is measured.
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", PORT))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.path = path

    def first_answer(self, asked: Asked) -> tuple[float, httpx.Response]:
        """Seconds from the start to the first answer, and that answer."""
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args} ended with {self.process.returncode}")
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{PORT}{self.path}", content=asked.body, headers=asked.headers, timeout=PATIENCE
                )
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                return time.perf_counter() - self.started, answer
            time.sleep(0.005)

    def settled(self) -> None:
        """Wait until everything is loaded that a server of ours loads after its first answer."""
        end = time.monotonic() + PATIENCE
        while not httpx.get(f"http://127.0.0.1:{PORT}/tidemill/v1/state", timeout=PATIENCE).json()["bentoml"]:
            if time.monotonic() > end:
                raise SystemExit(f"BentoML is not loaded after {PATIENCE:g} s; look at what the server says")
            time.sleep(0.1)
        time.sleep(PAUSE)

    def load(self, script: Path, seconds: float, connections: int) -> tuple[int, float, float]:
        """Requests, requests per second, and the 99th percentile in milliseconds."""
        said = subprocess.run(
            ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--latency", "-s", str(script), f"http://127.0.0.1:{PORT}{self.path}"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        if "Non-2xx" in said or "Socket errors" in said:
            raise SystemExit(said)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
        tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
        count = re.search(r"(\d+) requests in", said)
        assert rate is not None
        assert count is not None
        assert tail is not None
        return int(count[1]), float(rate[1]), float(tail[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[tail[2]]

    def worked(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """Megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=models.MODELS, default=list(models.MODELS))
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--binary", action="store_true")
    parser.add_argument("--peers", nargs="*", choices=peers.REQUIREMENTS, default=[])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.models:
            compare(chosen, models.write(name, Path(scratch) / name / "1"))


def compare(chosen: argparse.Namespace, model: Path) -> None:
    """Measure and print."""
    rows = np.random.default_rng(7).normal(size=(chosen.rows, models.FEATURES)).round(6)
    as_json, as_asked = Asked.of(rows, binary=False), Asked.of(rows, binary=chosen.binary)
    truth = models.probabilities(model, rows)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as json_folder, tempfile.TemporaryDirectory() as scratch:
        json_script = as_json.script(Path(json_folder))
        script = as_asked.script(Path(scratch))
        path = "/v2/models/m/infer"
        ours = [sys.executable, "-m", "tidemill", "serve", str(model), "--name", "m", "--port", str(PORT), "--log", f"file://{scratch}/log"]  # fmt: skip
        warm = Running(ours, path)
        _, answer = warm.first_answer(as_asked)
        warm.stop()
        echoed = Path(scratch) / "answer"
        echoed.write_bytes(answer.content)
        sklearn_model = str(model / "model.joblib")
        servers: dict[str, Callable[[], Running]] = {
            "echo": lambda: Running([sys.executable, str(HERE / "echo.py"), str(PORT), str(echoed)], path),
            "expert": lambda: Running(
                [sys.executable, str(HERE / "expert.py"), str(PORT), str(model / "model.onnx")], path
            ),
            "tidemill": lambda: Running(ours, path),
        }
        if "fastapi" in chosen.peers:
            python = str(peers.python_of("fastapi"))
            servers["fastapi"] = lambda: Running(
                [python, str(HERE / "fastapi_sklearn.py"), str(PORT), sklearn_model], path
            )
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
        for _ in range(chosen.rounds):
            for name, start in servers.items():
                server = start()
                try:
                    own = name in ("echo", "tidemill")
                    first, answer = server.first_answer(as_asked if own else as_json)
                    gap = 0.0 if name == "echo" else float(np.abs(probabilities_in(answer) - truth).max())
                    if gap > GAP:
                        raise SystemExit(f"{name} differs by {gap:.2g} from what scikit-learn says")
                    if name == "tidemill":
                        server.settled()
                    else:
                        time.sleep(PAUSE)
                    idle = server.resident()
                    # What comes with the first requests only, such as the library that writes the log, is not counted.
                    server.load(script if own else json_script, WARM, chosen.connections)
                    worked = server.worked()
                    count, rate, tail = server.load(script if own else json_script, chosen.seconds, chosen.connections)
                    each = (server.worked() - worked) / count * 1e6
                finally:
                    server.stop()
                found[name].append((each, rate, tail, first, idle))
    print(
        f"{model.parent.name}: {chosen.rows} rows x {models.FEATURES}{' as bytes' if chosen.binary else ''}, {chosen.connections} connections, load average {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    )
    middle = {
        name: [statistics.median(column) for column in zip(*values, strict=True)] for name, values in found.items()
    }
    for name, (each, rate, tail, first, idle) in middle.items():
        spread = [value[1] for value in found[name]]
        print(
            f"  {name:10} {rate:7.0f} requests/s ({min(spread):.0f} to {max(spread):.0f}), p99 {tail:6.2f} ms, {each:6.1f} us of processor each,"
            f" first answer {first:.2f} s, idle {idle:.0f} MB"
        )
    for peer in [name for name in middle if name != "tidemill"]:
        rates, work = middle["tidemill"][1] / middle[peer][1], middle[peer][0] / middle["tidemill"][0]
        print(
            f"  tidemill / {peer}: {rates:.2f} by requests/s, {work:.2f} by processor time, which a busy machine disturbs less"
        )


if __name__ == "__main__":
    main()
