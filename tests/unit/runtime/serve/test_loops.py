"""Background loops of a real serving process, with faults injected into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, all_ready, signature, until

MakePod = Callable[..., Pod]
Publish = Callable[..., VersionOrder]

FAULTS = """
import functools, os, pathlib
from tidemill.cli.main import main
from tidemill.runtime.log.writer import Log
from tidemill.runtime.serve.rollout.router import RolloutRouter

faults = pathlib.Path(os.environ["TEST_FAULTS"])

def breakable(kind, method):
    call = getattr(kind, method)

    @functools.wraps(call)
    def called(*args):
        if (faults / method).exists():
            raise RuntimeError("a fault of the test")
        return call(*args)

    setattr(kind, method, called)

breakable(RolloutRouter, "look")
breakable(RolloutRouter, "_settle")
breakable(Log, "flush")
main()
"""
"""A serving process whose functions fail while a file of their name exists."""


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder


def breakable(pod: MakePod, version: VersionOrder, faults: Path) -> Pod:
    made = pod(version, environment={"TEST_FAULTS": str(faults)})
    made.command[made.command.index("-c") + 1] = FAULTS
    return made


@contextmanager
def broken(faults: Path, method: str) -> Iterator[None]:
    (faults / method).touch()
    yield
    (faults / method).unlink()


def errors(pod: Pod, loop: str) -> int:
    count: int = pod.state()["loops"][loop]["errors"]
    return count


def test_a_pod_that_cannot_follow_its_routes_is_not_ready_until_it_can(
    publish: Publish, pod: MakePod, faults: Path
) -> None:
    stable = breakable(pod, publish("house-1"), faults).ready()

    with broken(faults, "look"):
        until(lambda: stable.client.get("/v2/health/ready").status_code == 503, "it is not ready")
        unready = stable.client.get("/v2/models/house/ready").json()
        assert 200 == stable.ask(1.0).status_code
        assert 'tidemill_loop_running{loop="routes",service="houses"} 0' in stable.client.get("/metrics").text
    assert (False, "LoopStopped") == (unready["ready"], unready["reason"])
    assert unready["error"].startswith("the loop 'routes' failed ")
    assert "a fault of the test" in unready["error"]

    until(lambda: stable.answers("/v2/health/ready"), "it is ready again")
    stable.route(weight=0, peers=["http://127.0.0.1:1"])
    assert errors(stable, "routes") >= 5


def test_a_log_that_fails_in_an_unknown_way_goes_on_and_loses_nothing(
    publish: Publish, pod: MakePod, faults: Path, store: ObjectStore
) -> None:
    stable = breakable(pod, publish("house-1"), faults).ready()

    with broken(faults, "flush"):
        until(lambda: errors(stable, "log of predictions") >= 2, "the log fails")
        asked = stable.ask(1.0)
        assert stable.answers("/v2/health/ready")
    until(lambda: list(store.list("ns/predictions/houses")), "the row is written")

    assert 200 == asked.status_code
    assert 0 == stable.state()["logs"]["predictions"]["dropped"]


def test_comparisons_that_fail_freeze_neither_the_routes_nor_the_next_comparison(
    publish: Publish, pod: MakePod, faults: Path
) -> None:
    first, second = publish("house-1"), publish("house-2", [[0.0, 0.0], [-1.0, 1.0]])
    stable, candidate = breakable(pod, first, faults), pod(second, "Candidate")
    all_ready(stable, candidate)
    table = {"candidate": second.to_wire(), "candidateUrl": candidate.url, "compare": True}
    stable.route(weight=100, **table)

    with broken(faults, "_settle"):
        for size in (1.0, 2.0, 3.0):
            assert "house-2" == stable.ask(size).headers["x-model-version"]
        until(lambda: errors(stable, "comparisons") == 3, "comparisons fail")
    stable.ask(4.0)
    until(lambda: stable.measured().get("compared") == 1, "the next one is counted")
    stable.route(**table)

    assert "house-1" == stable.ask(5.0).headers["x-model-version"]
    assert stable.answers("/v2/health/ready")


def test_a_label_that_no_number_can_be_is_refused_and_changes_nothing(publish: Publish, pod: MakePod) -> None:
    priced = signature(task="Regression", classes=(), target_spread=2.0, target_mean=3.0)
    first, second = publish("house-1", [[1.0], [0.0]], priced), publish("house-2", [[2.0], [0.0]], priced)
    stable, candidate = pod(first), pod(second, "Candidate")
    all_ready(stable, candidate)
    stable.route(weight=100, candidate=second.to_wire(), candidateUrl=candidate.url, compare=True)
    asked = stable.ask(1.0).headers["x-request-id"]
    until(lambda: stable.measured().get("compared") == 1, "the row is compared")

    for label in (1e200, -1e200, 1e7, "1", None):
        refused = stable.client.post("/v2/models/house/feedback", json={"data": [{"id": asked, "label": label}]})
        assert 400 == refused.status_code, label
        assert refused.json()["error"].startswith("data[0].label: must be ")
    taken = stable.client.post("/v2/models/house/feedback", json={"data": [{"id": asked, "label": 3.0}]})

    assert {"accepted": 1, "unknown": 0} == taken.json()
    assert (4.0, 1.0) == tuple(stable.measured()[arm]["squaredError"] for arm in ("stable", "candidate"))
