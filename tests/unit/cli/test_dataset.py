"""The request to read a Dataset's source, with a kubectl that is a script on the PATH."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidemill.children import names
from unit.cli.kubectl_script import FakeKubectl


def kubectl(folder: Path, spec: dict[str, Any] | None = None, **metadata: Any) -> FakeKubectl:
    made = FakeKubectl(folder)
    made.know("Dataset", "payments", {"source": {"uri": "s3://lake/payments.csv"}, **(spec or {})}, {}, **metadata)
    return made


def test_a_request_is_an_annotation_with_the_time(tmp_path: Path) -> None:
    known = kubectl(tmp_path)
    before = datetime.now(UTC).replace(microsecond=0)

    done = known.run("refresh", "payments", "-n", "shop")

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("requested a read of the source at")
    [words] = known.annotated
    assert "datasets.tidemill.dev/payments" in words
    [request] = [word for word in words if word.startswith(f"{names.REFRESH}=")]
    assert before <= datetime.fromisoformat(request.partition("=")[2]) <= datetime.now(UTC)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a suspended Dataset": ({"spec": {"suspend": True}}, "is suspended; set spec.suspend to false first"),
    "a Dataset that is being deleted": ({"deletionTimestamp": "2026-01-05T09:00:00Z"}, "is being deleted"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_without_effect_is_refused(case: str, tmp_path: Path) -> None:
    state, reason = REFUSED[case]
    known = kubectl(tmp_path, **state)

    done = known.run("refresh", "payments")

    assert (1, "", []) == (done.returncode, done.stdout, known.annotated)
    assert reason in done.stderr
