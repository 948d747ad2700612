from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.model.answer import Answer, Unanswerable
from tidemill.runtime.model.artifact import write_estimator
from tidemill.runtime.model.predictor import Golden, Predictor, answers_alike, estimated
from tidemill.runtime.serve.version.batching import RequestBatcher
from tidemill.runtime.store.objects import ObjectStore

from ..conftest import Pod, pods, signature

SIGNATURE = signature(takes_missing=False)
RNG = np.random.default_rng(5)
TRAINING = RNG.normal(size=(300, 2))
FOREST = RandomForestClassifier(20, max_depth=6, random_state=1).fit(TRAINING, (TRAINING.sum(axis=1) > 0).astype(int))
ROWS = RNG.normal(size=(200, 2))


class Counting:
    """A forest that says how many rows it was asked at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.predictor = Predictor(SIGNATURE, self._ask, compiled=False)
        self._forest = estimated(FOREST, SIGNATURE)

    def _ask(self, matrix: Any) -> Answer:
        self.asked.append(len(matrix))
        if (matrix > 1e9).any():
            raise ValueError("too large for this model")
        return self._forest(matrix)


async def asked(batcher: RequestBatcher, *matrices: Any) -> list[Any]:
    return await asyncio.gather(*[batcher.ask(matrix) for matrix in matrices], return_exceptions=True)


async def test_a_lone_request_is_asked_alone_and_at_once() -> None:
    counting = Counting()
    batcher = RequestBatcher(counting.predictor, 64)
    asking = asyncio.ensure_future(batcher.ask(ROWS[:1]))
    await asyncio.sleep(0)  # it begins to wait
    await asyncio.sleep(0)  # and is answered in the next turn

    assert [1] == counting.asked
    await asking


async def test_requests_that_wait_together_get_the_answers_they_would_get_alone_in_their_order() -> None:
    counting = Counting()
    parts = [ROWS[start : start + size] for start, size in ((0, 1), (1, 3), (4, 1), (5, 5), (10, 1))]

    result = await asked(RequestBatcher(counting.predictor, 64), *parts)

    assert [11] == counting.asked
    for part, answer in zip(parts, result, strict=True):
        alone = counting.predictor.predict(part)
        assert alone.values.tolist() == answer.values.tolist()
        assert np.array_equal(alone.probabilities, answer.probabilities)


async def test_no_more_rows_are_put_together_than_allowed() -> None:
    counting = Counting()

    await asked(RequestBatcher(counting.predictor, 8), *[ROWS[index : index + 3] for index in range(7)], ROWS[:20])

    assert [6, 6, 6, 3, 20] == counting.asked


@pytest.mark.parametrize(("bad", "error"), [(np.nan, Unanswerable), (1e10, ValueError)])
async def test_a_request_that_cannot_be_answered_spoils_no_other(bad: float, error: type[Exception]) -> None:
    counting = Counting()

    first, wrong, last = await asked(
        RequestBatcher(counting.predictor, 64), ROWS[:1], np.array([[bad, 0.0]]), ROWS[1:3]
    )

    assert isinstance(wrong, error)
    assert (1, 2) == (len(first.values), len(last.values))
    assert np.array_equal(counting.predictor.predict(ROWS[1:3]).probabilities, last.probabilities)


async def test_a_client_that_has_gone_is_not_answered() -> None:
    counting = Counting()
    batcher = RequestBatcher(counting.predictor, 64)
    gone, here = (asyncio.ensure_future(batcher.ask(ROWS[index : index + 1])) for index in (0, 1))
    await asyncio.sleep(0)
    gone.cancel()

    assert 1 == len((await here).values)


def test_a_forest_answers_rows_in_company_as_alone_and_sums_of_products_need_not() -> None:
    def unsteady(matrix: Any) -> Answer:
        return Answer(np.zeros(len(matrix), np.int64), np.full((len(matrix), 2), 0.5 + len(matrix) * 1e-16))

    assert answers_alike(Predictor(SIGNATURE, estimated(FOREST, SIGNATURE), compiled=False), ROWS[:24])
    assert not answers_alike(Predictor(SIGNATURE, unsteady, compiled=False), ROWS[:24])
    assert not answers_alike(Predictor(SIGNATURE, estimated(FOREST, SIGNATURE), compiled=False), ROWS[:1])


def published(store: ObjectStore, folder: Path, estimator: Any) -> VersionOrder:
    """A version that scikit-learn answers for."""
    write_estimator(estimator, folder / "model.skops")
    golden = Golden(ROWS[:24], estimated(estimator, SIGNATURE)(ROWS[:24]))
    made = store.publish(
        "ns/models/house/house-1",
        {
            "model.skops": (folder / "model.skops").read_bytes(),
            "signature.json": json.dumps(SIGNATURE.to_wire()).encode(),
            "golden.json": golden.to_json(),
        },
    )
    return VersionOrder(name="house-1", uri=made.uri, digest=made.digest)


def answers(server: Pod, clients: int) -> list[tuple[str, str, int, list[Any]]]:
    """What each of many clients gets for a row of its own, sent at the same time; some of them ask for what is refused."""
    ready = threading.Barrier(clients)

    def send(index: int) -> tuple[str, str, int, list[Any]]:
        size = None if index % 7 == 3 else float(ROWS[index, 0])
        row = {"size": size, "age": float(ROWS[index, 1])}
        with httpx.Client(base_url=server.url, timeout=60) as client:
            ready.wait()
            response = client.post("/v2/models/house/predict", json={"id": f"r-{index}", "rows": [row]})
        body = response.json()
        return f"r-{index}", body.get("id", ""), response.status_code, body.get("probabilities", [])

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(send, range(clients)))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [FOREST, LogisticRegression().fit(TRAINING, FOREST.predict(TRAINING))])
def test_a_pod_answers_the_same_whether_requests_are_put_together_or_not(estimator: Any, tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}/store")
    version = published(store, tmp_path, estimator)
    with pods(tmp_path, store) as prepare:
        together, alone = prepare(version).ready(), prepare(version, batchRows=1).ready()
        many, few = answers(together, 40), answers(alone, 40)

    assert few == many
    assert {200, 400} == {status for _, _, status, _ in many}
    assert all(wanted == got for wanted, got, status, _ in many if status == 200)
