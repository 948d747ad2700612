"""Batch prediction: the published form of a version answers every row of a Dataset as a service would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from support import revisions
from tidemill.contract.reports import Ingested, Trained
from tidemill.runtime.failures import RunFailed, SchemaMismatch
from tidemill.runtime.model import predictor
from tidemill.runtime.model.encoding import encode
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import Schema


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path_factory.mktemp('store')}")


def predicted(store: ObjectStore, trained: Trained, rows: Ingested, version: str = "model-1") -> Ingested:
    return revisions.revision(
        store,
        dataset="predicted",
        source={"scored": {"dataset": "rows", "modelVersion": version}},
        scored={
            "rows": {"name": "rows", "digest": rows.digest, "uri": rows.uri},
            "version": {"name": version, "uri": trained.uri, "digest": trained.digest},
        },
    )


@pytest.fixture(scope="module")
def shop(store: ObjectStore) -> Trained:
    """A version that takes numbers and categories."""
    training_rows = revisions.revision(
        store, data=revisions.text_of(300), columns=[{"name": "label", "role": "Target"}]
    )
    return revisions.trained(revisions.training(training_rows, version="shop-1"), store)[0]


def table_of(store: ObjectStore, made: Ingested) -> pa.Table:
    files = sorted(entry.key for entry in store.list(store.key_of(made.uri)) if "/data-" in entry.key)
    return pa.concat_tables(parquet.read_table(pa.BufferReader(store.get(key))) for key in files)


@pytest.mark.parametrize("estimator", ["sklearn.linear_model.LogisticRegression", "HistGradientBoostingClassifier"])
def test_each_row_has_the_answer_of_the_version(store: ObjectStore, tmp_path: Path, estimator: str) -> None:
    cancer = revisions.revision(store)
    version = f"cancer-{estimator.rpartition('.')[2].lower()}"
    trained, _ = revisions.trained(revisions.training(cancer, estimator, version), store)

    made = predicted(store, trained, cancer, version)

    table = table_of(store, made)
    model = predictor.load(store.fetch(trained.uri, trained.digest, tmp_path))
    answer = model.predict(encode(table, model.signature.features))
    assert [str(label) for label in model.labels(answer)] == table.column("prediction").to_pylist()
    assert answer.probabilities is not None
    assert np.allclose(answer.probabilities.max(axis=1), table.column("score").to_numpy())
    assert (569, cancer.digest) == (table.num_rows, made.parents[0].digest)


def test_columns_keep_their_roles(store: ObjectStore, shop: Trained) -> None:
    data = "customer,size,colour,weight\n" + "".join(f"c{row},{row / 100},red,{-row / 50}\n" for row in range(120))
    rows = revisions.revision(store, data=data, columns=[{"name": "customer", "role": "Id"}])

    made = predicted(store, shop, rows)

    kept = Schema.model_validate_json(store.get(f"{store.key_of(made.uri)}/schema.json"))
    assert {"customer": "Id", "prediction": "Feature", "score": "Feature"}.items() <= {
        c.name: c.role for c in kept.columns
    }.items()
    assert {"yes", "no"} >= set(table_of(store, made).column("prediction").to_pylist())


def test_rows_that_a_service_would_refuse_have_no_prediction(store: ObjectStore) -> None:
    numbers = "a,b,y\n" + "".join(f"{row % 7},{row % 5},{row % 7 + row % 5}.5\n" for row in range(200))
    training_rows = revisions.revision(
        store, data=numbers, columns=[{"name": "y", "role": "Target", "type": "Numerical"}]
    )
    rows = revisions.revision(store, data="a,b\n1,2\n1e300,2\n3,4\n")
    order = revisions.training(training_rows, "sklearn.linear_model.LinearRegression", "sum-1")
    trained, _ = revisions.trained(order, store)

    predictions = table_of(store, predicted(store, trained, rows)).column("prediction").to_pylist()

    assert (pytest.approx(3.5), pytest.approx(7.5)) == (predictions[0], predictions[2])
    assert predictions[1] is None or np.isfinite(predictions[1])


MISMATCHES = {
    "a feature is not there": ("size,colour\n1,red\n", "lacks 'weight', which shop-1 takes; add the columns"),
    "a feature is of another type": (
        "size,colour,weight\n1,red,heavy\n2,red,light\n",
        "column 'weight' of Dataset 'rows' is Categorical",
    ),
    "there is a prediction already": (
        "size,colour,weight,prediction\n1,red,2,3\n",
        "has a column 'prediction' already",
    ),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_rows_that_do_not_fit_are_refused(store: ObjectStore, shop: Trained, case: str) -> None:
    data, message = MISMATCHES[case]
    rows = revisions.revision(store, data=data)

    with pytest.raises(SchemaMismatch, match=message) as caught:
        predicted(store, shop, rows, "shop-1")
    assert isinstance(caught.value, RunFailed) and caught.value.retryable


def test_predictions_of_truth_values_are_spelled_as_in_every_dataset(store: ObjectStore) -> None:
    data = "a,b,paid\n" + "".join(f"{row % 7},{row % 5},{'true' if row % 7 > 2 else 'false'}\n" for row in range(200))
    training_rows = revisions.revision(store, data=data, columns=[{"name": "paid", "role": "Target"}])
    trained, _ = revisions.trained(revisions.training(training_rows, version="paid-1"), store)

    assert {"true", "false"} == set(
        table_of(store, predicted(store, trained, training_rows)).column("prediction").to_pylist()
    )


def test_rows_that_are_all_refused_have_the_same_columns(store: ObjectStore) -> None:
    cancer = revisions.revision(store)
    order = revisions.training(cancer, "sklearn.linear_model.LogisticRegression", "cancer-2")
    trained, _ = revisions.trained(order, store)
    names = Schema.model_validate_json(store.get(f"{store.key_of(cancer.uri)}/schema.json")).features
    data = ",".join(f'"{column.name}"' for column in names) + "\n" + ",".join(["1e300"] * len(names)) + "\n"

    table = table_of(store, predicted(store, trained, revisions.revision(store, data=data, columns=[]), "cancer-2"))

    assert ([None], [None]) == (table.column("prediction").to_pylist(), table.column("score").to_pylist())
