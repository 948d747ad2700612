"""The audit log is read on from where the last look ended, whatever becomes of the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from chaos.truth import Truth


def line(name: str, agent: str = "tidemill/1") -> bytes:
    about = {"resource": "jobs", "namespace": "ns", "name": name, "apiGroup": "batch"}
    body = {"verb": "patch", "userAgent": agent, "objectRef": about, "responseStatus": {"code": 201}}
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Truth]]:
    with ExitStack() as open_:
        yield lambda log: open_.enter_context(closing(Truth(log)))


def made(truth: Truth) -> list[str]:
    return [name for _, _, name in truth.deeds("ns")]


def test_only_what_is_new_is_read_and_only_the_operators_own(tmp_path: Path, opened: Callable[[Path], Truth]) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(line("a") + line("other", "kubectl/1"))
    truth = opened(log)
    assert ["a"] == made(truth)

    with log.open("ab") as more:
        more.write(line("b"))

    assert ["a", "b"] == made(truth)


def test_a_line_that_is_still_being_written_waits_for_its_end(tmp_path: Path, opened: Callable[[Path], Truth]) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(line("a") + line("b")[:50])
    truth = opened(log)
    assert ["a"] == made(truth)

    with log.open("ab") as more:
        more.write(line("b")[50:])

    assert ["a", "b"] == made(truth)


def test_what_was_written_before_a_rotation_is_not_lost(tmp_path: Path, opened: Callable[[Path], Truth]) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(line("a"))
    truth = opened(log)
    assert ["a"] == made(truth)
    with log.open("ab") as more:
        more.write(line("b"))

    log.rename(tmp_path / "audit-old.log")
    log.write_bytes(line("c"))

    assert ["a", "b", "c"] == made(truth)
