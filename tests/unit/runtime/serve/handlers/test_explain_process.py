"""The process that explains: there while it is asked, with the files of the version that is served, and gone with the server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.explain import messages
from tidemill.runtime.explain.values import Explained
from tidemill.runtime.model import background
from tidemill.runtime.model.answer import Unanswerable
from tidemill.runtime.model.artifact import write_estimator
from tidemill.runtime.model.predictor import Golden, estimated
from tidemill.runtime.process.memory import memory_headroom
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.serve.handlers import explain_process
from tidemill.runtime.serve.handlers.explain_process import MODULE, Explainer
from tidemill.runtime.serve.version.open_files import OpenFiles

from ..conftest import AGAINST_SIZE, TOWARDS_SIZE, Pod, golden, linear_model, signature, until
from ..hostility import BASE
from ..test_swap import Served, served  # noqa: F401

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]
ROWS = {"rows": [{"size": 2.0, "age": 1.0}]}


def explaining(of: int) -> list[int]:
    """The processes that explain for a server, by their numbers."""
    results = []
    for tasks in Path(f"/proc/{of}/task").glob("*/children"):
        for child in tasks.read_text().split():
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if MODULE.encode() in command.split(b"\0"):
                results.append(int(child))
    return results


def process_of(server: Pod) -> int:
    assert server.process is not None
    return server.process.pid


def explained(server: Any) -> list[list[float]]:
    """What each feature adds to the second class."""
    answer = server.client.post(f"{BASE}/explain", json=ROWS)
    assert 200 == answer.status_code, answer.text
    output = next(output for output in answer.json()["outputs"] if output["name"] == "attributions")
    values: list[list[float]] = np.array(output["data"]).reshape(output["shape"])[:, :, 1].tolist()
    return values


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_there_once_somebody_asks_and_goes_with_the_server(
    publish: Publish, pod: MakePod, number: signal.Signals
) -> None:
    server = pod(publish("house-1")).ready()
    assert [] == explaining(process_of(server))

    first = explained(server)
    (process,) = explaining(process_of(server))

    assert first == explained(server)
    assert [process] == explaining(process_of(server)), "the same one answers again"
    os.kill(process_of(server), number)
    until(lambda: not Path(f"/proc/{process}").exists(), "it ends as well")


def test_one_that_was_killed_is_told_of_and_started_again(publish: Publish, pod: MakePod) -> None:
    server = pod(publish("house-1")).ready()
    first = explained(server)
    (stopped,) = explaining(process_of(server))
    os.kill(stopped, signal.SIGSTOP)

    killing = threading.Timer(0.5, os.kill, (stopped, signal.SIGKILL))
    killing.start()
    refused = server.client.post(f"{BASE}/explain", json=ROWS)
    killing.join()

    assert 503 == refused.status_code
    assert "explain: its process ended with -9; it needs 350 MiB" in refused.json()["error"]
    assert first == explained(server)
    assert 200 == server.ask(1.0).status_code


def test_a_version_that_takes_the_place_of_another_is_explained_by_its_own_files(
    served: tuple[Served, VersionOrder],  # noqa: F811
    publish: Publish,
) -> None:
    server, _ = served
    before = explained(server)
    other = publish("house-2", AGAINST_SIZE)

    server.replace(other)
    until(lambda: server.digest() == other.digest, "the new version answers")

    assert -before[0][0] == pytest.approx(explained(server)[0][0])
    until(lambda: len(explaining(server.process.pid)) == 1, "the first one's process is gone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A version of a linear model."""
    path = tmp_path / "version"
    path.mkdir()
    model_signature, right = signature(), golden(TOWARDS_SIZE)
    (path / "model.onnx").write_bytes(linear_model(TOWARDS_SIZE))
    (path / "golden.json").write_bytes(right.to_json())
    (path / "signature.json").write_text(json.dumps(model_signature.to_wire()))
    (path / "typical.json").write_bytes(background.of(right.matrix, model_signature, seed=1).to_json())
    return path


@pytest.fixture
async def explainer(folder: Path) -> AsyncIterator[Explainer]:
    made = Explainer(OpenFiles(folder))
    yield made
    await made.close()


ASKED = np.array([[2.0, 1.0]])


async def test_a_forest_is_read_from_the_estimator_that_lies_beside_its_compiled_form(tmp_path: Path) -> None:
    model_signature, rng = signature(), np.random.default_rng(7)
    rows = rng.normal(size=(300, 2))
    forest = RandomForestClassifier(10, random_state=7).fit(rows, rows[:, 0] > rows[:, 1])
    ask = estimated(forest, model_signature)
    write_estimator(forest, tmp_path / "model.skops")
    (tmp_path / "golden.json").write_bytes(Golden(rows[:5], ask(rows[:5])).to_json())
    (tmp_path / "signature.json").write_text(json.dumps(model_signature.to_wire()))
    (tmp_path / "typical.json").write_bytes(background.of(rows, model_signature, seed=1).to_json())
    made = Explainer(OpenFiles(tmp_path))
    try:
        result = await made.explain(rows[:4])
    finally:
        await made.close()

    assert "shap-tree" == result.method
    assert ask(rows[:4]).probabilities == pytest.approx(result.expected + result.attributions.sum(axis=1), abs=1e-6)


async def test_it_reads_files_that_nothing_names_any_more(folder: Path) -> None:
    made = Explainer(OpenFiles(folder))
    shutil.rmtree(folder)
    try:
        assert (1, 2, 2) == (await made.explain(ASKED)).attributions.shape
    finally:
        await made.close()


async def test_one_that_cannot_begin_is_no_matter_of_memory(folder: Path) -> None:
    (folder / "typical.json").write_text("{")
    made = Explainer(OpenFiles(folder))

    with pytest.raises(HTTPError, match="ended with 1; the output of this server says why"):
        await made.explain(ASKED)


async def test_files_that_were_written_over_are_not_taken_for_those_that_answer(folder: Path) -> None:
    made = Explainer(OpenFiles(folder))
    (folder / "model.onnx").write_bytes(linear_model(AGAINST_SIZE))

    with pytest.raises(HTTPError, match="overwritten"):
        await made.explain(ASKED)


async def test_it_is_not_begun_where_the_server_would_end_with_it(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_process, "memory_headroom", lambda: 100 << 20)
    with pytest.raises(HTTPError, match=r"100 MiB of the memory limit are free.* raise limits\.memory"):
        await explainer.explain(ASKED)
    assert explainer._process is None

    monkeypatch.setattr(explain_process, "memory_headroom", lambda: 400 << 20)
    await explainer.explain(ASKED)
    monkeypatch.setattr(explain_process, "memory_headroom", lambda: 0)
    assert (1, 2, 2) == (await explainer.explain(ASKED)).attributions.shape, "one that runs is asked"


def test_room_is_what_the_kernel_would_give(tmp_path: Path) -> None:
    assert memory_headroom(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_headroom(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert 450 == memory_headroom(tmp_path)
    (tmp_path / "memory.stat").write_text("anon 500\n")
    assert memory_headroom(tmp_path) is None


async def test_one_that_nobody_asks_gives_its_memory_back(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_process, "IDLE", 0.01)
    first = await explainer.explain(ASKED)
    process = explainer._process
    assert process is not None
    assert -signal.SIGKILL == await process.wait()

    monkeypatch.setattr(explain_process, "IDLE", 100)
    again = await explainer.explain(ASKED)
    assert process is not explainer._process
    assert (first.attributions == again.attributions).all()


async def test_rows_that_take_too_long_are_given_up_and_the_next_ones_get_their_own_answer(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await explainer.explain(ASKED)
    assert explainer._process is not None
    os.kill(explainer._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(explain_process, "SECONDS", 0.2)
    with pytest.raises(HTTPError, match="no answer within"):
        await explainer.explain(ASKED)
    monkeypatch.setattr(explain_process, "SECONDS", 60)

    result = await explainer.explain(np.array([[2.0, 1.0], [-2.0, 1.0]]))

    assert (2, 2, 2) == result.attributions.shape


async def test_one_that_takes_long_to_load_is_waited_for_by_whoever_asks_next(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_process, "SECONDS", 0.05)
    with pytest.raises(HTTPError, match="no answer within"):
        await explainer.explain(ASKED)
    process = explainer._process
    monkeypatch.setattr(explain_process, "SECONDS", 60)

    assert (1, 2, 2) == (await explainer.explain(ASKED)).attributions.shape
    assert process is explainer._process


def test_messages_come_out_as_they_went_in() -> None:
    rows = np.array([[1.5, np.nan]])
    result = Explained(np.array([0.25, 0.75]), np.array([[[0.1, -0.1], [1e-17, -0.5]]]), "shap-tree")

    assert np.array_equal(rows, messages.rows_from_bytes(messages.rows_to_bytes(rows)), equal_nan=True)
    again = messages.from_bytes(messages.to_bytes(result))
    assert (result.method, result.orders, result.expected.tolist()) == (
        again.method,
        again.orders,
        again.expected.tolist(),
    )
    assert result.attributions.tolist() == again.attributions.tolist()
    with pytest.raises(Unanswerable, match="a value is missing"):
        messages.from_bytes(messages.to_bytes(Unanswerable("a value is missing")))
