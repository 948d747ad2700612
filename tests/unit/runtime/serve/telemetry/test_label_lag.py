from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.log.records import Author, Prediction
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.protocol.features import Rows
from tidemill.runtime.protocol.feedback import Label
from tidemill.runtime.serve.telemetry.label_lag import (
    BOUNDS,
    MAX_LABELS_PER_REQUEST,
    MAX_VERSIONS,
    MAX_WAITING,
    OTHER,
    Lags,
)
from tidemill.runtime.serve.telemetry.metrics import Metrics

from ..conftest import Pod, until
from .test_metrics import samples


def answered(
    request: str, at: float, version: str = "house-1", rows: int = 1, keys: tuple[str, ...] = ()
) -> Prediction:
    matrix = np.zeros((rows, 1))
    author = Author(version, "sha256:0", "Stable", None)
    return Prediction(request, at, Rows(matrix, {}), Answer(np.zeros(rows)), author, keys)


def label(request: str, at: float, row: int = 0) -> Label:
    return Label(request, row, 1, at)


def counted(lags: Lags) -> dict[str, list[tuple[float, int]]]:
    """By version, the buckets that hold anything, by their upper bounds."""
    bounds = (*BOUNDS, float("inf"))
    return {
        version: [(bound, count) for bound, count in zip(bounds, lag.buckets, strict=True) if count]
        for version, lag in lags.of.items()
    }


def test_a_label_is_timed_from_the_answer_to_its_row_by_the_version_that_gave_it() -> None:
    lags = Lags()
    lags.written([answered("r-1", 1000.0, rows=2), answered("r-2", 1000.0, "house-2")])
    lags.came([label("r-1", 1005.0, row=1), label("r-2", 1000.0 + 7200)])
    lags.written([])

    assert {"house-1": [(10.0, 1)], "house-2": [(21600.0, 1)]} == counted(lags)
    assert 5.0 == lags.of["house-1"].seconds


def test_a_row_with_a_key_is_known_by_it() -> None:
    lags = Lags()
    lags.written([answered("r-1", 0.0, rows=2, keys=("anna", "bert"))])
    lags.came([label("bert", 30.0)])
    lags.written([])

    assert {"house-1": [(60.0, 1)]} == counted(lags)


def test_a_label_that_comes_before_its_row_is_written_is_not_missed() -> None:
    lags = Lags()
    lags.came([label("r-1", 0.5)])
    lags.written([])
    lags.written([answered("r-1", 0.0)])

    assert {"house-1": [(1.0, 1)]} == counted(lags)


def test_a_label_that_is_sent_again_counts_once() -> None:
    lags = Lags()
    lags.written([answered("r-1", 0.0)])
    lags.came([label("r-1", 5.0), label("r-1", 500.0)])
    lags.written([])
    lags.came([label("r-1", 5000.0)])
    lags.written([])

    assert {"house-1": [(10.0, 1)]} == counted(lags)


def test_a_label_from_before_its_answer_took_no_time() -> None:
    lags = Lags()
    lags.written([answered("r-1", 100.0)])
    lags.came([label("r-1", 50.0)])
    lags.written([])

    assert {"house-1": [(1.0, 1)]} == counted(lags)


def test_labels_of_rows_that_nobody_here_answered_are_forgotten() -> None:
    lags = Lags()
    lags.came([label(f"r-{number}", 0.0) for number in range(2 * MAX_WAITING)])
    assert MAX_WAITING == len(lags._arrived)

    lags.written([])
    lags.written([])

    assert ({}, 0, 0) == (lags.of, len(lags._arrived), len(lags._unknown))


def test_a_sample_of_bounded_size_stands_for_all_rows() -> None:
    lags = Lags(max_rows=1000)
    for batch in range(100):
        lags.written([answered(f"r-{batch}-{number}", float(batch), rows=2) for number in range(250)])
        assert 1000 >= len(lags)
    lags.came([label(f"r-{batch}-{n}", batch + 5.0, row) for batch in range(100) for n in range(250) for row in (0, 1)])
    lags.written([])

    ((bound, count),) = counted(lags)["house-1"]
    assert 10.0 == bound
    assert 50_000 == pytest.approx(count, rel=0.15)


def test_of_many_requests_at_once_a_few_stand_for_all() -> None:
    lags = Lags()
    lags.written([answered(f"r-{number}", 0.0, rows=20) for number in range(10 * MAX_LABELS_PER_REQUEST)])
    assert 5 * MAX_LABELS_PER_REQUEST >= len(lags)

    lags.came([label(f"r-{number}", 5.0, row) for number in range(2500) for row in range(20)])
    lags.written([])

    assert 2500 * 20 == pytest.approx(sum(lags.of["house-1"].buckets), rel=0.05)


def test_the_sample_is_finer_again_when_rows_are_fewer() -> None:
    lags = Lags(max_rows=100)
    lags.written([answered(f"r-{number}", 0.0) for number in range(900)])
    before = lags.level
    for index in list(lags._rows):
        del lags._rows[index]
    lags.written([answered(f"s-{number}", 0.0) for number in range(10)])

    assert lags.level == before - 1


def test_many_versions_are_no_longer_told_apart() -> None:
    lags, metrics = Lags(), Metrics("houses")
    metrics.lags = lags
    lags.written([answered(f"r-{number}", 0.0, f"house-{number}") for number in range(3 * MAX_VERSIONS)])
    lags.came([label(f"r-{number}", 1.0) for number in range(3 * MAX_VERSIONS)])
    lags.written([])

    counted = samples(metrics, "tidemill_label_lag_seconds_count")
    assert MAX_VERSIONS + 1 == len(counted)
    assert 2 * MAX_VERSIONS == counted[OTHER, "houses"]


def test_a_pod_says_how_long_its_labels_took(publish: Callable[..., VersionOrder], pod: Callable[..., Pod]) -> None:
    server = pod(publish("house-1")).ready()
    server.ask(2.0, id="r-1")
    server.client.post(
        "/v2/models/house/feedback",
        json={"data": [{"id": "r-1", "label": 1}, {"id": "strange", "label": 1}]},
    )

    def body() -> dict[str, Any]:
        lines = server.client.get("/metrics").text.splitlines()
        return {line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1] for line in lines if "label_lag" in line}

    names = 'model_version="house-1",service="houses"'
    until(lambda: body().get(f"tidemill_label_lag_seconds_count{{{names}}}") == "1.0", "the label is matched")
    assert "1.0" == body()[f'tidemill_label_lag_seconds_bucket{{le="2.592e+06",{names}}}']
