"""The sweeper as a process: it asks the operator, survives whatever happens, and shows what it found."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidemill.contract.references import References
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.retention import exposition, server
from tidemill.runtime.retention.exposition import SweepMetrics, VolumeSpace, space_of
from tidemill.runtime.retention.sweeper import Size, Turn

ANSWER = {
    "format": "tidemill.dev/references/v1",
    "namespaces": ["shop"],
    "logs": ["shop/fraud"],
    "monitors": [],
    "folders": [],
    "digests": [],
}


class Operator(BaseHTTPRequestHandler):
    """Answers what the test says."""

    status, body = 200, json.dumps(ANSWER).encode()

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/references" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Operator) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_the_operator_is_asked_what_is_in_use(operator: str) -> None:
    assert References.model_validate(ANSWER) == server.ask(operator)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, b"the first list has not ended yet", urllib.error.HTTPError),
        (200, b"{}", ValueError),
        (200, b"ok\n", ValueError),
    ],
    ids=["not ready", "another answer", "no answer"],
)
def test_an_answer_that_is_not_complete_is_an_error(
    operator: str, status: int, body: bytes, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Operator, "status", status)
    monkeypatch.setattr(Operator, "body", body)

    with pytest.raises(error):
        server.ask(operator)


def test_no_error_ends_the_loop_and_each_is_counted() -> None:
    measured, turns = SweepMetrics(), iter([StoreUnreachable("gone"), OSError("503"), RuntimeError("bug"), Turn()])

    def turn() -> Turn:
        outcome = next(turns)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    loop = server.SweepLoop(turn, measured, lambda: 1234.0)
    waits = [loop.once() for _ in range(4)]

    assert [server.RETRY_SECONDS] * 3 == waits[:3]
    assert 0.9 * server.INTERVAL_SECONDS <= waits[3] <= 1.1 * server.INTERVAL_SECONDS
    assert (3, 1234.0) == (measured.failures, measured.swept_at)


def test_a_turn_that_left_something_to_delete_is_followed_by_another_soon() -> None:
    assert server.RETRY_SECONDS == server.SweepLoop(lambda: Turn(left=True), SweepMetrics(), lambda: 0.0).once()


def read(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_metrics_tell_the_newest_sizes_and_count_what_was_deleted() -> None:
    measured = SweepMetrics()
    for number in (1, 2):
        turn = Turn()
        turn.sizes["shop", "models", True] = Size(number, 100 * number)
        turn.deleted["labels"] = Size(5, 50)
        measured.record(turn, 1e9)
    series = read(measured.page(VolumeSpace(1000, 250)))
    of_models = (("in_use", "true"), ("kind", "models"), ("namespace", "shop"))

    assert (200, 2) == (series["tidemill_store_bytes", of_models], series["tidemill_store_objects", of_models])
    assert 10 == series["tidemill_store_deleted_objects_total", (("kind", "labels"),)]
    assert 100 == series["tidemill_store_deleted_bytes_total", (("kind", "labels"),)]
    assert (1000, 250) == (series["tidemill_store_capacity_bytes", ()], series["tidemill_store_free_bytes", ()])
    assert 1e9 == series["tidemill_store_sweep_timestamp_seconds", ()]


def test_what_is_not_known_is_not_told() -> None:
    assert {("tidemill_store_sweep_failures_total", ()): 0.0} == read(SweepMetrics().page(None))


def test_every_metric_is_in_the_table_once() -> None:
    assert len(exposition.TABLE) == len({metric.name for metric in exposition.TABLE})


def test_the_space_of_a_volume_is_that_of_its_file_system(tmp_path: Path) -> None:
    space, usage = space_of(tmp_path), shutil.disk_usage(tmp_path)

    assert space.capacity == usage.total
    assert abs(space.free - usage.free) < 1 << 30


def test_metrics_and_health_are_served(tmp_path: Path) -> None:
    listening = server.MetricsServer(("127.0.0.1", 0), SweepMetrics(), tmp_path)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{listening.server_address[1]}"
    try:
        with urllib.request.urlopen(f"{base}/metrics") as page, urllib.request.urlopen(f"{base}/healthz") as health:
            assert ("tidemill_store_free_bytes", ()) in read(page.read())
            assert b"ok\n" == health.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/")
    finally:
        listening.shutdown()
        listening.server_close()
