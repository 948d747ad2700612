"""Every sample is what the models say, to the last field, and starts by telling what will happen."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill.api import KINDS

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
FILES = sorted(SAMPLES.glob("*/*.yaml"))
MODELS = {kind.kind_name: kind for kind in KINDS}


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def of_ours(path: Path) -> list[dict[str, Any]]:
    return [document for document in documents(path) if document["kind"] in MODELS]


def test_there_are_samples_of_every_kind_that_users_write() -> None:
    kinds = {document["kind"] for path in FILES for document in of_ours(path)}

    assert {"Dataset", "TrainingJob", "InferenceService", "DriftMonitor"} == kinds


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_a_sample_starts_with_a_comment_that_says_what_will_happen(path: Path) -> None:
    comment = [line for line in path.read_text().split("apiVersion")[0].splitlines() if line]

    assert all(line.startswith("#") for line in comment)
    assert len(" ".join(comment)) > 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_every_field_of_a_sample_is_known(path: Path) -> None:
    for document in of_ours(path):
        model = MODELS[document["kind"]].model_validate(document)

        known = model.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert document["spec"] == known


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_a_sample_names_no_namespace(path: Path) -> None:
    assert {None} == {document["metadata"].get("namespace") for document in documents(path)}
