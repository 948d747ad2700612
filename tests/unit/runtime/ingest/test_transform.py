"""A statement sees its tables and nothing else, gives the same rows each time, and says what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from support import revisions
from tidemill.api.dataset import SourceParent
from tidemill.contract.orders import ParentRevision
from tidemill.contract.reports import Ingested
from tidemill.runtime.failures import OutOfMemory, SourceEmpty, TransformFailed
from tidemill.runtime.ingest import transform
from tidemill.runtime.store.objects import ObjectStore

ROWS = pa.table({"customer": ["a", "a", "b"], "amount": [1.5, 2.5, 10.0]})


def result(sql: str, scratch: Path, **tables: pa.Table) -> pa.Table:
    return transform.run(sql, tables or {"source": ROWS}, scratch)


def test_rows_are_those_of_the_statement(tmp_path: Path) -> None:
    sql = "SELECT customer, sum(amount) AS total, count(*) AS payments FROM source GROUP BY customer ORDER BY customer"

    table = result(sql, tmp_path)

    assert {"customer": ["a", "b"], "total": [4.0, 10.0], "payments": [2, 1]} == table.to_pydict()


def test_an_asof_join_takes_what_was_known_at_the_time(tmp_path: Path) -> None:
    def at(hour: int) -> datetime:
        return datetime(2026, 3, 1, hour, tzinfo=UTC)

    payments = pa.table({"customer": ["a", "a"], "at": [at(9), at(12)]})
    scores = pa.table({"customer": ["a", "a", "a"], "at": [at(8), at(11), at(13)], "score": [1, 2, 3]})
    sql = (
        "SELECT p.at, s.score FROM payments p ASOF JOIN scores s ON p.customer = s.customer AND p.at >= s.at ORDER BY 1"
    )

    assert [1, 2] == result(sql, tmp_path, payments=payments, scores=scores).column("score").to_pylist()


FORBIDDEN = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_parquet('s3://bucket/key')",
    "SELECT * FROM 'https://example.com/a.parquet'",
    "SELECT * FROM query('SELECT * FROM read_text(''/etc/hostname'')')",
    "SELECT * FROM query_table('/etc/passwd')",
    "SELECT getenv('HOME')",
    "COPY source TO '/tmp/rows.csv'",
    "CREATE TABLE kept AS SELECT 1",
    "ATTACH '/tmp/other.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 64",
    "PRAGMA database_list",
    "EXPORT DATABASE '/tmp/out'",
    "CALL duckdb_settings()",
    "SELECT 1; COPY source TO '/tmp/rows.csv'",
    "DELETE FROM source",
    "",
)


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_nothing_but_its_tables_is_reached(sql: str, tmp_path: Path) -> None:
    with pytest.raises(TransformFailed, match=r"^spec\.transform\.sql "):
        result(sql, tmp_path)


def test_variables_of_the_process_are_not_tables(tmp_path: Path) -> None:
    hidden = ROWS

    with pytest.raises(TransformFailed, match="Table with name hidden does not exist"):
        result("SELECT * FROM hidden", tmp_path)
    assert hidden is ROWS


WRONG = {
    "a word": ("SELEC 1", "cannot be run: Parser Error: syntax error"),
    "a column": ("SELECT missing FROM source", "cannot be run: Binder Error"),
    "two statements": ("SELECT 1; SELECT 2", "holds 2 statements; write one SELECT"),
    "two columns of one name": (
        "SELECT amount, amount FROM source",
        "returns two columns named 'amount'; name them with AS",
    ),
    "a span of time": (
        "SELECT INTERVAL 1 DAY AS age FROM source",
        "returns INTERVAL in column 'age', which Datasets cannot hold",
    ),
    "a value": ("SELECT CAST(customer AS INTEGER) FROM source", "cannot be run: Conversion Error"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told(case: str, tmp_path: Path) -> None:
    sql, message = WRONG[case]

    with pytest.raises(TransformFailed, match=message):
        result(sql, tmp_path)


def test_the_same_rows_come_in_the_same_order_with_the_same_sums(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"group": rng.integers(0, 5_000, 300_000), "value": rng.normal(size=300_000) * 1e9})
    sql = 'SELECT "group", sum(value) AS total FROM source GROUP BY 1'

    first, second = (result(sql, tmp_path, source=table) for _ in range(2))

    assert first.equals(second)


def test_more_rows_than_memory_are_refused_before_they_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transform, "memory_headroom", lambda: 256 << 20)

    with pytest.raises(OutOfMemory, match="returns more than 102 MiB of rows; raise spec"):
        result("SELECT * FROM range(1000000000)", tmp_path)


def test_what_does_not_fit_into_memory_is_spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "memory_headroom", lambda: 256 << 20)
    sql = "SELECT count(*) AS n FROM (SELECT DISTINCT range || 'a long text that needs memory' FROM range(3000000))"

    assert [3_000_000] == result(sql, tmp_path).column("n").to_pylist()


KEPT = (
    "TIME '12:00:00'",
    "uuid()",
    "'a'::ENUM('a', 'b')",
    "170141183460469231731687303715884105727::HUGEINT",
    "'inf'::DOUBLE",
    "'nan'::DOUBLE",
    "1.5::DECIMAL(38, 10)",
    "DATE '2026-01-01'",
    "'infinity'::TIMESTAMP",
    "TIMESTAMPTZ '2026-01-01 00:00:00+02'",
    "true",
    "chr(0)",
)
LEFT_OUT = ("'ab'::BLOB", "MAP {'a': 1}", "[1, 2]", "'101'::BIT", "18446744073709551615::UBIGINT", "NULL")
"""What no Dataset holds as a column is left out with a warning, as from a file."""


@pytest.mark.parametrize(("value", "columns"), [*((value, 2) for value in KEPT), *((value, 1) for value in LEFT_OUT)])
def test_a_column_of_any_type_is_kept_or_left_out(store: ObjectStore, value: str, columns: int) -> None:
    made = revisions.revision(store, data="a\n1\n2\n3\n", sql=f"SELECT a, {value} AS other FROM source")

    assert (3, columns) == (made.rows, made.columns)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path}/store")


def parent(name: str, made: Ingested) -> ParentRevision:
    return ParentRevision(name=name, digest=made.digest, uri=made.uri)


def test_a_dataset_is_made_from_others(store: ObjectStore) -> None:
    people = revisions.revision(store, data="name,age\nann,30\nbob,40\n", columns=[{"name": "name", "role": "Entity"}])
    visits = revisions.revision(
        store, data="name,pages\nann,3\nann,5\nbob,1\n", columns=[{"name": "name", "role": "Entity"}]
    )
    sql = 'SELECT age, sum(pages) AS pages FROM people JOIN "web-visits" USING (name) GROUP BY ALL ORDER BY age'

    made = revisions.revision(
        store,
        source={"datasets": [{"name": "people"}, {"name": "web-visits"}]},
        sql=sql,
        parents=[parent("people", people), parent("web-visits", visits)],
    )

    assert (2, 2) == (made.rows, made.columns)
    wanted = (SourceParent(name="people", digest=people.digest), SourceParent(name="web-visits", digest=visits.digest))
    assert wanted == made.parents


def test_one_dataset_without_a_statement_is_taken_as_it_is(store: ObjectStore) -> None:
    first = revisions.revision(store, data="a,b\n1,x\n2,y\n")

    made = revisions.revision(store, source={"datasets": [{"name": "first"}]}, parents=[parent("first", first)])

    assert (2, 2) == (made.rows, made.columns)


def test_a_source_is_the_table_source(store: ObjectStore) -> None:
    made = revisions.revision(store, data="a,b\n1,x\n2,y\n3,y\n", sql="SELECT a * 2 AS twice FROM source WHERE b = 'y'")

    assert (2, 1) == (made.rows, made.columns)


def test_no_row_is_told_as_such(store: ObjectStore) -> None:
    with pytest.raises(SourceEmpty, match="returns no row of inline; correct its conditions"):
        revisions.revision(store, data="a\n1\n", sql="SELECT * FROM source WHERE a > 5")
