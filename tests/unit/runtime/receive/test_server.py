"""A receiver on this machine, called over HTTP, and the check that reads what it kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tidemill.api.checks import Check
from tidemill.contract.layout import signal_folder
from tidemill.contract.orders import CheckOrder, ReceiveOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.monitor.checks.external import judge
from tidemill.runtime.receive.server import MAX_BYTES, application
from tidemill.runtime.receive.verification import SIGNATURE, TIMESTAMP, sign
from tidemill.runtime.store.objects import ObjectStore

CHECK = Check.model_validate({"name": "outside", "type": "External", "secretRef": {"name": "alerts"}, "validFor": "1h"})
TOKEN = {"authorization": "Bearer t0ken"}


@dataclass
class Desk:
    """A receiver that runs, its store and its clock."""

    url: str
    store: ObjectStore
    secret: Path
    now: float = 1767603600.0
    down: bool = False

    async def call(self, payload: Any, headers: dict[str, str] | None = None, check: str = "outside") -> int:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.url}/signals/{check}", data=body, headers=TOKEN if headers is None else headers
            ) as answer,
        ):
            return answer.status

    def verdict(self, *, after: float = 1.0) -> CheckOutcome:
        """What the check finds so many seconds from now."""
        end = datetime.fromtimestamp(self.now + after, UTC)
        order = CheckOrder(
            namespace="shop",
            monitor="fraud",
            service="fraud",
            start=end - timedelta(hours=1),
            end=end,
            version=VersionOrder(name="v", uri="u", digest="sha256:" + "0" * 64),
            checks=(CHECK,),
            minimum_samples=1,
            minimum_labels=1,
        )
        return judge(CHECK, order, self.store)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    secret = tmp_path / "credentials"
    (secret / "outside").mkdir(parents=True)
    (secret / "outside/token").write_text("t0ken")
    (secret / "outside/hmac-key").write_text("key")
    (tmp_path / "store").mkdir()
    made = Desk("", ObjectStore.open(f"file://{tmp_path}/store"), secret / "outside")

    def open_store() -> ObjectStore:
        if made.down:
            raise StoreUnreachable("no answer")
        return made.store

    order = ReceiveOrder(namespace="shop", monitor="fraud", checks=(CHECK,))
    runner = web.AppRunner(application(order, open_store, credentials=secret, clock=lambda: made.now))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def signed(desk: Desk, payload: Any) -> dict[str, str]:
    moment = str(int(desk.now))
    return {TIMESTAMP: moment, SIGNATURE: sign(b"key", moment, json.dumps(payload).encode())}


def marks(desk: Desk) -> list[str]:
    """The names under which signatures are remembered."""
    folder = f"{signal_folder('shop', 'fraud', 'outside')}/seen"
    return [entry.key.rpartition("/")[2] for entry in desk.store.list(folder)]


def kept(desk: Desk) -> list[str]:
    """The keys of the signals."""
    folder = signal_folder("shop", "fraud", "outside")
    return [entry.key for entry in desk.store.list(folder) if entry.key.endswith(".json")]


async def test_a_call_is_what_the_check_finds(desk: Desk) -> None:
    assert 202 == await desk.call({"status": "failing", "message": "psi 0.4", "value": 0.4})

    result = desk.verdict()
    assert ("Failing", "psi 0.4", 0.4) == (result.verdict, result.message, result.value)


async def test_nobody_called_is_no_data_and_never_passing(desk: Desk) -> None:
    assert "NoData" == desk.verdict().verdict


async def test_a_call_counts_for_as_long_as_it_is_valid(desk: Desk) -> None:
    await desk.call({"status": "failing"})

    assert ["Failing", "NoData"] == [desk.verdict(after=seconds).verdict for seconds in (3599, 3601)]


async def test_a_newer_call_about_the_same_takes_the_place_of_an_older_one(desk: Desk) -> None:
    await desk.call({"status": "failing", "subject": "amount"})
    desk.now += 1
    await desk.call({"status": "resolved", "subject": "amount"})

    assert "Passing" == desk.verdict().verdict


async def test_the_worst_of_several_things_decides(desk: Desk) -> None:
    await desk.call({"status": "failing", "subject": "amount"})
    desk.now += 1
    await desk.call({"status": "ok", "subject": "country"})

    assert "Failing" == desk.verdict().verdict


async def test_a_call_after_the_windows_end_does_not_count_yet(desk: Desk) -> None:
    await desk.call({"status": "failing"})

    assert "NoData" == desk.verdict(after=-10).verdict


async def test_a_signed_call_is_taken_once_whoever_sends_it_again(desk: Desk) -> None:
    payload = {"status": "failing"}
    headers = signed(desk, payload)

    assert [202, 200] == [await desk.call(payload, headers), await desk.call(payload, headers)]
    desk.now += 301
    assert 401 == await desk.call(payload, headers)


async def test_no_signed_call_of_many_is_taken_twice_however_many_come_between(desk: Desk) -> None:
    calls = [(payload, signed(desk, payload)) for payload in ({"status": "failing", "id": str(n)} for n in range(30))]

    once = [await desk.call(*call) for call in calls]
    again = [await desk.call(*call) for call in calls]

    assert ([202] * 30, [200] * 30) == (once, again)
    assert (30, 30) == (len(marks(desk)), len(kept(desk)))


async def test_signatures_are_forgotten_when_they_would_no_longer_be_taken(desk: Desk) -> None:
    for _ in range(5):
        await desk.call({"status": "failing"}, signed(desk, {"status": "failing"}))
        desk.now += 301
    newest = int(desk.now) - 301

    assert [newest - 301, newest] == [int(mark.split("-")[0]) for mark in marks(desk)]


async def test_a_signed_call_that_was_marked_but_not_kept_is_kept_when_it_comes_again(desk: Desk) -> None:
    payload = {"status": "failing"}
    headers = signed(desk, payload)
    await desk.call(payload, headers)
    desk.store.delete(*kept(desk))

    assert ("NoData", 200) == (desk.verdict().verdict, await desk.call(payload, headers))
    assert "Failing" == desk.verdict().verdict


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
async def test_a_call_without_the_secret_leaves_nothing_behind(desk: Desk, headers: dict[str, str]) -> None:
    assert 401 == await desk.call({"status": "failing"}, headers)
    assert "NoData" == desk.verdict().verdict


async def test_a_secret_that_is_missing_is_said(desk: Desk) -> None:
    for file in desk.secret.iterdir():
        file.unlink()

    assert 503 == await desk.call({"status": "failing"})


async def test_a_check_that_the_monitor_does_not_have_is_not_found(desk: Desk) -> None:
    assert [404, 404] == [await desk.call({}, check=name) for name in ("other", "..%2Foutside")]


async def test_a_body_that_is_too_large_or_says_nothing_is_refused(desk: Desk) -> None:
    assert 413 == await desk.call(b"x" * (MAX_BYTES + 1))
    assert 400 == await desk.call(b"nonsense")


async def test_a_store_that_is_down_makes_the_caller_come_again(desk: Desk) -> None:
    desk.down = True
    assert 503 == await desk.call({"status": "failing"})
    desk.down = False
    assert 202 == await desk.call({"status": "failing"})


async def test_what_no_longer_counts_is_taken_away(desk: Desk) -> None:
    await desk.call({"status": "failing"})
    desk.now += 3601
    await desk.call({"status": "failing"})

    assert 1 == len(kept(desk))


async def test_a_forged_file_among_the_signals_is_passed_over(desk: Desk) -> None:
    await desk.call({"status": "warning"})
    stamp = datetime.fromtimestamp(desk.now, UTC).strftime("%Y%m%dT%H%M%S.%f")
    desk.store.put(f"{signal_folder('shop', 'fraud', 'outside')}/{stamp}-ffff.json", b"{")

    assert "Warning" == desk.verdict().verdict


async def test_it_is_healthy(desk: Desk) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{desk.url}/healthz") as answer:
        assert 200 == answer.status
