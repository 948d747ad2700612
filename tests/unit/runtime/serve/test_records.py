from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.runtime.log.records import Author, LabelBatch, LabelFile, Prediction, PredictionFile, spelled_all
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Feature
from tidemill.runtime.protocol.features import NO_CATEGORIES, Features, Rows
from tidemill.runtime.protocol.feedback import Label

from .conftest import signature

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
STABLE = Author("house-1", "sha256:1", "Stable", ClassLabels((0, 1)))
CANDIDATE = Author("house-2", "sha256:2", "Candidate", ClassLabels(("no", "yes")))


def numbers(*rows: list[float]) -> Rows:
    return Rows(np.array(rows), NO_CATEGORIES)


def prediction(request: str, asked: Rows, answer: Answer, author: Author = STABLE) -> Prediction:
    return Prediction(request, NOON.timestamp(), asked, answer, author)


def table(file: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(file))


def read(file: bytes, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of a Parquet file, as tuples of these columns."""
    return [tuple(row[name] for name in columns) for row in table(file).to_pylist()]


def test_each_row_of_each_request_is_a_row_with_its_place_and_the_version_that_answered() -> None:
    write = PredictionFile(Features(signature()), classifies=True)

    file = write(
        [
            prediction("r-1", numbers([1.0, 2.0], [3.0, 4.0]), Answer(np.array([1, 0]))),
            prediction("r-2", numbers([5.0, 6.0]), Answer(np.array([1])), CANDIDATE),
        ]
    )

    assert [
        ("r-1", 0, "house-1", "sha256:1", "Stable", 1.0),
        ("r-1", 1, "house-1", "sha256:1", "Stable", 3.0),
        ("r-2", 0, "house-2", "sha256:2", "Candidate", 5.0),
    ] == read(file, "request_id", "row", "model_version", "model_digest", "role", "feature:size")
    assert {NOON} == set(table(file)["time"].to_pylist())


def test_a_prediction_is_spelled_in_the_classes_of_the_version_that_gave_it() -> None:
    write = PredictionFile(Features(signature()), classifies=True)

    file = write(
        [
            prediction("r-1", numbers([1.0, 2.0]), Answer(np.array([1]))),
            prediction("r-2", numbers([1.0, 2.0]), Answer(np.array([1])), CANDIDATE),
        ]
    )

    assert [("1",), ("yes",)] == read(file, "prediction")


def test_the_score_is_the_probability_of_what_was_predicted_and_missing_where_the_model_knows_none() -> None:
    write = PredictionFile(Features(signature()), classifies=True)

    file = write(
        [
            prediction("r-1", numbers([1.0, 2.0]), Answer(np.array([0]), np.array([[0.75, 0.25]]))),
            prediction("r-2", numbers([1.0, 2.0]), Answer(np.array([0]))),
        ]
    )

    assert [(0.75,), (None,)] == read(file, "score")


def test_of_more_than_two_classes_the_probabilities_of_all_are_kept_in_their_order() -> None:
    write = PredictionFile(Features(signature(classes=("a", "b", "c"))), classifies=True)
    three = Author("house-1", "sha256:1", "Stable", ClassLabels(("a", "b", "c")))
    probabilities = np.array([[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])

    file = write(
        [
            prediction("r-1", numbers([1.0, 2.0], [3.0, 4.0]), Answer(np.array([2, 0]), probabilities), three),
            prediction("r-2", numbers([1.0, 2.0]), Answer(np.array([1])), three),
            prediction("r-3", numbers([1.0, 2.0]), Answer(np.array([0]), np.array([[0.75, 0.25]])), CANDIDATE),
            prediction("r-4", numbers([1.0, 2.0]), Answer(np.array([0]), probabilities[:1]), three),
        ]
    )

    assert [*probabilities.tolist(), None, None, probabilities[0].tolist()] == table(file)["probabilities"].to_pylist()
    assert [0.5, 0.5, None, 0.75, 0.5] == table(file)["score"].to_pylist()


def test_probabilities_of_very_many_classes_are_not_kept() -> None:
    write = PredictionFile(Features(signature()), classifies=True)
    kept = []
    for classes in (32, 33):
        author = Author("house-1", "sha256:1", "Stable", ClassLabels(tuple(range(classes))))
        answer = Answer(np.array([0]), np.full((1, classes), 1 / classes))
        kept.append(table(write([prediction("r-1", numbers([1.0, 2.0]), answer, author)]))["probabilities"][0].as_py())

    assert [32, None] == [item if item is None else len(item) for item in kept]


def test_a_missing_number_is_null_and_not_a_number_that_is_none() -> None:
    write = PredictionFile(Features(signature()), classifies=True)

    file = write([prediction("r-1", numbers([1.0, np.nan]), Answer(np.array([0])))])

    assert [(1.0, None)] == read(file, "feature:size", "feature:age")


def test_a_category_is_logged_in_the_words_of_the_client_known_or_not() -> None:
    model_signature = signature(
        features=(
            Feature(name="size", type="Numerical"),
            Feature(name="town", type="Categorical", categories=("Ulm", "Bonn")),
        )
    )
    write = PredictionFile(Features(model_signature), classifies=True)
    asked = Rows(np.array([[1.0, 1.0], [2.0, -1.0], [3.0, np.nan]]), {1: ["Bonn", "Rome", None]})

    file = write([prediction("r-1", asked, Answer(np.array([0, 0, 0])))])

    assert [("Bonn",), ("Rome",), (None,)] == read(file, "feature:town")


def test_a_regression_is_logged_as_numbers_without_a_score() -> None:
    write = PredictionFile(Features(signature(task="Regression", classes=())), classifies=False)
    author = Author("house-1", "sha256:1", "Stable", None)

    file = write([prediction("r-1", numbers([1.0, 2.0]), Answer(np.array([2.5])), author)])

    assert [(2.5, None)] == read(file, "prediction", "score")


def test_types_do_not_depend_on_what_was_asked() -> None:
    """Parts are read together: a column that is empty in one of them must still be of the same type."""
    write = PredictionFile(Features(signature()), classifies=True)
    usual = write([prediction("r-1", numbers([1.0, 2.0]), Answer(np.array([0]), np.array([[0.75, 0.25]])))])
    single = Rows(np.array([[1.0, np.nan]], np.float32), NO_CATEGORIES)
    sparse = write([prediction("r-1", single, Answer(np.array([0])))])

    many = Answer(np.array([0]), np.array([[0.5, 0.25, 0.25]]))
    three = write([prediction("r-1", numbers([1.0, 2.0]), many, Author("v", "d", "Stable", ClassLabels((0, 1, 2))))])

    assert table(usual).schema.equals(table(sparse).schema)
    assert table(usual).schema.equals(table(three).schema)


def test_labels_are_spelled_as_the_classes_are_however_the_client_spelled_them() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)
    labels = tuple(
        Label("r-1", row, label, moment.timestamp()) for row, label in enumerate((1, 1.0, "1", True, "unheard of"))
    )

    file = LabelFile(ClassLabels((0, 1)))([LabelBatch(0.0, labels[:2]), LabelBatch(0.0, labels[2:])])

    assert [("r-1", row, moment) for row in range(5)] == read(file, "request_id", "row", "time")
    assert [("1",), ("1",), ("1",), ("1",), ("unheard of",)] == read(file, "label")


def test_labels_of_a_regression_are_numbers() -> None:
    file = LabelFile(None)([LabelBatch(0.0, (Label("r-1", 0, 7, 0.0), Label("r-2", 0, 0.5, 0.0)))])

    assert [(7.0,), (0.5,)] == read(file, "label")


def test_a_record_counts_its_rows() -> None:
    assert 2 == prediction("r-1", numbers([1.0, 2.0], [3.0, 4.0]), Answer(np.array([1, 0]))).rows
    assert 1 == LabelBatch(0.0, (Label("r-1", 0, 1, 0.0),)).rows


def test_an_answer_is_spelled_as_classes_or_as_numbers() -> None:
    assert ["yes", "no"] == spelled_all(Answer(np.array([1, 0])), CANDIDATE.labels)
    assert [0.5, 2.0] == spelled_all(Answer(np.array([0.5, 2.0])), None)


def test_a_redacted_feature_keeps_its_column_and_none_of_its_values() -> None:
    features = (Feature(name="size", type="Numerical"), Feature(name="town", type="Categorical", categories=("a", "b")))
    probabilities = Rows(np.array([[1.0, 0.0]]), {1: ["a"]})
    write = PredictionFile(Features(signature(features=features)), classifies=True, redact=("size", "town"))

    file = table(write([prediction("r-1", probabilities, Answer(np.array([1])))]))

    assert (None, None) == (file["feature:size"][0].as_py(), file["feature:town"][0].as_py())
    assert (pa.float64(), pa.string()) == (
        file.schema.field("feature:size").type,
        file.schema.field("feature:town").type,
    )


def test_the_log_is_written_without_pandas_which_stays_to_be_had() -> None:
    program = """
import sys
import numpy as np
from tidemill.runtime.model.answer import Answer
from tidemill.runtime.protocol.features import Features, Rows
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.log.records import Author, Prediction, PredictionFile
from tidemill.runtime.model.signature import Feature, Signature

said = Signature(
    task="Classification",
    features=(Feature("size", "Numerical"), Feature("city", "Categorical", ("Bonn",))),
    target="sold",
    classes=(0, 1),
)
rows = Rows(np.zeros((1, 2)), {1: ["Bonn"]})
asked = Prediction("r", 1.0, rows, Answer(np.array([1]), np.array([[0.1, 0.9]])), Author("v", "d", "Stable", ClassLabels((0, 1))))
assert PredictionFile(Features(said), classifies=True)([asked]).startswith(b"PAR1")
assert "pandas" not in sys.modules
import pandas
print(pandas.Series([1.0]).sum())
"""

    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (0, "1.0\n") == (completed.returncode, completed.stdout), completed.stderr
