"""Whether the process still does what it is for."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from tidemill.contract.references import References
from tidemill.engine.health import HealthServer, Signs, failures, unready

WELL = Signs(synced=True, stale_watches=(), oldest_waiting=1.0, since_resync=100.0, resync_period=300.0)


def test_a_process_that_works_is_well_and_ready() -> None:
    assert (failures(WELL), unready(WELL)) == ([], [])


def test_every_sign_of_illness_is_named() -> None:
    ill = replace(WELL, stale_watches=("Pod",), oldest_waiting=301.0, since_resync=901.0)

    assert failures(ill) == [
        "the watch of Pod has not delivered a change for 180 s",
        "an object has waited to be reconciled for 301 s",
        "the last resync was 901 s ago",
    ]


def test_waiting_for_the_kinds_is_no_illness_but_not_being_ready() -> None:
    waiting = replace(WELL, synced=False, since_resync=None, waiting_for="the API server does not serve datasets")

    assert failures(waiting) == []
    assert unready(waiting) == ["the API server does not serve datasets"]


def test_standing_by_is_being_ready() -> None:
    assert unready(replace(WELL, synced=False, since_resync=None, is_standby=True)) == []


def test_a_process_that_has_not_listed_everything_is_not_ready() -> None:
    assert unready(replace(WELL, synced=False)) == ["the first list of all objects has not ended yet"]


@pytest.mark.parametrize(
    ("signs", "reason"),
    [
        (replace(WELL, synced=False, is_standby=True), "another process is the leader"),
        (replace(WELL, synced=False), "the first list of all objects has not ended yet"),
        (replace(WELL, waiting_for="the process is starting"), "the process is starting"),
        (replace(WELL, stale_watches=("Dataset",)), "the watch of Dataset has not delivered a change"),
        (replace(WELL, since_resync=901.0), "the last resync was 901 s ago"),
    ],
    ids=["standby", "first list", "starting", "stale watch", "late resync"],
)
async def test_what_is_in_use_is_not_told_while_the_view_of_the_cluster_is_not_complete(
    signs: Signs, reason: str
) -> None:
    status, body = await asked(signs)

    assert 503 == status
    assert reason in body


async def test_what_is_in_use_is_told_as_the_sweeper_reads_it() -> None:
    status, body = await asked(WELL)

    assert 200 == status
    assert USED == References.model_validate_json(body)


USED = References(
    format="tidemill.dev/references/v1",
    namespaces=("shop",),
    logs=("shop/fraud",),
    monitors=(),
    folders=("shop/models/fraud/fraud-1",),
    digests=("a" * 64,),
)


async def asked(signs: Signs) -> tuple[int, str]:
    server = HealthServer(lambda: signs, lambda: b"", lambda: USED)
    port = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/references") as response:
            return response.status, await response.text()
    finally:
        await server.stop()
