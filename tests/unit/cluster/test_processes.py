"""Processes that are ours to end, and those that are not."""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster import processes
from cluster.processes import Identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def started(tmp_path: Path, *command: str) -> processes.Record:
    return processes.start("toy", command, logs=tmp_path / "logs", records=tmp_path / "records")


def until_ready(tmp_path: Path) -> str:
    """What the process has said, once it has said `ready`."""
    log = tmp_path / "logs" / "toy.log"
    deadline = time.monotonic() + 20
    while "ready\n" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    return log.read_text()


def test_what_was_started_is_remembered_and_can_be_ended(tmp_path: Path) -> None:
    started(tmp_path, "sleep", "60")
    (record,) = processes.recorded(tmp_path / "records")
    assert record.alive

    processes.end([record.identity])

    assert not record.alive


def test_what_will_not_listen_is_killed(tmp_path: Path) -> None:
    stubborn = started(tmp_path, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    until_ready(tmp_path)

    processes.end([stubborn.identity], patience=0.1)

    assert not stubborn.alive


def test_a_stranger_with_a_recycled_id_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        true = Identity.of(stranger.pid)
        assert true is not None

        processes.end([dataclasses.replace(true, started=true.started - 1), dataclasses.replace(true, boot="another")])

        assert true.alive
        stranger.kill()


def test_a_record_that_was_cut_short_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text('{"pid": 1, ')

    assert [] == processes.recorded(tmp_path)


def test_servers_do_not_inherit_settings_of_whoever_starts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SECRET", "value")

    record = started(tmp_path, "sh", "-c", "env; echo ready; exec sleep 60")
    output = until_ready(tmp_path)
    processes.end([record.identity])

    assert "PATH=" in output
    assert "SOME_SECRET" not in output
