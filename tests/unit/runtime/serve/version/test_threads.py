"""Work outside of the event loop: so much may wait, and no longer than it may take."""

import asyncio
import threading

import pytest

from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.serve.version.threads import BoundedExecutor


async def test_what_comes_when_enough_waits_is_refused_at_once_and_the_rest_is_answered() -> None:
    executor = BoundedExecutor("predict", threads=1, max_waiting=3, seconds=30.0)
    gate = threading.Event()
    waiting = [asyncio.create_task(executor.ask(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(HTTPError) as refusal:
        await executor.ask(gate.wait)

    gate.set()
    assert [True] * 3 == await asyncio.gather(*waiting)
    assert (503, "predict: too many queued requests (3); retry later") == (
        refusal.value.status,
        refusal.value.message,
    )


async def test_what_takes_too_long_is_given_up() -> None:
    executor = BoundedExecutor("predict", threads=1, max_waiting=3, seconds=0.05)
    gate = threading.Event()

    with pytest.raises(HTTPError) as refusal:
        await executor.ask(gate.wait, 30.0)

    gate.set()
    assert 504 == refusal.value.status
