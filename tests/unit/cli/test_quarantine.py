"""A quarantine says who and why, and is lifted by a verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.cli.kubectl_script import FakeKubectl

SPEC = {"modelName": "fraud", "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "0" * 64}}
WHY = "ann: trained on leaked labels"


def known(folder: Path, quarantine: str = "") -> FakeKubectl:
    kubectl = FakeKubectl(folder)
    annotations = {"tidemill.dev/quarantine": quarantine} if quarantine else {}
    served = [{"inferenceService": "fraud", "role": "Stable"}]
    kubectl.know("ModelVersion", "fraud-2", SPEC, {"servedBy": served}, annotations=annotations)
    return kubectl


def test_a_quarantine_names_the_user_of_kubectl_and_the_reason(tmp_path: Path) -> None:
    kubectl = known(tmp_path)

    done = kubectl.run("quarantine", "fraud-2", "--reason", "trained on  leaked labels")

    assert 0 == done.returncode, done.stderr
    assert f"tidemill.dev/quarantine={WHY}" == kubectl.annotated[0][2]
    assert "it is served by fraud" in done.stdout


def test_the_quarantine_is_lifted(tmp_path: Path) -> None:
    kubectl = known(tmp_path, WHY)

    done = kubectl.run("lift", "fraud-2")

    assert 0 == done.returncode, done.stderr
    assert "tidemill.dev/quarantine-" == kubectl.annotated[0][2]


@pytest.mark.parametrize(
    ("quarantine", "words", "reason"),
    [
        ("", ("lift", "fraud-2"), "is not quarantined"),
        (WHY, ("quarantine", "fraud-2", "--reason", "again"), f"is quarantined by {WHY}"),
        ("", ("quarantine", "fraud-2", "--reason", "  "), "--reason is empty"),
    ],
)
def test_a_request_that_changes_nothing_is_refused(
    tmp_path: Path, quarantine: str, words: tuple[str, ...], reason: str
) -> None:
    kubectl = known(tmp_path, quarantine)

    done = kubectl.run(*words)

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert reason in done.stderr
