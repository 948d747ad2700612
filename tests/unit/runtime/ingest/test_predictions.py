"""Rows that a service answered become a Dataset's revision: joined with their labels, in the columns the version was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from support import gateway, revisions
from tidemill.api.conditions import Reason
from tidemill.contract.orders import IngestOrder
from tidemill.contract.reports import Ingested, Trained
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.ingest.job import ingest
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import HOLDOUT, Schema

ROWS = pa.table({"size": [1.0, 2.0, None, 4.0], "colour": ["red", None, "blue", "red"], "weight": [0.1, 0.2, 0.3, 0.4]})


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with gateway.gateway(tmp_path_factory.mktemp("gateway")) as endpoint:
        yield ObjectStore.open(
            f"s3://{gateway.BUCKET}", endpoint=endpoint, access_key_id=gateway.KEY, secret_access_key=gateway.SECRET
        )


@pytest.fixture(scope="module")
def words(bucket: ObjectStore) -> Trained:
    """A version that answers yes or no."""
    return version(bucket, revisions.text_of(200))


@pytest.fixture(scope="module")
def numbers(bucket: ObjectStore) -> Trained:
    """The same that answers 1 or 0."""
    return version(bucket, revisions.text_of(200).replace(",yes", ",1").replace(",no", ",0"))


def version(store: ObjectStore, text: str) -> Trained:
    columns = [{"name": "label", "role": "Target"}]
    base = revisions.revision(store, data=text, columns=columns)
    return revisions.trained(
        revisions.training(base, "sklearn.linear_model.LogisticRegression", f"model-{base.digest[-8:]}"), store
    )[0]


def order(of: Trained, service: str, hours: float = 3.0, source: dict[str, Any] | None = None, **changes: Any) -> Any:
    body = {"inferenceServiceRef": {"name": service}, **(source or {})}
    return IngestOrder.model_validate(
        {
            "namespace": "team",
            "dataset": "answered",
            "source": {"predictions": body},
            "answered": {
                "window": {"start": revisions.NOON, "end": revisions.NOON + timedelta(hours=hours)},
                "version": {"name": "model-1", "uri": of.uri, "digest": of.digest},
            },
            **changes,
        }
    )


def revised(asked: IngestOrder, store: ObjectStore, folder: Path) -> tuple[Ingested, Schema, pa.Table, tuple[str, ...]]:
    """The revision that is published, read back."""
    ingested, warnings = ingest(asked, store, folder)
    fetched = store.fetch(ingested.uri, ingested.digest, folder / "fetched")
    schema = Schema.model_validate_json((fetched / "schema.json").read_bytes())
    return ingested, schema, parquet.read_table(fetched / "data-00000.parquet"), warnings


def refusal(asked: IngestOrder, store: ObjectStore, folder: Path) -> RunFailed:
    with pytest.raises(RunFailed) as caught:
        ingest(asked, store, folder)
    return caught.value


def test_answered_rows_with_labels_become_a_revision_in_the_columns_the_version_learnt_from(
    bucket: ObjectStore, words: Trained, tmp_path: Path
) -> None:
    revisions.served(bucket, ROWS, ["yes", "no", "yes", "no"], service="plain")

    ingested, schema, table, warnings = revised(order(words, "plain"), bucket, tmp_path)

    assert [
        ("size", "Feature", "Numerical"),
        ("colour", "Feature", "Categorical"),
        ("weight", "Feature", "Numerical"),
        ("label", "Target", "Categorical"),
    ] == [(column.name, column.role, column.type) for column in schema.columns]
    assert [*ROWS.column_names, "label", HOLDOUT] == table.column_names
    assert [1.0, 2.0, None, 4.0] == table.column("size").to_pylist()
    assert ["yes", "no", "yes", "no"] == table.column("label").to_pylist()
    assert ("label", 4) == (ingested.target, ingested.rows)
    assert "plain/model-1@2026-03-01T15:00:00+00:00" == ingested.source_revision
    assert () == warnings


def test_labels_come_in_the_type_that_the_version_learnt(bucket: ObjectStore, numbers: Trained, tmp_path: Path) -> None:
    revisions.served(bucket, ROWS, ["1", "0.0", "1", "2"], service="whole")

    _, schema, table, _ = revised(order(numbers, "whole"), bucket, tmp_path)

    assert [1, 0, 1, 2] == table.column("label").to_pylist()
    assert pa.int64() == table.column("label").type
    assert "Numerical" == schema.columns[-1].type


def test_what_comes_out_can_be_learnt_from(bucket: ObjectStore, words: Trained, tmp_path: Path) -> None:
    read = csv.read_csv(pa.BufferReader(revisions.text_of(120, seed=3).encode()))
    revisions.served(bucket, read.select(ROWS.column_names), read.column("label").to_pylist(), service="many")

    answered, _ = ingest(order(words, "many"), bucket, tmp_path)
    again, _ = revisions.trained(
        revisions.training(answered, "sklearn.linear_model.LogisticRegression", "model-again"), bucket
    )

    assert 120 == answered.rows
    assert 0.7 < next(evaluation.metrics["accuracy"] for evaluation in again.evaluation if evaluation.on == "Holdout")


def test_rows_without_labels_are_left_out_unless_they_are_asked_for(
    bucket: ObjectStore, words: Trained, tmp_path: Path
) -> None:
    revisions.served(bucket, ROWS.slice(0, 2), ["yes", "no"], service="some")
    revisions.served(
        bucket, ROWS.slice(2), None, service="some", request="later", start=revisions.NOON + timedelta(minutes=5)
    )

    required, optional = tmp_path / "required", tmp_path / "optional"
    required.mkdir()
    optional.mkdir()
    _, _, labelled, _ = revised(order(words, "some"), bucket, required)
    _, _, every, _ = revised(order(words, "some", source={"labels": "Optional"}), bucket, optional)

    assert ["yes", "no"] == labelled.column("label").to_pylist()
    assert ["yes", "no", None, None] == every.column("label").to_pylist()


def test_rows_that_nobody_has_labelled_come_without_a_target_where_labels_are_optional(
    bucket: ObjectStore, words: Trained, tmp_path: Path
) -> None:
    revisions.served(bucket, ROWS, None, service="silent")

    ingested, schema, _, warnings = revised(order(words, "silent", source={"labels": "Optional"}), bucket, tmp_path)

    assert ["size", "colour", "weight"] == [column.name for column in schema.columns]
    assert "" == ingested.target
    assert ("no row has a label yet, and 'label' is left out",) == warnings


def test_only_the_newest_rows_that_qualify_are_taken_where_a_count_is_given(
    bucket: ObjectStore, words: Trained, tmp_path: Path
) -> None:
    revisions.served(bucket, ROWS.slice(0, 3), ["yes", "no", "yes"], service="counted")
    revisions.served(
        bucket,
        ROWS.slice(3),
        None,
        service="counted",
        request="unlabelled",
        start=revisions.NOON + timedelta(minutes=5),
    )

    _, _, table, _ = revised(order(words, "counted", source={"count": 2}), bucket, tmp_path)

    assert [2.0, None] == table.column("size").to_pylist()


def test_only_rows_of_the_window_are_taken_however_late_their_labels(
    bucket: ObjectStore, words: Trained, tmp_path: Path
) -> None:
    revisions.served(bucket, ROWS, ["yes", "no", "yes", "no"], service="timed", step=timedelta(minutes=20))

    _, _, table, _ = revised(order(words, "timed", hours=0.5), bucket, tmp_path)

    assert [1.0, 2.0] == table.column("size").to_pylist()


def test_declared_roles_are_kept(bucket: ObjectStore, words: Trained, tmp_path: Path) -> None:
    revisions.served(bucket, ROWS, ["yes", "no", "yes", "no"], service="declared")
    declared = [{"name": "weight", "role": "Ignored"}, {"name": "colour", "role": "Protected"}]

    _, schema, _, _ = revised(order(words, "declared", columns=declared), bucket, tmp_path)

    assert [("size", "Feature"), ("colour", "Protected"), ("label", "Target")] == [
        (column.name, column.role) for column in schema.columns
    ]


def test_protected_columns_come_with_the_features_and_keep_their_role(bucket: ObjectStore, tmp_path: Path) -> None:
    columns = [{"name": "label", "role": "Target"}, {"name": "colour", "role": "Protected"}]
    base = revisions.revision(bucket, data=revisions.text_of(200), columns=columns)
    guarded, _ = revisions.trained(
        revisions.training(base, "sklearn.linear_model.LogisticRegression", "guarded-1"), bucket
    )
    revisions.served(bucket, ROWS, ["yes", "no", "yes", "no"], service="guarded")

    _, schema, table, _ = revised(order(guarded, "guarded"), bucket, tmp_path)

    assert ["red", None, "blue", "red"] == table.column("colour").to_pylist()
    assert [("size", "Feature"), ("weight", "Feature"), ("colour", "Protected"), ("label", "Target")] == [
        (column.name, column.role) for column in schema.columns
    ]


@pytest.mark.parametrize(
    ("service", "labels", "reason", "message"),
    [
        ("nobody", [], Reason.SOURCE_EMPTY, "nobody logged no rows"),
        ("waiting", None, Reason.SOURCE_EMPTY, "none of the 4 rows that waiting answered"),
        ("strange", ["?", "?", "?", "?"], Reason.SCHEMA_MISMATCH, "none of 4 labels that came in for strange"),
    ],
)
def test_a_log_without_usable_rows_is_a_failure_that_is_worth_another_try(
    service: str, labels: Any, reason: Reason, message: str, bucket: ObjectStore, numbers: Trained, tmp_path: Path
) -> None:
    if labels != []:
        revisions.served(bucket, ROWS, labels, service=service)

    failure = refusal(order(numbers, service), bucket, tmp_path)

    assert reason == failure.reason
    assert failure.message.startswith(message)
    assert failure.retryable


def test_labels_that_are_none_are_left_out_and_counted(bucket: ObjectStore, numbers: Trained, tmp_path: Path) -> None:
    revisions.served(bucket, ROWS, ["1", "0", "?", "nan"], service="mixed")

    _, _, table, warnings = revised(order(numbers, "mixed"), bucket, tmp_path)

    assert [1, 0] == table.column("label").to_pylist()
    assert ("2 labels are not of the kind that 'label' has, and left out",) == warnings


def test_a_version_of_other_bytes_than_its_digest_says_is_not_believed(
    bucket: ObjectStore, words: Trained, tmp_path: Path
) -> None:
    revisions.served(bucket, ROWS, ["yes", "no", "yes", "no"], service="forged")
    asked = order(words, "forged")
    forged = asked.answered.version.model_copy(update={"digest": "sha256:" + "0" * 64})
    asked = asked.model_copy(update={"answered": asked.answered.model_copy(update={"version": forged})})

    assert Reason.ARTIFACT_CORRUPT == refusal(asked, bucket, tmp_path).reason
