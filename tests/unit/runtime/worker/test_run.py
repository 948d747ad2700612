"""One run as a pod makes it: an order in, a report and an exit code out, whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tidemill.api.conditions import Reason
from tidemill.contract.reports import RunReport
from tidemill.runtime.process.threads import processors
from tidemill.runtime.worker import run as runs


def carried_out(tmp_path: Path, order: Any, *, store: bool = True) -> tuple[int, RunReport]:
    (tmp_path / "order.json").write_text(order if isinstance(order, str) else json.dumps(order))
    secret = tmp_path / "secret"
    if store:
        secret.mkdir(exist_ok=True)
        (secret / "uri").write_text(f"file://{tmp_path}/store\n")
    code = runs.run(
        tmp_path / "order.json",
        report_path=tmp_path / "report",
        store_path=secret,
        credentials_path=tmp_path / "credentials",
    )
    return code, RunReport.model_validate_json((tmp_path / "report").read_text())


IRIS = {"task": "Ingest", "namespace": "team", "dataset": "flowers", "source": {"uri": "sklearn://iris"}}


def test_an_order_that_succeeds_ends_with_zero_and_its_result(tmp_path: Path) -> None:
    code, report = carried_out(tmp_path, IRIS)

    assert 0 == code
    assert report.failure is None
    assert report.ingested is not None
    assert 150 == report.ingested.rows


def test_an_order_that_fails_ends_with_one_and_its_reason(tmp_path: Path) -> None:
    code, report = carried_out(tmp_path, {**IRIS, "source": {"uri": "sklearn://nothing"}})

    assert 1 == code
    assert report.failure is not None
    assert (Reason.SOURCE_NOT_FOUND, False) == (report.failure.reason, report.failure.retryable)


def test_without_credentials_the_namespace_is_named(tmp_path: Path) -> None:
    code, report = carried_out(tmp_path, IRIS, store=False)

    assert 1 == code
    assert report.failure is not None
    assert (Reason.STORE_CREDENTIALS_MISSING, True) == (report.failure.reason, report.failure.retryable)
    assert "'tidemill-store'" in report.failure.message
    assert "'team'" in report.failure.message


@pytest.mark.parametrize("order", ["", "{", "[]", '{"task": "Dance"}', '{"task": "Ingest"}'])
def test_an_order_that_says_nothing_is_refused(order: str, tmp_path: Path) -> None:
    code, report = carried_out(tmp_path, order)

    assert 1 == code
    assert report.failure is not None
    assert Reason.INVALID_SPEC == report.failure.reason


def test_an_order_that_is_not_there_is_reported(tmp_path: Path) -> None:
    code = runs.run(tmp_path / "nothing", report_path=tmp_path / "report", store_path=tmp_path)

    assert 1 == code
    assert "cannot read the order at" in (tmp_path / "report").read_text()


def test_a_fault_of_our_own_is_reported_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(runs, "carry_out", broken)

    _, report = carried_out(tmp_path, IRIS)

    assert report.failure is not None
    assert Reason.INTERNAL_ERROR == report.failure.reason
    assert "ZeroDivisionError: division by zero (test_run.py, line" in report.failure.message


def test_a_run_that_needs_too_much_memory_says_what_to_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(runs, "carry_out", greedy)

    _, report = carried_out(tmp_path, IRIS)

    assert report.failure is not None
    assert Reason.OUT_OF_MEMORY == report.failure.reason
    assert "spec.resources.limits.memory" in report.failure.message


QUOTAS = {"max 100000": 4, "200000 100000": 2, "50000 100000": 1, "150000 100000": 2, "900000 100000": 4, "nonsense": 4}


@pytest.mark.parametrize("quota", QUOTAS)
def test_threads_follow_the_containers_share_of_the_node(
    quota: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    (tmp_path / "cpu.max").write_text(quota + "\n")

    assert QUOTAS[quota] == processors(tmp_path / "cpu.max")


def test_an_ingest_run_imports_neither_scikit_learn_nor_scipy_nor_pandas(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(json.dumps(IRIS))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "uri").write_text(f"file://{tmp_path}/store")
    script = (
        # pyarrow takes pandas along wherever it finds it; the image has none.
        "import sys\n"
        "class Image:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pandas': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Image())\n"
        "from tidemill.runtime.worker.run import run\n"
        f"code = run({str(tmp_path / 'order.json')!r}, report_path={str(tmp_path / 'report')!r}, store_path={str(tmp_path / 'secret')!r})\n"
        "print(code, sorted({'sklearn', 'scipy', 'onnxruntime', 'kopf', 'kubernetes'} & set(sys.modules)))"
    )

    completed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert "0 []\n" == completed
