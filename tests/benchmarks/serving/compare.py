"""Requests per second of `tidemill serve`, compared with an echo of the same bodies and other servers, as ratios.

    python tests/benchmarks/serving/compare.py [--models logistic boosting forest] [--seconds 3] [--rounds 5]
        [--connections 16] [--rows 1] [--binary] [--forms all] [--peers fastapi mlserver kserve bentoml mlflow]

`--binary` sends and takes tensors as bytes; the peers get JSON. Answers are held against scikit-learn's before anything is
timed. Half load is half of what a server can do, over HALF_CONNECTIONS that each pause between requests.

One server at a time on core 0, wrk on core 1, interleaved; the log and the metrics of Tidemill are on, and BentoML is loaded.
Nothing is asserted: figures of a busy machine are no figures, and the load average from before and after is printed with
them. Needs `wrk`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
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

import forms
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
HALF_CONNECTIONS = 64
LEAVING = 5.0
"""Seconds that a server's processes may take to be gone after they were killed."""
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

    def script(self, folder: Path, pause: float = 0.0) -> Path:
        """For wrk: posts this, with pauses of about so many seconds before each request of a connection."""
        folder.mkdir(parents=True, exist_ok=True)
        body = folder / "body"
        body.write_bytes(self.body)
        script = folder / "post.lua"
        lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers.items()]
        if pause:
            # wrk counts from when it writes a request; whole milliseconds, by chance, so that requests do not come in step.
            lines.append(f"function delay() return math.random({round(500 * pause)}, {round(1500 * pause)}) end")
        script.write_text(
            "\n".join(['wrk.method = "POST"', *lines, f'wrk.body = io.open("{body}", "rb"):read("*a")', ""])
        )
        return script


def probabilities_in(answer: httpx.Response) -> np.ndarray:
    """What a server says the probabilities are."""
    end = answer.headers.get("inference-header-content-length")
    document = json.loads(answer.content if end is None else answer.content[: int(end)])
    at = int(end or 0)
    if end is None:
        return peers.probabilities(document)
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        if output["name"] == "predict_proba":
            values = np.frombuffer(answer.content[at : at + size], "<f4")
            return values.reshape(output["shape"]).astype(np.float64)
        at += size
    raise SystemExit("an answer without probabilities")


def tree(process: int) -> list[int]:
    """The process and those that any of its threads started."""
    children = [pid for path in Path(f"/proc/{process}/task").glob("*/children") for pid in path.read_text().split()]
    return [process, *(other for child in children for other in tree(int(child)))]


def is_free() -> bool:
    """Whether no process listens where servers do."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            connection.bind(("127.0.0.1", PORT))
        except OSError:
            return False
    return True


class Running:
    """A server on core 0."""

    def __init__(self, command: list[str], path: str) -> None:
        # A server that was left behind would answer in the place of the one that is measured.
        end = time.monotonic() + LEAVING
        while not is_free():
            if time.monotonic() > end:
                raise SystemExit(f"somebody listens on port {PORT}; end it first")
            time.sleep(0.05)
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.path = path

    def first_answer(self, asked: Asked) -> tuple[float, httpx.Response]:
        """Seconds from the start to the first answer, and that answer."""
        answer = None
        while time.perf_counter() - self.started < PATIENCE:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args} ended with {self.process.returncode}")
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{PORT}{self.path}", content=asked.body, headers=asked.headers, timeout=PATIENCE
                )
            except httpx.TransportError:
                time.sleep(0.005)
                continue
            if answer.status_code == 200:
                return time.perf_counter() - self.started, answer
            time.sleep(0.005)
        answered = "nothing" if answer is None else f"{answer.status_code} {answer.text[:500]}"
        raise SystemExit(f"{self.process.args} says {answered} after {PATIENCE:g} s")

    def settled(self) -> None:
        """Wait until everything is loaded that a server of ours loads after its first answer."""
        end = time.monotonic() + PATIENCE
        while not httpx.get(f"http://127.0.0.1:{PORT}/tidemill/v1/state", timeout=PATIENCE).json()["bentoml"]:
            if time.monotonic() > end:
                raise SystemExit(f"BentoML is not loaded after {PATIENCE:g} s; look at what the server says")
            time.sleep(0.1)
        time.sleep(PAUSE)

    def logged(self) -> float:
        """The share of the rows so far that a server of ours keeps in its log; the others came faster than it can write."""
        log = httpx.get(f"http://127.0.0.1:{PORT}/tidemill/v1/state", timeout=PATIENCE).json()["logs"]["predictions"]
        if log["error"]:
            raise SystemExit(f"the log cannot be written: {log['error']}")
        kept = log["written"] + log["backlogRows"]
        return kept / (kept + log["dropped"])

    def load(self, script: Path, seconds: float, connections: int) -> tuple[int, float, float]:
        """Requests, requests per second, and the 99th percentile in milliseconds."""
        completed = subprocess.run(
            ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--latency", "-s", str(script), f"http://127.0.0.1:{PORT}{self.path}"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        if "Non-2xx" in completed or "Socket errors" in completed:
            raise SystemExit(completed)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", completed)
        tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", completed)
        count = re.search(r"(\d+) requests in", completed)
        assert rate is not None
        assert count is not None
        assert tail is not None
        return int(count[1]), float(rate[1]), float(tail[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[tail[2]]

    def worked(self) -> float:
        """Seconds of processor time so far, of all its processes."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in tree(self.process.pid)]
        return sum(int(pid[11]) + int(pid[12]) for pid in fields) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """Megabytes of all its processes."""
        results = [
            re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in tree(self.process.pid)
        ]
        return sum(int(pid[1]) for pid in results if pid) / 1024

    def stop(self) -> None:
        all_of_it = tree(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in all_of_it[1:]:
            # Some peers leave their workers behind.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=models.MODELS, default=list(models.MODELS))
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--binary", action="store_true")
    parser.add_argument(
        "--forms",
        nargs="*",
        default=[],
        help="forms of forms.py in which Tidemill is asked as well; all of them for 'all'",
    )
    parser.add_argument("--peers", nargs="*", choices=peers.PEERS, default=[])
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
    with tempfile.TemporaryDirectory() as scratch:
        path = peers.V2
        ours = [sys.executable, "-m", "tidemill", "serve", str(model), "--name", "m", "--port", str(PORT), "--log", f"file://{scratch}/log"]  # fmt: skip
        warm = Running(ours, path)
        _, answer = warm.first_answer(as_asked)
        warm.stop()
        echoed = Path(scratch) / "answer"
        echoed.write_bytes(answer.content)
        sklearn_model = str(model / "model.joblib")
        servers: dict[str, tuple[Callable[[], Running], Asked]] = {
            "echo": (lambda: Running([sys.executable, str(HERE / "echo.py"), str(PORT), str(echoed)], path), as_asked),
            "expert": (
                lambda: Running([sys.executable, str(HERE / "expert.py"), str(PORT), str(model / "expert.onnx")], path),
                as_json,
            ),
            "tidemill": (lambda: Running(ours, path), as_asked),
        }
        wanted = forms.bodies(rows[0], [f"f{index}" for index in range(models.FEATURES)])
        for form in wanted if chosen.forms == ["all"] else chosen.forms:
            tail, body = wanted[form]
            servers[f"tidemill, {form}"] = (
                lambda tail=tail: Running(ours, path.replace("infer", tail)),
                Asked(body, as_json.headers),
            )
        for name in chosen.peers:
            peer, python = peers.PEERS[name], str(peers.python_of(name))
            command = [python, str(HERE / peer.script), str(PORT), sklearn_model]
            asked = Asked(peer.body(rows), as_json.headers)
            servers[name] = (lambda command=command, peer=peer: Running(command, peer.path)), asked
        results: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
        for _ in range(chosen.rounds):
            for name, (start, asked) in servers.items():
                results[name].append(measure(name, start(), asked, truth, chosen, Path(scratch) / name))
    print(
        f"{model.parent.name}: {chosen.rows} rows x {models.FEATURES}{' as bytes' if chosen.binary else ''}, {chosen.connections} connections, load average {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    )
    middle = {
        name: [statistics.median(column) for column in zip(*values, strict=True)] for name, values in results.items()
    }
    for name, (each, rate, tail, half, first, idle, logged) in middle.items():
        latencies = [value[1] for value in results[name]]
        print(
            f"  {name:10} {rate:7.0f} requests/s ({min(latencies):.0f} to {max(latencies):.0f}), p99 {tail:6.2f} ms, {half:6.2f} ms at half load,"
            f" {each:6.1f} us of processor each, first answer {first:.2f} s, idle {idle:.0f} MB"
            + ("" if math.isnan(logged) else f", {logged:.0%} of the rows in the log")
        )
    for peer in [name for name in middle if not name.startswith("tidemill")]:
        rates, work = middle["tidemill"][1] / middle[peer][1], middle[peer][0] / middle["tidemill"][0]
        print(
            f"  tidemill / {peer}: {rates:.2f} by requests/s, {work:.2f} by processor time, which a busy machine disturbs less"
        )
    for form in [name for name in middle if name.startswith("tidemill,")]:
        ratios = [f"{middle[peer][0] / middle[form][0]:.2f} of {peer}" for peer in ("echo", "expert")]
        print(f"  {form}: {', '.join(ratios)}, by processor time")


def measure(
    name: str, server: Running, asked: Asked, truth: np.ndarray, chosen: argparse.Namespace, scratch: Path
) -> tuple[float, ...]:
    """Microseconds of processor for each request, requests per second, p99 and that at half load in milliseconds, seconds to
    the first answer, idle megabytes, and the share of rows that were logged; the server is stopped after it."""
    try:
        first, answer = server.first_answer(asked)
        gap = 0.0 if name == "echo" else float(np.abs(probabilities_in(answer) - truth).max())
        if gap > GAP:
            raise SystemExit(f"{name} differs by {gap:.2g} from what scikit-learn says")
        if name.startswith("tidemill"):
            server.settled()
        else:
            time.sleep(PAUSE)
        idle = server.resident()
        script = asked.script(scratch / "full")
        # What comes with the first requests only, such as the library that writes the log, is not counted.
        server.load(script, WARM, chosen.connections)
        worked = server.worked()
        count, rate, tail = server.load(script, chosen.seconds, chosen.connections)
        each = (server.worked() - worked) / count * 1e6
        pausing = asked.script(scratch / "half", pause=HALF_CONNECTIONS / (rate / 2))
        _, _, half = server.load(pausing, chosen.seconds, HALF_CONNECTIONS)
        return each, rate, tail, half, first, idle, server.logged() if name.startswith("tidemill") else math.nan
    finally:
        server.stop()


if __name__ == "__main__":
    main()
