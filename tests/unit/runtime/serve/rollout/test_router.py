"""A rollout within one process: its table, and a candidate that is a small server in the same loop."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from support.fast_path import FAST_PATH
from tidemill.runtime.model.predictor import Answer, Predictor
from tidemill.runtime.process.loops import Loops
from tidemill.runtime.protocol.features import NO_CATEGORIES, Rows
from tidemill.runtime.serve.http.request import Request
from tidemill.runtime.serve.rollout.router import Predict, RolloutRouter
from tidemill.runtime.serve.rollout.shadow import MAX_BYTES, MAX_WAITING
from tidemill.runtime.serve.rollout.trial import RolloutTrial
from tidemill.runtime.serve.telemetry.metrics import Metrics
from tidemill.runtime.serve.version.model import Identity, ServedModel

from ..conftest import signature

FIRST, SECOND, THIRD = (
    {"name": f"house-{number}", "uri": "file:///x", "digest": "sha256:" + str(number) * 64} for number in (1, 2, 3)
)
NOWHERE = "http://127.0.0.1:1"
ROWS = Rows(np.array([[1.0, 2.0], [-1.0, 2.0]]), NO_CATEGORIES)


def request_of(id: str, body: bytes = b"{}") -> Request:
    return Request("/v2/models/house/predict", body, {}, id, ROWS)


def answer(matrix: Any) -> Answer:
    """Class 1 where the first feature is above zero."""
    return Answer((matrix[:, 0] > 0).astype(np.int64), np.full((len(matrix), 2), 0.5))


async def predict(rows: Rows) -> Answer:
    return answer(rows.matrix)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "routes.json"


def house(table: Path, predict: Predict, timeout: float) -> RolloutRouter:
    identity = Identity("ns", "houses", "house", FIRST["name"], FIRST["digest"], "Stable")
    model = ServedModel(identity, Predictor(signature(), answer, compiled=True), fast=FAST_PATH)
    return RolloutRouter(table, model, Metrics("houses"), timeout=timeout, predict=predict)


@pytest.fixture
async def rollout(table: Path) -> AsyncIterator[RolloutRouter]:
    made = house(table, predict, 0.01)
    yield made
    await made.close()


@pytest.fixture
async def loops() -> AsyncIterator[Loops]:
    """Background loops that end with the test."""
    made = Loops()
    yield made
    await made.stop(1.0)


def candidate(version: dict[str, str] = SECOND, **more: Any) -> dict[str, Any]:
    return {"weight": 100, "candidate": version, "candidateUrl": NOWHERE, **more}


async def follow(rollout: RolloutRouter, table: Path, routes: dict[str, Any] | str) -> None:
    """Replace the table, as the kubelet does, and look at it."""
    put(table, routes)
    await rollout.look()


def put(table: Path, routes: dict[str, Any] | str) -> None:
    new = table.with_suffix(".new")
    new.write_text(routes if isinstance(routes, str) else json.dumps(routes))
    new.rename(table)


async def come_true(claim: Callable[[], bool]) -> None:
    """Wait for what happens outside of the requests."""
    for _ in range(6_000):
        if claim():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


async def ask(rollout: RolloutRouter, request: str = "r-1") -> Any:
    return await rollout.ask(request_of(request))


async def test_without_a_table_nothing_goes_to_a_candidate(rollout: RolloutRouter) -> None:
    await rollout.look()

    assert (None, 0, "") == (rollout.routes, rollout.split.percent, rollout.problem)
    assert await ask(rollout) is None


async def test_a_table_names_the_candidate_its_share_and_the_peers(rollout: RolloutRouter, table: Path) -> None:
    await follow(rollout, table, candidate(weight=25, peers=["http://a:8080/", "http://b:8080"]))

    assert 25 == rollout.split.percent
    assert ("http://a:8080", "http://b:8080") == rollout.peers
    assert rollout.trial is not None
    assert ("house-1", "house-2") == (rollout.trial.stable.version, rollout.trial.candidate.version)


@pytest.mark.parametrize(("weight", "share"), [(-5, 0), (250, 100)])
async def test_a_share_stays_between_none_and_all(rollout: RolloutRouter, table: Path, weight: int, share: int) -> None:
    await follow(rollout, table, candidate(weight=weight))

    assert share == rollout.split.percent


@pytest.mark.parametrize("text", ["{", '{"weight": "many"}', "[]", '{"candidate": {"name": "x"}}'])
async def test_a_table_that_is_not_understood_leaves_the_last_one_in_force(
    rollout: RolloutRouter, table: Path, text: str
) -> None:
    await follow(rollout, table, candidate(weight=25))
    before = rollout.routes

    await follow(rollout, table, text)

    assert "is not understood" in rollout.problem
    assert (before, 25) == (rollout.routes, rollout.split.percent)


async def test_a_problem_is_over_with_the_next_good_table(rollout: RolloutRouter, table: Path) -> None:
    await follow(rollout, table, "{")
    await follow(rollout, table, candidate(weight=10))

    assert ("", 10) == (rollout.problem, rollout.split.percent)


async def test_a_table_that_cannot_be_read_is_a_problem_and_no_end(rollout: RolloutRouter, table: Path) -> None:
    os.mkdir(table)

    await rollout.look()

    assert "cannot be read" in rollout.problem


@pytest.mark.parametrize("over", ["", "{}", json.dumps(candidate(FIRST))])
async def test_a_trial_is_over_where_the_table_names_no_candidate_or_this_very_version(
    rollout: RolloutRouter, table: Path, over: str
) -> None:
    await follow(rollout, table, candidate())

    await follow(rollout, table, over)

    assert (None, 0) == (rollout.trial, rollout.split.percent)
    assert await ask(rollout) is None


async def test_a_candidate_without_a_url_keeps_its_score_and_gets_nothing(rollout: RolloutRouter, table: Path) -> None:
    await follow(rollout, table, candidate())
    trial = rollout.trial

    await follow(rollout, table, candidate(candidateUrl=""))

    assert (trial, 0) == (rollout.trial, rollout.split.percent)
    assert await ask(rollout) is None


async def test_the_same_candidate_elsewhere_keeps_its_score_and_another_one_starts_at_zero(
    rollout: RolloutRouter, table: Path
) -> None:
    await follow(rollout, table, candidate())
    trial = rollout.trial
    await follow(rollout, table, candidate(candidateUrl="http://127.0.0.1:2"))
    moved = rollout.trial
    await follow(rollout, table, candidate(THIRD))

    assert trial is moved
    assert rollout.trial is not trial
    assert rollout.trial is not None
    assert "house-3" == rollout.trial.candidate.version


async def test_a_candidate_that_does_not_answer_leaves_the_request_to_the_stable_version(
    rollout: RolloutRouter, table: Path
) -> None:
    await follow(rollout, table, candidate())

    result = await ask(rollout)

    assert result is None
    assert rollout.trial is not None
    assert (1, 1) == (rollout.trial.candidate.requests, rollout.trial.candidate.errors)


async def test_after_many_failures_the_candidate_is_not_asked_until_another_one_comes(
    rollout: RolloutRouter, table: Path
) -> None:
    await follow(rollout, table, candidate())
    while not rollout.breaker_open:
        await ask(rollout)
    assert rollout.trial is not None
    asked = rollout.trial.candidate.requests

    assert await ask(rollout) is None
    assert asked == rollout.trial.candidate.requests
    await follow(rollout, table, candidate(THIRD))
    assert not rollout.breaker_open


Serve = Callable[[dict[str, str]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts candidates that say 1 to both rows, in these classes; gives their URL."""
    runners: list[web.AppRunner] = []

    async def start(marks: dict[str, str]) -> str:
        async def respond(request: web.Request) -> web.Response:
            body = {"predictions": [1, 1], "classes": [0, 1], "probabilities": [[0.25, 0.75], [0.25, 0.75]]}
            return web.json_response(body, headers=marks)

        app = web.Application()
        app.router.add_post("/v2/models/house/predict", respond)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


MARKS = {"x-model-version": SECOND["name"], "x-model-digest": SECOND["digest"]}


@pytest.fixture
async def asked() -> asyncio.Event:
    """Set once the stable version was asked for a comparison."""
    return asyncio.Event()


@pytest.fixture
async def patient(table: Path, asked: asyncio.Event) -> AsyncIterator[RolloutRouter]:
    """A rollout that waits for a candidate as long as a busy machine takes."""

    async def predict_and_tell(rows: Rows) -> Answer:
        asked.set()
        return await predict(rows)

    made = house(table, predict_and_tell, 30.0)
    yield made
    await made.close()


async def test_a_candidates_answer_is_passed_on_with_its_name(
    patient: RolloutRouter, table: Path, serve: Serve
) -> None:
    await follow(patient, table, candidate(candidateUrl=await serve(MARKS)))

    reply, author = await ask(patient)

    assert [1, 1] == json.loads(reply.body)["predictions"]
    assert ("house-2", SECOND["digest"], "Candidate") == (author.version, author.digest, author.role)
    assert patient.trial is not None
    assert (1, 0) == (patient.trial.candidate.requests, patient.trial.candidate.errors)


async def test_where_the_table_says_compare_the_stable_version_is_asked_too(
    patient: RolloutRouter, table: Path, serve: Serve, asked: asyncio.Event, loops: Loops
) -> None:
    await follow(patient, table, candidate(candidateUrl=await serve(MARKS), compare=True))
    patient.start(loops)
    await ask(patient)

    await asked.wait()

    assert patient.trial is not None
    assert (2, 1) == (patient.trial.compared, patient.trial.agreed)


async def test_without_compare_the_stable_version_is_left_alone(
    patient: RolloutRouter, table: Path, serve: Serve, asked: asyncio.Event, loops: Loops
) -> None:
    await follow(patient, table, candidate(candidateUrl=await serve(MARKS)))
    patient.start(loops)
    await ask(patient)
    for _ in range(20):
        await asyncio.sleep(0)

    assert not asked.is_set()


async def test_a_copy_of_an_answered_request_is_compared_and_nobody_waits_for_it(
    patient: RolloutRouter, table: Path, serve: Serve, loops: Loops
) -> None:
    await follow(patient, table, candidate(candidateUrl=await serve(MARKS), weight=0, shadow=100))
    patient.start(loops)

    patient.copy(request_of("r-1"), await predict(ROWS))

    assert patient.trial is not None
    await come_true(lambda: patient.trial.compared > 0)
    assert (2, 1) == (patient.trial.compared, patient.trial.agreed)
    assert (1, 0) == (patient.trial.candidate.requests, patient.trial.candidate.errors)
    assert {"7": 2} == patient.trial.candidate.scores
    assert 2 == sum(patient.trial.stable.scores.values())


async def test_a_candidate_that_fails_a_copy_is_charged_with_it(
    rollout: RolloutRouter, table: Path, loops: Loops
) -> None:
    await follow(rollout, table, candidate(weight=0, shadow=100))
    rollout.start(loops)

    rollout.copy(request_of("r-1"), await predict(ROWS))

    assert rollout.trial is not None
    await come_true(lambda: rollout.trial.candidate.requests > 0)
    assert (1, 0) == (rollout.trial.candidate.errors, rollout.trial.compared)


async def test_a_copy_that_was_meant_for_another_candidate_is_let_go(
    patient: RolloutRouter, table: Path, serve: Serve, loops: Loops
) -> None:
    await follow(patient, table, candidate(candidateUrl=await serve(MARKS), weight=0, shadow=100))
    patient.copy(request_of("r-1"), await predict(ROWS))
    await follow(patient, table, candidate(THIRD, weight=0, shadow=100))
    patient.start(loops)

    await come_true(lambda: patient.copies.sent > 0)

    assert patient.trial is not None
    assert ("house-3", 0) == (patient.trial.candidate.version, patient.trial.candidate.requests)


async def test_whatever_a_comparison_raises_the_table_is_followed_and_the_next_one_is_made(
    patient: RolloutRouter, table: Path, serve: Serve, loops: Loops, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await serve(MARKS)
    await follow(patient, table, candidate(candidateUrl=url, compare=True))
    assert patient.trial is not None

    def fails(*_: Any) -> None:
        raise OverflowError("math range error")

    monkeypatch.setattr(RolloutTrial, "compare", fails)
    patient.start(loops)
    await ask(patient, "r-1")
    await come_true(lambda: errors_of(loops)["comparisons"] == 1)
    monkeypatch.undo()
    await ask(patient, "r-2")
    await come_true(lambda: patient.trial.compared == 2)
    put(table, {})
    await come_true(lambda: patient.split.percent == 0)

    assert "" == loops.problem()
    assert 0 == errors_of(loops)["routes"]


async def test_a_table_that_cannot_be_followed_is_tried_again(
    rollout: RolloutRouter, table: Path, loops: Loops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "_adopt", lambda _: 1 / 0)
    rollout.start(loops)
    put(table, candidate())

    await come_true(lambda: "routes" in loops.problem())
    assert "ZeroDivisionError" in loops.problem()
    monkeypatch.undo()
    await come_true(lambda: loops.problem() == "" and rollout.split.percent == 100)


def errors_of(loops: Loops) -> dict[str, int]:
    return {loop.name: loop.errors for loop in loops}


async def test_copies_that_find_no_room_are_dropped_and_counted(rollout: RolloutRouter, table: Path) -> None:
    await follow(rollout, table, candidate(weight=0, shadow=100))
    answer = await predict(ROWS)

    for number in range(MAX_WAITING + 3):
        rollout.copy(request_of(f"r-{number}"), answer)

    assert (0, 3) == (rollout.copies.sent, rollout.copies.dropped)


async def test_large_bodies_of_copies_are_bounded_too(rollout: RolloutRouter, table: Path) -> None:
    await follow(rollout, table, candidate(weight=0, shadow=100))

    for number in range(3):
        rollout.copy(request_of(f"r-{number}", b"x" * (MAX_BYTES // 2)), await predict(ROWS))

    assert 1 == rollout.copies.dropped


@pytest.mark.parametrize("over", ["", "{}", json.dumps(candidate(candidateUrl="", shadow=100))])
async def test_nothing_is_copied_where_there_is_nobody_to_ask(rollout: RolloutRouter, table: Path, over: str) -> None:
    await follow(rollout, table, candidate(weight=0, shadow=100))
    before = rollout.copies.split.percent

    await follow(rollout, table, over)

    assert (100, 0) == (before, rollout.copies.split.percent)
