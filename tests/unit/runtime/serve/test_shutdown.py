"""The end of a serving process: in time, whatever hangs in it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import uvicorn

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.serve.server import LAST_FLUSH, LAST_REQUESTS, WORK_SECONDS
from tidemill.runtime.serve.shutdown import LAST_SECONDS, GracefulServer
from tidemill.runtime.serve.version.readiness import State

from .conftest import PATIENCE, free_port, until

MAX_SECONDS_AFTER_DRAIN = 10.0


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never asked."""


def server(ends: list[float], *, drain: float = 5.0) -> tuple[GracefulServer, State]:
    state = State()
    return GracefulServer(uvicorn.Config(nothing, lifespan="off", log_config=None), state, drain, ends.append), state


def test_the_first_signal_starts_the_drain_and_sets_an_end_that_nothing_can_put_off() -> None:
    ends: list[float] = []
    graceful, state = server(ends, drain=5.0)

    graceful.handle_exit(signal.SIGTERM, None)

    assert state.draining
    assert not graceful.should_exit
    assert [5.0 + LAST_SECONDS] == ends
    assert LAST_SECONDS < MAX_SECONDS_AFTER_DRAIN


def test_the_second_signal_ends_the_drain_and_not_the_bound() -> None:
    ends: list[float] = []
    graceful, _ = server(ends)
    graceful.handle_exit(signal.SIGTERM, None)

    graceful.handle_exit(signal.SIGTERM, None)

    assert graceful.should_exit
    assert 1 == len(ends)


def test_there_is_time_for_all_that_comes_after_the_drain() -> None:
    assert LAST_REQUESTS + WORK_SECONDS + LAST_FLUSH < LAST_SECONDS


HANGING = """
import sys, threading
from pathlib import Path
from tidemill.runtime.serve.version.loading import from_folder
from tidemill.runtime.serve.version.model import Identity
from tidemill.runtime.serve.server import ServerSettings, serve

folder, port, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def forever(*_):
    print("hangs", flush=True)
    threading.Event().wait()

class Hangs:
    put = staticmethod(forever)

serve(
    Identity("ns", "houses", "house", "house-1", "sha256:" + "1" * 64, "Stable"),
    forever if what == "loading" else lambda: from_folder(folder),
    ServerSettings(host="127.0.0.1", port=port, drain_seconds=0.0, log_seconds=0.1, bentoml=False),
    log_to=lambda _: Hangs(),
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["loading", "logging"])
def test_a_store_that_never_answers_does_not_keep_the_process_from_ending(
    publish: Callable[..., VersionOrder], what: str
) -> None:
    """Nothing here would ever end by itself: without a bound this test gives up waiting."""
    folder, port = publish("house-1").uri.removeprefix("file://"), free_port()
    with subprocess.Popen(
        [sys.executable, "-c", HANGING, folder, str(port), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            if what == "logging":
                until(lambda: answered(port), "a request is answered")
            assert "hangs\n" == process.stdout.readline()

            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()

    assert 0 == process.returncode
    assert ("1 rows of predictions could not be written" in output) == (what == "logging"), output


def answered(port: int) -> bool:
    """Whether a request for one house is answered."""
    try:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v2/models/house/predict", json={"rows": [{"size": 1, "age": 1}]}, timeout=30
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 200
