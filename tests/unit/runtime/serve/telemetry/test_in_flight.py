"""How many requests are under way, as a scrape sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.serve.telemetry.in_flight import WINDOW
from tidemill.runtime.serve.telemetry.metrics import Metrics, UnderWay
from tidemill.runtime.store.objects import ObjectStore

from ..conftest import Pod, pods, until
from ..hostility import BASE
from ..test_slow_work import slow_version

STABLE, CANDIDATE = ("house-1", "Stable"), ("house-2", "Candidate")
ROW = {"rows": [{"size": 1, "age": 1}]}
TENSOR = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 1]}]}


def in_flight(text: str) -> dict[tuple[str, str], float]:
    """By version and role."""
    return {
        (sample.labels["model_version"], sample.labels["role"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tidemill_predictions_in_flight"
    }


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_answers_that_took_as_long_as_the_time_that_went_by_are_one_request_under_way() -> None:
    clock = Clock()
    metrics = Metrics("houses", clock=clock)
    for _ in range(40):
        metrics.of(*STABLE).answered(200, 0.1, 1)
    metrics.of(*CANDIDATE).answered(200, 1.0, 1)

    clock.now += 4

    assert {STABLE: pytest.approx(1.0), CANDIDATE: pytest.approx(0.25)} == in_flight(metrics.text([]))


def test_a_request_counts_before_it_is_answered_and_for_the_version_that_is_asked() -> None:
    clock = Clock()
    metrics = Metrics("houses", clock=clock)
    under_way = UnderWay(metrics.of(*STABLE), clock.now)
    metrics.under_way.add(under_way)

    clock.now += 4
    before = in_flight(metrics.text([]))
    under_way.series = metrics.of(*CANDIDATE)
    sent_on = in_flight(metrics.text([]))
    metrics.under_way.discard(under_way)
    under_way.series.answered(200, 4.0, 1)

    assert {STABLE: 1.0} == before
    assert {STABLE: 0.0, CANDIDATE: 1.0} == sent_on == in_flight(metrics.text([]))


def test_what_is_over_is_forgotten_within_seconds() -> None:
    clock = Clock()
    metrics = Metrics("houses", clock=clock)
    metrics.of(*STABLE).answered(200, 3.0, 1)

    seen = []
    for _ in range(WINDOW + 2):
        clock.now += 1
        metrics.load.sample()
        seen.append(in_flight(metrics.text([]))[STABLE])

    assert seen == sorted(seen, reverse=True)
    assert 3.0 == pytest.approx(seen[0])
    assert 0.0 == seen[-1]


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{}, {"content-encoding": "identity"}], ids=["at once", "the long way"])
@pytest.mark.parametrize(("act", "body"), [("predict", ROW), ("infer", TENSOR)])
def test_requests_are_seen_under_way_while_they_come_and_not_afterwards(
    publish: Callable[..., VersionOrder],
    pod: Callable[..., Pod],
    act: str,
    body: dict[str, object],
    headers: dict[str, str],
) -> None:
    server = pod(publish("house-1")).ready()
    over = threading.Event()

    def ask_on(_: int) -> None:
        with httpx.Client(base_url=server.url, timeout=30, headers=headers) as client:
            while not over.is_set():
                assert 200 == client.post(f"{BASE}/{act}", json=body).status_code

    def seen() -> float:
        return in_flight(server.client.get("/metrics").text)[STABLE]

    with ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(ask_on, number) for number in range(4)]
        try:
            until(lambda: seen() > 0.005, "seen under load")
        finally:
            over.set()
        assert [None] * 4 == [server.result() for server in asking]
    until(lambda: seen() == 0, "none is under way any more")


@pytest.mark.slow
def test_slow_requests_are_all_seen_though_none_of_them_is_answered_yet(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}/store")
    with pods(tmp_path, store) as prepare:
        server = prepare(slow_version(store), timeoutSeconds=4.0).ready()
        rows = [{"size": 40_000_000, "age": 1}, *[{"size": 1, "age": 1}] * 2_000]

        def ask(_: int) -> int:
            return httpx.post(f"{server.url}{BASE}/predict", json={"rows": rows}, timeout=60).status_code

        with ThreadPoolExecutor(6) as clients:
            asking = [clients.submit(ask, number) for number in range(6)]
            until(
                lambda: in_flight(server.client.get("/metrics").text)["slow", "Stable"] > 3,
                "most of them are under way, of which two are worked on",
            )
            assert {504} == {server.result() for server in asking}
