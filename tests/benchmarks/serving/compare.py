"""Requests per second of `tidemill serve`, beside an echo of the same bodies and an expert's server, as ratios.

    python tests/benchmarks/serving/compare.py [MODEL_FOLDER] [--seconds 3] [--rounds 3] [--connections 16] [--rows 1]

One server at a time on core 0, wrk on core 1, interleaved; the log and the metrics of Tidemill are on, and BentoML is loaded.
Nothing is asserted: figures of a busy machine are no figures, and the load average from before and after is printed with
them. Without a folder the model is a logistic regression of 50 features. Needs `wrk`.
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

import httpx
import linear
import numpy as np

HERE = Path(__file__).parent
PORT = 8711
PATIENCE = 120.0
PAUSE = 0.5
"""Seconds between a start and the load on it, in which the processor comes to rest."""


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

    def first_answer(self, body: bytes) -> tuple[float, bytes]:
        """Seconds from the start to the first answer, and that answer."""
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args} ended with {self.process.returncode}")
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{PORT}{self.path}", content=body, headers={"content-type": "application/json"}
                )
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                return time.perf_counter() - self.started, answer.content
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
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rows", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compare(chosen, chosen.model or linear.write(Path(scratch) / "logistic" / "1", features=50, seed=7))


def compare(chosen: argparse.Namespace, model: Path) -> None:
    """Measure and print."""
    features = len(json.loads((model / "signature.json").read_text())["features"])
    rows = np.random.default_rng(7).normal(size=(chosen.rows, features)).round(6)
    body = json.dumps(
        {"inputs": [{"name": "input", "shape": list(rows.shape), "datatype": "FP32", "data": rows.tolist()}]}
    ).encode()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\nwrk.body = [==[{body.decode()}]==]\n'
        )
        ours = [
            sys.executable,
            "-m",
            "tidemill",
            "serve",
            str(model),
            "--name",
            "m",
            "--port",
            str(PORT),
            "--log",
            f"file://{scratch}/log",
        ]
        warm = Running(ours, "/v2/models/m/infer")
        _, answer = warm.first_answer(body)
        warm.stop()
        servers: dict[str, Callable[[], Running]] = {
            "echo": lambda: Running(
                [sys.executable, str(HERE / "echo.py"), str(PORT), answer.decode()], "/v2/models/m/infer"
            ),
            "expert": lambda: Running(
                [sys.executable, str(HERE / "expert.py"), str(PORT), str(model / "model.onnx")],
                "/v2/models/m/infer",
            ),
            "tidemill": lambda: Running(ours, "/v2/models/m/infer"),
        }
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
        for _ in range(chosen.rounds):
            for name, start in servers.items():
                server = start()
                try:
                    first, _ = server.first_answer(body)
                    if name == "tidemill":
                        server.settled()
                    else:
                        time.sleep(PAUSE)
                    idle = server.resident()
                    worked = server.worked()
                    count, rate, tail = server.load(script, chosen.seconds, chosen.connections)
                    each = (server.worked() - worked) / count * 1e6
                finally:
                    server.stop()
                found[name].append((each, rate, tail, first, idle))
    print(
        f"{model.parent.name}/{model.name}: {chosen.rows} rows x {features}, {chosen.connections} connections, load average {before:.1f} before and {os.getloadavg()[0]:.1f} after"
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
    for peer in ("echo", "expert"):
        rates, work = middle["tidemill"][1] / middle[peer][1], middle[peer][0] / middle["tidemill"][0]
        print(
            f"  tidemill / {peer}: {rates:.2f} by requests/s, {work:.2f} by processor time, which a busy machine disturbs less"
        )


if __name__ == "__main__":
    main()
