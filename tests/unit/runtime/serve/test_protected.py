"""Protected columns: sent next to the features, logged to tell groups apart, and never seen by the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.fast_path import FAST_PATH
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.log.records import Author, Prediction, PredictionFile
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.features import Features, Rows
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.predict import RowCodec
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, signature, until

GENDER = Feature(name="gender", type="Categorical", categories=("f", "m"))
YEARS = Feature(name="years", type="Numerical", minimum=18.0, maximum=90.0)
OLD = signature()
NEW = signature(protected=(GENDER, YEARS))
MIXED = signature(
    features=(Feature(name="size", type="Numerical"), Feature(name="town", type="Categorical", categories=("Ulm",))),
    protected=(GENDER,),
)
HOUSE = {"size": 1.5, "age": 2.0}


def by_rows(*rows: dict[str, Any], model_signature: Signature = NEW) -> Rows:
    codec = RowCodec(Codec("house", "house-1", model_signature, fast=FAST_PATH), "house", "house-1")
    return codec.read(orjson.dumps({"rows": rows})).rows


def by_tensors(*inputs: tuple[str, str, Any], model_signature: Signature = NEW) -> Rows:
    sent = [
        {"name": name, "datatype": datatype, "shape": list(np.shape(data)), "data": data}
        for name, datatype, data in inputs
    ]
    return Codec("house", "house-1", model_signature, fast=FAST_PATH).read(orjson.dumps({"inputs": sent})).rows


def logged(*several: Rows, model_signature: Signature = NEW, redact: tuple[str, ...] = ()) -> pa.Table:
    author = Author("house-1", "sha256:1", "Stable", ClassLabels((0, 1)))
    records = [
        Prediction(f"r-{index}", 1.0, rows, Answer(np.zeros(len(rows.matrix), np.int64)), author)
        for index, rows in enumerate(several)
    ]
    file = PredictionFile(Features(model_signature), classifies=True, redact=redact)(records)
    return pq.read_table(pa.BufferReader(file))


SENT = {
    "rows": by_rows(HOUSE | {"gender": "f", "years": 40}, HOUSE | {"gender": "m", "years": 41.5}),
    "a matrix and a tensor for each": by_tensors(
        ("input", "FP64", [[1.5, 2.0], [1.5, 2.0]]), ("gender", "BYTES", ["f", "m"]), ("years", "FP32", [40, 41.5])
    ),
    "a tensor for every column": by_tensors(
        ("years", "FP64", [40, 41.5]),
        ("size", "FP64", [1.5, 1.5]),
        ("gender", "BYTES", ["f", "m"]),
        ("age", "FP64", [2.0, 2.0]),
    ),
}


@pytest.mark.parametrize("rows", SENT.values(), ids=SENT.keys())
def test_the_log_has_what_was_sent_and_the_model_gets_its_features_alone(rows: Rows) -> None:
    assert [[1.5, 2.0], [1.5, 2.0]] == rows.matrix.tolist()
    table = logged(rows)
    assert ["f", "m"] == table["feature:gender"].to_pylist()
    assert [40.0, 41.5] == table["feature:years"].to_pylist()


def test_what_was_not_sent_is_null_and_of_the_same_type() -> None:
    without, some = by_rows(HOUSE), by_rows(HOUSE, HOUSE | {"years": 40})

    table = logged(without, some)

    assert [None, None, None] == table["feature:gender"].to_pylist()
    assert [None, None, 40.0] == table["feature:years"].to_pylist()
    assert table.schema.equals(logged(SENT["rows"]).schema)


def test_beside_features_that_are_categories_too() -> None:
    table = logged(by_rows({"size": 1.5, "town": "Ulm", "gender": "f"}, model_signature=MIXED), model_signature=MIXED)

    assert ("Ulm", "f") == (table["feature:town"][0].as_py(), table["feature:gender"][0].as_py())


@pytest.mark.parametrize("value", [{"of": "them"}, ["f"], "", None, float("nan")])
def test_a_value_that_tells_no_group_is_missing_and_costs_no_answer(value: Any) -> None:
    rows = by_rows(HOUSE | {"gender": value, "years": value})

    assert [[1.5, 2.0]] == rows.matrix.tolist()
    assert (None, None) == tuple(logged(rows)[name][0].as_py() for name in ("feature:gender", "feature:years"))


def test_a_code_is_spelled_as_the_version_knows_it() -> None:
    coded = signature(protected=(Feature(name="gender", type="Categorical", categories=("1", "2")),))

    table = logged(
        by_rows(*(HOUSE | {"gender": value} for value in (1, 1.0, "1", True)), model_signature=coded),
        model_signature=coded,
    )

    assert ["1", "1", "1", "true"] == table["feature:gender"].to_pylist()


def test_tensors_of_other_lengths_are_refused() -> None:
    with pytest.raises(HTTPError, match="gender"):
        by_tensors(("input", "FP64", [[1.5, 2.0], [1.5, 2.0]]), ("gender", "BYTES", ["f"]))


def test_a_redacted_column_is_there_and_empty() -> None:
    table = logged(SENT["rows"], redact=("gender",))

    assert ([None, None], [40.0, 41.5]) == (
        table["feature:gender"].to_pylist(),
        table["feature:years"].to_pylist(),
    )


def test_a_version_that_knows_none_reads_and_logs_as_before() -> None:
    rows = by_rows(HOUSE | {"gender": "f"}, model_signature=OLD)

    assert ([[1.5, 2.0]], {}) == (rows.matrix.tolist(), rows.categories)
    assert "feature:gender" not in logged(rows, model_signature=OLD).column_names


def test_a_version_that_knows_none_takes_the_matrix_beside_them_as_a_trial_sends_it_on() -> None:
    gender, years = ("gender", "BYTES", ["f"]), ("years", "FP64", [40])
    rows = by_tensors(("input", "FP64", [[1.5, 2.0]]), gender, years, model_signature=OLD)

    assert ([[1.5, 2.0]], {}) == (rows.matrix.tolist(), rows.categories)
    with pytest.raises(HTTPError, match="no tensor for"):
        by_tensors(("input", "FP64", [[1.5, 2.0]]), ("other", "FP64", [[1.5, 2.0]]), model_signature=OLD)
    with pytest.raises(HTTPError, match="no tensor for age"):
        by_tensors(("input", "FP64", [[1.5, 2.0]]), ("size", "FP64", [1.5]), model_signature=OLD)
    with pytest.raises(HTTPError, match="no tensor for"):
        by_tensors(("input", "FP64", [[1.5]]), gender, model_signature=OLD)


def test_a_signature_keeps_them_and_one_without_them_reads_as_it_did() -> None:
    assert NEW == Signature.from_json(orjson.dumps(NEW.to_wire()))
    assert OLD == Signature.from_json(orjson.dumps(OLD.to_wire()))
    assert "protected" not in OLD.to_wire()


def test_a_pod_logs_them_and_answers_by_the_features_alone(
    publish: Callable[..., VersionOrder], pod: Callable[..., Pod], store: ObjectStore
) -> None:
    server = pod(publish("house-1", model_signature=NEW)).ready()
    ask = "/v2/models/house/predict"

    first = server.client.post(ask, json={"rows": [HOUSE | {"gender": "f", "years": 40}]}).json()
    second = server.client.post(ask, json={"rows": [HOUSE]}).json()

    assert first["probabilities"] == second["probabilities"]

    def rows() -> list[Any]:
        parts = [entry.key for entry in store.list("ns/predictions/houses") if entry.key.endswith(".parquet")]
        return [row for part in parts for row in pq.read_table(pa.BufferReader(store.get(part))).to_pylist()]

    until(lambda: len(rows()) == 2, "both are logged")
    assert {first["id"]: ("f", 40.0), second["id"]: (None, None)} == {
        row["request_id"]: (row["feature:gender"], row["feature:years"]) for row in rows()
    }
