"""Predictors: quick where they can be, right in any case, and refused where they are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import revisions
from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model import predictor
from tidemill.runtime.model.artifact import estimator_of
from tidemill.runtime.model.predictor import Answer, Predictor, RowRefused, Unanswerable, difference
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.store.objects import ObjectStore


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = ObjectStore.open(f"file://{tmp_path_factory.mktemp('store')}")
    trained, _ = revisions.trained(
        revisions.training(revisions.revision(store, "sklearn://iris"), "RandomForestClassifier"), store
    )
    return store.fetch(trained.uri, trained.digest, tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def flowers() -> np.ndarray:
    return np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])


def test_a_compiled_model_is_preferred_and_answers_in_the_users_words(folder: Path) -> None:
    model = predictor.load(folder)

    answer = model.predict(flowers())

    assert model.compiled
    assert ["setosa", "virginica"] == model.labels(answer)
    assert answer.probabilities is not None
    assert (2, 3) == answer.probabilities.shape


def test_both_forms_give_the_same_answers(folder: Path) -> None:
    rows = np.random.default_rng(0).uniform(0, 8, (500, 4)).astype(np.float32).astype(np.float64)
    quick = predictor.load(folder)
    (folder / "model.onnx").unlink()
    slow = predictor.load(folder)

    assert not slow.compiled
    assert "" == difference(slow.predict(rows), quick.predict(rows))
    np.testing.assert_array_equal(slow.predict(rows).values, estimator_of(folder / "model.skops").predict(rows))


def test_a_compiled_form_that_answers_otherwise_gives_way_to_the_estimator(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_bytes())
    other = estimator_of(folder / "model.skops")
    golden["rows"].append([5.9, 3.0, 5.1, 1.8])
    asked = np.array([golden["rows"][-1]])
    golden["values"].append(int(other.predict(asked)[0]))
    golden["probabilities"].append(other.predict_proba(asked)[0].tolist())
    (folder / "golden.json").write_text(json.dumps(golden))
    content = bytearray((folder / "model.onnx").read_bytes())
    # the classes' weights lie in the file as floats: change some of them
    weights = np.float32(1.0 / 100).tobytes()
    assert weights in content
    content = content.replace(weights, np.float32(0.5).tobytes())
    (folder / "model.onnx").write_bytes(content)

    model = predictor.load(folder)

    assert not model.compiled
    assert "row" in model.note


THREADS = """
import json, sys
from pathlib import Path
from tidemill.runtime.model import predictor
assert not predictor.load(Path(sys.argv[1])).compiled
from concurrent.futures import ThreadPoolExecutor
from threadpoolctl import threadpool_info
with ThreadPoolExecutor(1) as another:
    for pools in (threadpool_info(), another.submit(threadpool_info).result()):
        print(json.dumps({pool["user_api"]: pool["num_threads"] for pool in pools}))
"""


def test_an_estimator_asks_with_one_thread_whatever_the_machine_has(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    many = {**os.environ, "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}

    completed = subprocess.run(
        [sys.executable, "-c", THREADS, folder], check=True, capture_output=True, text=True, env=many
    ).stdout

    assert [{"blas": 1, "openmp": 1}] * 2 == [json.loads(line) for line in completed.splitlines()]


def test_a_model_that_forgot_what_it_learnt_is_refused(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_bytes())
    golden["values"][3] = (golden["values"][3] + 1) % 3
    (folder / "golden.json").write_text(json.dumps(golden))

    with pytest.raises(ArtifactCorrupt, match="does not answer as it did when it was made: row 3"):
        predictor.load(folder)


@pytest.mark.parametrize("name", ["signature.json", "golden.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"rows": 1}'])
def test_a_folder_that_lacks_a_part_is_refused(name: str, content: bytes | None, folder: Path) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)

    with pytest.raises(ArtifactCorrupt, match="train it again"):
        predictor.load(folder)


def test_without_any_model_there_is_nothing_to_load(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.skops").unlink()

    with pytest.raises(ArtifactCorrupt, match=r"neither model.onnx nor model.skops"):
        predictor.load(folder)


def test_what_is_no_onnx_model_is_refused(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"tide" * 50)

    with pytest.raises(ArtifactCorrupt, match=r"model.onnx cannot be loaded as an ONNX model"):
        predictor.load(folder)


@pytest.mark.parametrize("shape", [(4,), (1, 3), (1, 5), (1, 2, 4)])
def test_rows_of_another_shape_are_refused(shape: tuple[int, ...], folder: Path) -> None:
    with pytest.raises(Unanswerable, match="takes rows of 4 features"):
        predictor.load(folder).predict(np.zeros(shape))


def test_no_rows_get_no_answers(folder: Path) -> None:
    assert 0 == len(predictor.load(folder).predict(np.empty((0, 4))).values)


def test_a_model_that_takes_no_gaps_names_the_feature_that_has_one(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}/store")
    estimator = {"name": "LogisticRegression", "preprocessing": "None", "parameters": {"max_iter": 5000}}
    trained, _ = revisions.trained(revisions.training(revisions.revision(store, "sklearn://iris"), estimator), store)
    model = predictor.load(store.fetch(trained.uri, trained.digest, tmp_path / "model"))

    with pytest.raises(Unanswerable, match="feature 'petal_length_cm' is missing"):
        model.predict(np.array([[5.1, 3.5, np.nan, 0.2]]))


FLOWER = [5.1, 3.5, 1.4, 0.2]
TOO_LARGE = r"rows\[2\]: feature 'petal_length_cm' is -?1e\+39; the model takes numbers between -3.40282e\+38 and"


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_a_value_beyond_single_precision_is_refused_with_its_row(value: float, folder: Path) -> None:
    rows = np.array([FLOWER, FLOWER, [5.1, 3.5, value, 0.2], FLOWER])

    with pytest.raises(RowRefused, match=TOO_LARGE) as refused:
        predictor.load(folder).predict(rows)
    assert 2 == refused.value.row


def test_rows_that_the_estimator_refuses_are_found_among_many(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    model = predictor.load(folder)
    rows = np.tile(FLOWER, (1000, 1))
    rows[[617, 900], 1] = 1e39

    with pytest.raises(RowRefused, match="too large for dtype") as refused:
        model.predict(rows)
    assert 617 == refused.value.row
    assert 617 == len(model.predict(rows[:617]).values)


NUMBER = Signature(task="Regression", features=(Feature("x", "Numerical"),), target="y")


def test_an_answer_that_is_not_finite_is_refused_with_its_row() -> None:
    def ask(matrix: np.ndarray) -> Answer:
        with np.errstate(over="ignore"):
            return Answer(np.exp(matrix[:, 0]))

    model = Predictor(NUMBER, ask, compiled=False)

    assert [1.0, np.exp(700.0)] == model.predict(np.array([[0.0], [700.0]])).values.tolist()
    with pytest.raises(RowRefused, match="the model's answer is not a finite number") as refused:
        model.predict(np.array([[0.0], [1.0], [800.0], [801.0]]))
    assert 2 == refused.value.row


def test_large_finite_values_are_no_reason_to_refuse() -> None:
    model = Predictor(NUMBER, lambda matrix: Answer(matrix[:, 0]), compiled=False)

    assert [1.7e308, -1e200, 1e39] == model.predict(np.array([[1.7e308], [-1e200], [1e39]])).values.tolist()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused_in_any_form(value: float) -> None:
    with pytest.raises(RowRefused, match=r"feature 'x' is -?inf"):
        Predictor(NUMBER, lambda matrix: Answer(np.zeros(len(matrix))), compiled=False).predict(np.array([[value]]))


def test_a_fault_of_the_model_is_not_blamed_on_a_row() -> None:
    def ask(matrix: np.ndarray) -> Answer:
        if len(matrix) > 1:
            raise ValueError("cannot answer rows together")
        return Answer(np.zeros(len(matrix)))

    with pytest.raises(ValueError, match="cannot answer rows together") as raised:
        Predictor(NUMBER, ask, compiled=False).predict(np.zeros((4, 1)))
    assert not isinstance(raised.value, Unanswerable)


def test_a_compiled_model_needs_neither_scikit_learn_nor_scipy_nor_pandas(folder: Path) -> None:
    script = (
        "import sys, numpy; from pathlib import Path; from tidemill.runtime.model import predictor\n"
        f"model = predictor.load(Path({str(folder)!r}))\n"
        "model.predict(numpy.zeros((1, 4)))\n"
        "print(model.compiled, sorted({'sklearn', 'scipy', 'pandas', 'pyarrow', 'skops', 'onnx', 'joblib'} & set(sys.modules)))"
    )

    assert (
        "True []\n" == subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    )


DIFFERENT = {
    "labels": (Answer(np.array([0, 1])), Answer(np.array([0, 2])), "row 1 is answered with 2 instead of 1"),
    "length": (Answer(np.array([0, 1])), Answer(np.array([0])), "1 answers instead of 2"),
    "probabilities": (
        Answer(np.array([0]), np.array([[0.9, 0.1]])),
        Answer(np.array([0]), np.array([[0.8999, 0.1001]])),
        "the probabilities of row 0 differ by 0.0001",
    ),
    "not a number": (
        Answer(np.array([0]), np.array([[0.9, 0.1]])),
        Answer(np.array([0]), np.array([[np.nan, 0.1]])),
        "row 0 is refused, and should be answered",
    ),
    "no probabilities": (Answer(np.array([0]), np.array([[0.9, 0.1]])), Answer(np.array([0])), "the other does not"),
    "numbers": (
        Answer(np.array([1.0, 2.0])),
        Answer(np.array([1.0, 2.001])),
        "row 1 is answered with 2.001 instead of 2.0",
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_differences_are_told(case: str) -> None:
    expected, given, message = DIFFERENT[case]

    assert message in difference(expected, given)
    assert "" == difference(expected, expected)
