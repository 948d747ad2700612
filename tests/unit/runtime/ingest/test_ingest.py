"""Ingest: a source becomes a revision, or a failure that says what to correct."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from support import gateway
from tidemill.api.conditions import Reason
from tidemill.contract.orders import IngestOrder
from tidemill.contract.reports import Ingested
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.ingest.job import ingest
from tidemill.runtime.profile import Profile
from tidemill.runtime.store import manifest
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import HOLDOUT, Schema


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path}/store")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with gateway.gateway(tmp_path_factory.mktemp("gateway")) as endpoint:
        yield ObjectStore.open(
            f"s3://{gateway.BUCKET}", endpoint=endpoint, access_key_id=gateway.KEY, secret_access_key=gateway.SECRET
        )


def ordered(uri: str = "sklearn://iris", **changes: Any) -> IngestOrder:
    return IngestOrder.model_validate({"namespace": "team", "dataset": "flowers", "source": {"uri": uri}, **changes})


def inline(data: str, **changes: Any) -> IngestOrder:
    return ordered(**{"source": {"inline": {"data": data}}, **changes})


def published(order: IngestOrder, store: ObjectStore, tmp_path: Path) -> Ingested:
    return ingest(order, store, tmp_path)[0]


def test_a_revision_holds_rows_schema_profile_and_report(store: ObjectStore, tmp_path: Path) -> None:
    revision = published(ordered(), store, tmp_path)

    folder = store.fetch(revision.uri, revision.digest, tmp_path / "fetched")
    schema = Schema.model_validate_json((folder / "schema.json").read_bytes())
    table = parquet.read_table(folder / "data-00000.parquet")
    assert (150, 5, 4, "target") == (revision.rows, revision.columns, revision.features, revision.target)
    assert [*(column.name for column in schema.columns), HOLDOUT] == table.column_names
    assert revision.bytes == (folder / "data-00000.parquet").stat().st_size
    key = store.key_of(revision.uri)
    assert 150 == Profile.from_json(store.get(f"{key}/profile.json")).rows
    page = store.get(store.key_of(revision.report_uri)).decode()
    assert "150 rows and 5 columns are ready for training" in page
    assert "sepal_length_cm" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_content_is_the_same_revision(store: ObjectStore, tmp_path: Path) -> None:
    first = published(ordered(), store, tmp_path)
    written = modified(store)

    second = published(ordered(previous=first.uri, tick=60), store, tmp_path)

    assert first == second
    assert written == modified(store)


def modified(store: ObjectStore) -> dict[str, datetime]:
    """Return when each file was written, but of manifests, which say by their time that they were published again."""
    return {entry.key: entry.modified for entry in store.list() if not entry.key.endswith(f"/{manifest.FILE}")}


def test_another_split_is_another_revision(store: ObjectStore, tmp_path: Path) -> None:
    assert (
        published(ordered(), store, tmp_path).digest != published(ordered(splits={"seed": 8}), store, tmp_path).digest
    )


def test_no_row_changes_sides_from_revision_to_revision(store: ObjectStore, tmp_path: Path) -> None:
    rows = [f"{number},{number % 2}" for number in range(100)]
    first = published(inline("a,target\n" + "\n".join(rows)), store, tmp_path)
    grown = [f"{number},{number % 2}" for number in range(150, 80, -1)] + rows
    second = published(inline("a,target\n" + "\n".join(grown), previous=first.uri), store, tmp_path)

    sides = []
    for revision in (first, second):
        table = parquet.read_table(
            store.fetch(revision.uri, revision.digest, tmp_path / revision.digest) / "data-00000.parquet"
        )
        sides.append(dict(zip(table.column("a").to_pylist(), table.column(HOLDOUT).to_pylist(), strict=True)))

    assert sides[0] == {number: sides[1][number] for number in sides[0]}


def test_files_are_read_from_the_namespaces_bucket(bucket: ObjectStore, tmp_path: Path) -> None:
    bucket.put("lake/day=1/a.csv", b"amount,fraud\n1.5,no\n2.5,yes\n")
    bucket.put("lake/day=2/b.csv", b"amount,fraud\n3,no\n")
    bucket.put("lake/day=2/notes.txt", b"not a table")

    revision = published(
        ordered(f"s3://{gateway.BUCKET}/lake/*/*.csv", columns=[{"name": "fraud", "role": "Target"}]), bucket, tmp_path
    )

    assert (3, "fraud") == (revision.rows, revision.target)
    assert revision.source_revision.endswith("of 2 files")


def test_another_bucket_is_read_with_the_credentials_of_the_dataset(bucket: ObjectStore, tmp_path: Path) -> None:
    bucket.put("only.csv", b"a,target\n1,x\n2,y\n")
    order = ordered(f"s3://{gateway.BUCKET}/only.csv", credentials=True)
    home = ObjectStore.open(f"file://{tmp_path}/home")
    folder = gateway.secret(tmp_path / "credentials", bucket.endpoint)

    revision, _ = ingest(order, home, tmp_path, credentials=folder)

    assert 2 == revision.rows
    assert revision.source_revision.startswith("etag:")


def test_credentials_that_are_not_there_are_asked_for(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"the Secret that spec.credentials names does not exist") as refused:
        ingest(ordered("s3://lake/a.csv", credentials=True), store, tmp_path, credentials=tmp_path / "nothing")
    assert (Reason.STORE_CREDENTIALS_MISSING, True) == (refused.value.reason, refused.value.retryable)


WRONG_FILES = {
    "nothing there": (None, {}, Reason.SOURCE_NOT_FOUND, "does not exist; upload it"),
    "nothing in it": (b"", {}, Reason.SOURCE_EMPTY, "is empty; put rows into it"),
    "garbage": (bytes(range(200)), {}, Reason.SOURCE_UNREADABLE, "binary, not CSV"),
    "a ragged line": (b"a,target\n1\n", {}, Reason.SOURCE_UNREADABLE, "line 2 of"),
    "no such target": (b"a,b\n1,2\n", {"columns": [{"name": "c", "role": "Target"}]}, Reason.TARGET_MISSING, "column 'c' is declared as Target but not among a, b"),
    "text for numbers": (b"a\n1\nn/k\n", {"columns": [{"name": "a", "type": "Numerical"}]}, Reason.NOT_NUMERIC, "holds 'n/k' in row 2"),
    "gaps": (b"a,b\n1,2\n,3\n", {"expectations": {"rules": [{"metric": "MissingShare", "column": "a", "maximum": 0.1}]}}, Reason.QUALITY_FAILED, "MissingShare of 'a' is 0.5"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_cannot_be_used_is_waited_for(case: str, bucket: ObjectStore, tmp_path: Path) -> None:
    content, changes, reason, message = WRONG_FILES[case]
    key = f"wrong/{case}.csv"
    if content is not None:
        bucket.put(key, content)

    with pytest.raises(RunFailed, match=message) as refused:
        ingest(ordered(f"s3://{gateway.BUCKET}/{key}", **changes), bucket, tmp_path)

    assert (reason, True) == (refused.value.reason, refused.value.retryable)


WRONG_ORDERS = {
    "no such set": (ordered("sklearn://irish"), Reason.SOURCE_NOT_FOUND, r"did you mean sklearn://iris\?"),
    "no such target": (ordered(columns=[{"name": "species", "role": "Target"}]), Reason.TARGET_MISSING, "not among sepal_length_cm"),
    "text for numbers": (inline("a\n1\nx\n", columns=[{"name": "a", "type": "Numerical"}]), Reason.NOT_NUMERIC, "holds 'x' in row 2"),
    "too few rows": (ordered(expectations={"rules": [{"metric": "RowCount", "minimum": 151}]}), Reason.QUALITY_FAILED, "RowCount is 150, less than 151"),
    "a rule about nothing": (ordered(expectations={"rules": [{"metric": "Mean", "column": "x", "minimum": 1}]}), Reason.SCHEMA_MISMATCH, "column 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ORDERS)
def test_what_only_the_spec_can_mend_is_not_tried_again(case: str, store: ObjectStore, tmp_path: Path) -> None:
    order, reason, message = WRONG_ORDERS[case]

    with pytest.raises(RunFailed, match=message) as refused:
        ingest(order, store, tmp_path)

    assert (reason, False) == (refused.value.reason, refused.value.retryable)


def test_an_unreachable_source_is_told_from_an_unreachable_store(store: ObjectStore, tmp_path: Path) -> None:
    folder = gateway.secret(tmp_path / "credentials", "http://127.0.0.1:1")

    with pytest.raises(
        RunFailed, match=r"the source s3://lake at http://127.0.0.1:1 cannot be used: nothing answers there"
    ) as refused:
        ingest(ordered("s3://lake/a.csv", credentials=True), store, tmp_path, credentials=folder)
    assert (Reason.SOURCE_UNREACHABLE, True) == (refused.value.reason, refused.value.retryable)


def test_a_folder_is_no_file(bucket: ObjectStore, tmp_path: Path) -> None:
    bucket.put("folder/a.csv", b"a\n1\n")

    with pytest.raises(RunFailed, match=r"is a folder; name a file in it, such as s3://tidemill/folder/a.csv"):
        ingest(ordered(f"s3://{gateway.BUCKET}/folder"), bucket, tmp_path)


def test_expectations_that_only_warn_let_the_revision_through(store: ObjectStore, tmp_path: Path) -> None:
    rules = {"onFailure": "Warn", "rules": [{"metric": "RowCount", "minimum": 151}]}

    revision, warnings = ingest(ordered(expectations=rules), store, tmp_path)

    assert ("RowCount is 150, less than 151",) == warnings
    assert "RowCount is 150" in store.get(store.key_of(revision.report_uri)).decode()


EVOLUTIONS = {
    "a new column, additive": ("Additive", "a,b\n1,2\n", ""),
    "a new column, strict": ("Strict", "a,b\n1,2\n", "'b' is new"),
    "a column gone, additive": ("Additive", "c\n1\n", "'a' is gone"),
    "a column gone, any": ("Any", "c\n1\n", ""),
    "another type": ("Additive", "a\nx\n", "'a' was Feature Numerical and is Feature Categorical"),
}


@pytest.mark.parametrize("case", EVOLUTIONS)
def test_columns_evolve_as_far_as_they_may(case: str, store: ObjectStore, tmp_path: Path) -> None:
    evolution, data, message = EVOLUTIONS[case]
    first = published(inline("a\n1\n2\n"), store, tmp_path)
    order = inline(data, previous=first.uri, evolution=evolution)

    if message:
        with pytest.raises(RunFailed, match=message) as refused:
            ingest(order, store, tmp_path)
        assert Reason.SCHEMA_MISMATCH == refused.value.reason
    else:
        assert 1 == published(order, store, tmp_path).rows


def test_a_current_revision_that_is_gone_is_not_missed(store: ObjectStore, tmp_path: Path) -> None:
    _, warnings = ingest(ordered(previous=store.uri_of("team/datasets/flowers/gone")), store, tmp_path)

    assert "is gone, so columns were not compared" in warnings[0]


def test_the_bytes_do_not_depend_on_when_they_are_written(tmp_path: Path) -> None:
    first, two = (
        published(ordered(), ObjectStore.open(f"file://{tmp_path}/{name}"), tmp_path) for name in ("one", "two")
    )

    assert first.digest == two.digest


def test_parquet_is_kept_as_what_it_means(bucket: ObjectStore, tmp_path: Path) -> None:
    table = pa.table(
        {"n": pa.array([1, None], pa.int32()), "c": pa.array(["x", "y"]).dictionary_encode(), "target": [True, False]}
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    bucket.put("t.parquet", tmp_path / "t.parquet")

    revision = published(ordered(f"s3://{gateway.BUCKET}/t.parquet"), bucket, tmp_path)

    folder = bucket.fetch(revision.uri, revision.digest, tmp_path / "f")
    assert {"n": [1.0, None], "c": ["x", "y"], "target": [True, False]} == parquet.read_table(
        folder / "data-00000.parquet"
    ).drop_columns([HOLDOUT]).to_pydict()
    assert ["Numerical", "Categorical", "Categorical"] == [
        column["type"] for column in json.loads((folder / "schema.json").read_bytes())["columns"]
    ]


def test_a_page_that_is_not_wanted_is_not_written_and_the_revision_is_the_same(
    store: ObjectStore, tmp_path: Path
) -> None:
    without, _ = ingest(ordered(report=False), store, tmp_path)
    files = {entry.key.rpartition("/")[2] for entry in store.list(store.key_of(without.uri))}
    usual, _ = ingest(ordered(dataset="others"), store, tmp_path)

    assert "" == without.report_uri
    assert "report.html" not in files
    assert without.profile_uri == f"{without.uri}/profile.json"
    assert "profile.json" in files
    assert without.digest == usual.digest
    assert usual.report_uri.endswith("/report.html")
