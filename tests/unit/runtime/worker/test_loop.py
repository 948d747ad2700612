"""From a source to an answer, each run as a process of its own, against a folder and against a real S3 server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer

from support import gateway, revisions
from tidemill.contract.reports import RunReport
from tidemill.runtime.model import predictor
from tidemill.runtime.store.objects import ObjectStore


@pytest.fixture(params=["folder", "s3"])
def secret(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "folder":
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "uri").write_text(f"file://{tmp_path}/store")
        yield tmp_path / "secret"
        return
    with gateway.gateway(tmp_path / "buckets") as endpoint:
        yield gateway.secret(tmp_path / "secret", endpoint)


def carried_out(order: dict[str, Any], secret: Path, tmp_path: Path) -> RunReport:
    (tmp_path / "order.json").write_text(json.dumps(order))
    script = (
        "import sys; from tidemill.runtime.worker.run import run\n"
        "sys.exit(run(sys.argv[1], report_path=sys.argv[2], store_path=sys.argv[3]))"
    )
    arguments = [str(tmp_path / "order.json"), str(tmp_path / "report"), str(secret)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    return RunReport.model_validate_json((tmp_path / "report").read_text())


def test_biopsies_become_a_model_that_tells_them_apart(secret: Path, tmp_path: Path) -> None:
    data = carried_out(
        {"task": "Ingest", "namespace": "team", "dataset": "data", "source": {"uri": "sklearn://breast_cancer"}},
        secret,
        tmp_path,
    )
    assert data.ingested is not None
    report = carried_out(revisions.training(data.ingested).to_wire(), secret, tmp_path)
    assert report.trained is not None

    model = predictor.load(
        ObjectStore.from_files(secret).fetch(report.trained.uri, report.trained.digest, tmp_path / "model")
    )
    answers = model.labels(model.predict(load_breast_cancer().data[:5]))

    assert model.compiled
    assert ["malignant"] * 5 == answers
    assert report.trained.evaluation[0].metrics["accuracy"] > 0.93
    assert len(report.to_message()) < 4096
