"""The warm worker as the process that its pod runs, asked over HTTP: the same results as a check Job's, and bounds."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.plane import free_ports
from tidemill.api.checks import Check
from tidemill.contract.orders import WorkerOrder
from tidemill.contract.reports import RunReport
from tidemill.runtime.worker import run as runs
from tidemill.runtime.worker.worker import MAX_BYTES

Life = Any  # the builder of conftest.py

INPUTS = Check(name="inputs", type="FeatureDrift", failing=0.2, share=0.15)
DOMAIN = Check(name="domain", type="DomainClassifier", failing=0.75)
QUALITY = Check(name="quality", type="Performance", metric="accuracy", maximum_regression=0.05)
CHECKS = (INPUTS, DOMAIN, QUALITY)
PROGRAM = (
    "import logging, sys; from pathlib import Path; from tidemill.runtime.worker.worker import serve\n"
    "logging.basicConfig(level=logging.INFO)\n"
    "serve(Path(sys.argv[1]), host='127.0.0.1', port=int(sys.argv[2]), store_path=Path(sys.argv[3]))"
)


@dataclass
class Worker:
    """A worker's process, and how to ask it."""

    process: subprocess.Popen[bytes]
    port: int

    def stop(self) -> int:
        """Tell it to stop, as the kubelet does, and answer with its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=10)

    def post(self, run: str, body: bytes | str, **headers: str) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.port}/checks/{run}", content=body, headers=headers, timeout=20)

    def ask(self, run: str, order: Any) -> httpx.Response:
        """Ask until there is an answer other than that the run is under way."""
        while True:
            answer = self.post(run, spelled(order))
            if answer.status_code != 202:
                return answer

    def healthy(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def memory(self) -> int:
        """Bytes that its processes hold that they share with no other process."""
        pids = [self.process.pid, *descendants(self.process.pid)]
        lines = [
            line
            for pid in pids
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            if "Private" in line
        ]
        return sum(1024 * int(line.split()[1]) for line in lines)


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(other for child in children for other in descendants(child))]


def is_alive(pid: int) -> bool:
    """Whether the process is there, and not only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def spelled(order: Any) -> str:
    return json.dumps(order.to_wire())


Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts workers of the monitor whose log is in tmp_path/store."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "uri").write_text(f"file://{tmp_path}/store\n")
    started = []

    def begin(deadline: float = 60.0) -> Worker:
        home = WorkerOrder(namespace="ns", monitor="fraud-watch", service="fraud", deadline_seconds=deadline)
        (tmp_path / "worker.json").write_text(home.model_dump_json(by_alias=True))
        [port] = free_ports(1)
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "worker.json"), str(port), str(tmp_path / "secret")]
        with (tmp_path / "log").open("w") as log:
            worker = Worker(subprocess.Popen(command, stderr=log), port)
        started.append(worker)
        for _ in range(600):
            if worker.healthy():
                return worker
            time.sleep(0.1)
        raise AssertionError("it did not get warm within a minute")

    yield begin
    for worker in started:
        worker.stop()


def by_job(order: Any, tmp_path: Path) -> RunReport:
    """What a check Job leaves as its termination message."""
    (tmp_path / "order.json").write_text(spelled(order))
    runs.run(tmp_path / "order.json", report_path=tmp_path / "report", store_path=tmp_path / "secret")
    return RunReport.model_validate_json((tmp_path / "report").read_text())


def test_a_check_finds_what_its_job_finds_and_publishes_the_same(life: Life, start: Start, tmp_path: Path) -> None:
    rows, labels = life.draw(250, scaled=1.25)
    life.serve(rows, labels=labels)
    order = life.order(*CHECKS)
    expected = by_job(order, tmp_path)
    published = life.result()
    assert expected.checked is not None
    assert "Failing" == expected.checked.verdict

    answer = start().ask("fraud-watch-0a1b2c3d-1", order)

    assert (200, expected) == (answer.status_code, RunReport.model_validate_json(answer.content))
    assert published == life.result()


def test_a_run_that_is_asked_for_again_is_the_same_run(life: Life, start: Start) -> None:
    rows, _ = life.draw(250)
    life.serve(rows)
    worker, order = start(), life.order(INPUTS)
    with ThreadPoolExecutor(8) as callers:
        together = list(callers.map(lambda _: worker.ask("a-1", order).content, range(8)))
    life.serve(rows)

    again, other = worker.ask("a-1", order), worker.ask("a-2", order)

    assert {again.content} == set(together)
    results = [RunReport.model_validate_json(run.content).checked for run in (again, other)]
    assert [250, 500] == [checked and checked.samples for checked in results]


def test_what_a_job_fails_of_is_reported_alike(life: Life, start: Start, tmp_path: Path) -> None:
    order = life.order(INPUTS).model_copy(update={"version": life.version.model_copy(update={"uri": "s3://nowhere/x"})})

    expected, answer = by_job(order, tmp_path), start().ask("a-1", order)

    assert expected.failure is not None
    assert expected == RunReport.model_validate_json(answer.content)


def test_orders_that_are_none_or_another_monitors_are_turned_away_with_the_reason(life: Life, start: Start) -> None:
    worker, order = start(), life.order(INPUTS)
    ingest = json.dumps({"task": "Ingest", "namespace": "ns", "dataset": "d", "source": {"uri": "sklearn://iris"}})
    with socket.create_connection(("127.0.0.1", worker.port)) as raw:
        raw.sendall(f"POST /checks/a-1 HTTP/1.1\r\nContent-Length: {MAX_BYTES + 1}\r\n\r\n".encode())
        too_long = raw.recv(4096).decode()
    answers = {
        "nonsense": worker.post("a-1", "{"),
        "nothing": worker.post("a-1", ""),
        "another task": worker.post("a-1", ingest),
        "another namespace": worker.post("a-1", spelled(order.model_copy(update={"namespace": "others"}))),
        "another log": worker.post("a-1", spelled(order.model_copy(update={"service": "loans"}))),
        "no name": worker.post("", spelled(order)),
        "a long name": worker.post("a" * 64, spelled(order)),
    }

    assert {
        "nonsense": 400,
        "nothing": 400,
        "another task": 400,
        "another namespace": 403,
        "another log": 403,
        "no name": 404,
        "a long name": 404,
    } == {name: answer.status_code for name, answer in answers.items()}
    assert all(answer.json()["message"] for answer in answers.values())
    assert "task" in answers["another task"].json()["message"]
    assert " 413 " in too_long.splitlines()[0]
    assert " 411 " in unmeasured(worker).splitlines()[0]


def unmeasured(worker: Worker) -> str:
    """The answer to an order without a length."""
    with socket.create_connection(("127.0.0.1", worker.port)) as raw:
        raw.sendall(b"POST /checks/a-1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        return raw.recv(4096).decode()


def test_a_check_that_takes_too_long_is_ended_and_the_next_one_is_run(life: Life, start: Start) -> None:
    rows, _ = life.draw(250)
    life.serve(rows)
    worker = start(deadline=0.001)

    answer = worker.ask("a-1", life.order(INPUTS))

    assert 500 == answer.status_code
    assert "took more than 0.001 s" in answer.json()["message"]
    assert worker.healthy()
    assert 500 == worker.ask("a-2", life.order(INPUTS)).status_code


def test_another_run_waits_until_the_one_under_way_is_over(life: Life, start: Start) -> None:
    worker, order = start(), life.order(INPUTS)
    fifo = stuck(life)

    first, second = worker.post("a-1", spelled(order)), worker.post("a-2", spelled(order))

    assert [202, 409] == [first.status_code, second.status_code]
    assert "a-1" in second.json()["message"]
    fifo.unlink()


def stuck(life: Life) -> Path:
    """From now on a reader of the version waits without end."""
    manifest = Path(life.version.uri.removeprefix("file://")) / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    return manifest


def test_a_process_that_is_killed_is_told_and_does_not_take_the_worker_along(life: Life, start: Start) -> None:
    worker, order = start(), life.order(INPUTS)
    idle = set(descendants(worker.process.pid))
    manifest = stuck(life)
    assert 202 == worker.post("a-1", spelled(order)).status_code
    [at_work] = set(descendants(worker.process.pid)) - idle

    os.kill(at_work, signal.SIGKILL)
    answer = worker.ask("a-1", order)

    assert 500 == answer.status_code
    assert "exit code -9" in answer.json()["message"]
    assert worker.healthy()
    manifest.unlink()


@pytest.mark.slow
def test_a_hundred_checks_leave_no_memory_behind(life: Life, start: Start) -> None:
    rows, labels = life.draw(2000)
    life.serve(rows, labels=labels)
    worker, order = start(), life.order(INPUTS, QUALITY)
    for number in range(5):
        worker.ask(f"warm-{number}", order)
    before = worker.memory()

    for number in range(100):
        assert 200 == worker.ask(f"run-{number}", order).status_code

    assert worker.memory() - before < 3_000_000


def test_callers_who_say_nothing_are_few_and_do_not_stay(life: Life, start: Start) -> None:
    worker = start()
    silent = [socket.create_connection(("127.0.0.1", worker.port)) for _ in range(40)]
    time.sleep(0.5)
    held = [connection for connection in silent if not is_closed(connection)]

    assert len(held) <= 16
    for connection in silent:
        connection.close()
    deadline = time.monotonic() + 10
    while not worker.healthy():
        assert time.monotonic() < deadline


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_when_told_to_stop_it_ends_the_run_under_way_and_itself(life: Life, start: Start, tmp_path: Path) -> None:
    worker, order = start(), life.order(INPUTS)
    manifest = stuck(life)
    assert 202 == worker.post("a-1", spelled(order)).status_code
    family = descendants(worker.process.pid)

    assert 0 == worker.stop()

    output = (tmp_path / "log").read_text()
    assert "stopped" in output
    assert "Traceback" not in output
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in family):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    manifest.unlink()
