"""Estimators in files: the same bytes for the same estimator, and nothing built that is not trusted."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skops import io as skops

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model.artifact import estimator_of, write_estimator

MATRIX = np.random.default_rng(0).normal(size=(60, 3))
TRUTH = (MATRIX[:, 0] > 0).astype(np.int64)


def forest() -> Any:
    return make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=7)).fit(MATRIX, TRUTH)


def test_the_same_estimator_is_the_same_bytes(tmp_path: Path) -> None:
    write_estimator(forest(), tmp_path / "one")
    write_estimator(forest(), tmp_path / "two")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_estimator_comes_back_as_it_was(tmp_path: Path) -> None:
    model = forest()
    write_estimator(model, tmp_path / "model.skops")

    again = estimator_of(tmp_path / "model.skops")

    np.testing.assert_array_equal(model.predict_proba(MATRIX), again.predict_proba(MATRIX))


class Harmful:
    """Would run a command if it were unpickled."""

    def __reduce__(self) -> Any:
        return print, ("unpickled",)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Harmful()))


def joblibbed(path: Path) -> None:
    joblib.dump(forest(), path)


def untrusted(path: Path) -> None:
    path.write_bytes(skops.dumps(FunctionTransformer(json.loads)))


def asking_for_a_command(path: Path) -> None:
    rewritten(path, lambda schema: {**schema, "__class__": "system", "__module__": "os", "__loader__": "FunctionNode"})


def truncated(path: Path) -> None:
    write_estimator(forest(), path)
    path.write_bytes(path.read_bytes()[:-200])


def of_another_protocol(path: Path) -> None:
    rewritten(path, lambda _: {})


def pickle_inside(path: Path) -> None:
    write_estimator(forest(), path)
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in parts.items():
            buffer = io.BytesIO()
            np.save(buffer, np.array([Harmful()], dtype=object), allow_pickle=True)
            target.writestr(name, buffer.getvalue() if name.endswith(".npy") else content)


def bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
        target.open("schema.json", "w", force_zip64=True) as part,
    ):
        # the size that is declared is what is judged, before anything is unpacked
        part.write(b" " * 1000)
    with zipfile.ZipFile(path, "a") as archive:
        archive.getinfo("schema.json").file_size = 9 << 30
        archive._didModify = True  # type: ignore[attr-defined]


def rewritten(path: Path, change: Any) -> None:
    write_estimator(forest(), path)
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in parts.items():
            target.writestr(name, json.dumps(change(json.loads(content))) if name == "schema.json" else content)


@pytest.mark.filterwarnings("ignore:numpy.core")
@pytest.mark.parametrize(
    "attack", [pickled, joblibbed, untrusted, asking_for_a_command, truncated, of_another_protocol, pickle_inside, bomb]
)
def test_nothing_is_built_from_a_file_that_is_not_what_it_should_be(
    attack: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attack(tmp_path / "model.skops")

    with pytest.raises(ArtifactCorrupt) as refused:
        estimator_of(tmp_path / "model.skops")

    assert "model.skops" in refused.value.message
    assert "unpickled" not in capsys.readouterr().out
