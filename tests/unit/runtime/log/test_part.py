"""Parts of a log as they come from a store into which others may write."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from subprocess import run
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tidemill.runtime.log import part
from tidemill.runtime.log.part import UnusableError, decoded

ROWS = {"request_id": ["a", "b"], "row": pa.array([0, 1], pa.int32()), "time": pa.array([0, 1], part.TIME)}


def written(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def everything(names: list[str]) -> list[str]:
    return names


def test_a_part_is_read_as_it_was_written() -> None:
    columns = {
        **ROWS,
        "prediction": ["1", None],
        "score": [0.5, None],
        "feature:x": [1.0, None],
        "feature:c": ["é", ""],
    }

    assert pa.table(columns) == decoded(written(columns), everything)


def test_a_part_without_rows_has_its_columns_and_their_types() -> None:
    table = pa.table({**ROWS, "feature:c": ["x", "y"]}).slice(0, 0)

    assert table == decoded(written({name: table.column(name) for name in table.column_names}), everything)


def test_only_the_columns_that_are_chosen_are_read() -> None:
    chosen: Callable[[list[str]], list[str]] = lambda names: [name for name in names if name != "feature:x"]  # noqa: E731

    assert ["request_id", "row", "time"] == decoded(written({**ROWS, "feature:x": [1, 2]}), chosen).column_names


def test_texts_need_not_be_coded() -> None:
    assert ["a", "b"] == decoded(written(ROWS, use_dictionary=False), everything).column("request_id").to_pylist()


def test_texts_that_are_told_by_how_they_differ_are_refused_for_they_may_be_of_any_length() -> None:
    content = written(ROWS, use_dictionary=False, column_encoding={"request_id": "DELTA_BYTE_ARRAY"})

    with pytest.raises(UnusableError, match="Not yet implemented"):
        decoded(content, everything)


def test_what_others_spell_otherwise_is_spelled_as_we_do() -> None:
    columns = {
        "request_id": pa.array([7, 8]),
        "row": ["0", "1"],
        "time": pa.array([0, 1], pa.timestamp("ms", tz="UTC")),
        "score": ["0.5", "1"],
        "label": [1.0, 2.5],
    }

    result = decoded(written(columns), everything).to_pydict()

    assert (["7", "8"], [0, 1], [0.5, 1.0], ["1", "2.5"]) == tuple(
        result[name] for name in ("request_id", "row", "score", "label")
    )


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        pytest.param({"row": ["first", "second"]}, "column 'row' holds string that is no int32", id="row"),
        pytest.param({"row": [0, 1 << 40]}, "column 'row' holds int64 that is no int32", id="a row beyond all"),
        pytest.param({"score": ["high", "low"]}, "column 'score' holds string that is no double", id="score"),
        pytest.param({"time": ["now", "then"]}, "column 'time' holds string that is no timestamp", id="time"),
        pytest.param({"label": [[1], [2]]}, "column 'label' holds list", id="label"),
        pytest.param({"prediction": [{"is": 1}] * 2}, "column 'prediction' holds struct", id="prediction"),
        pytest.param({"feature:x": [[1], [2]]}, "column 'feature:x' holds list", id="feature"),
    ],
)
def test_what_is_no_such_value_is_named(columns: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableError, match=why):
        decoded(written({**ROWS, **columns}), everything)


def test_columns_that_this_release_does_not_know_do_no_harm() -> None:
    assert 2 == decoded(written({**ROWS, "probabilities": [[0.5, 0.5], None]}), everything).num_rows


def test_a_word_said_over_and_over_takes_no_memory_before_it_is_refused() -> None:
    program = f"""
import io, resource, sys
import pyarrow as pa
from pyarrow import parquet
from tidemill.runtime.log.part import UnusableError, decoded
import numpy as np

nothing = pa.array(np.zeros(900_000, np.int32))
word = pa.DictionaryArray.from_arrays(nothing, ["x" * 1_000_000])
times = pa.array(np.zeros(900_000, np.int64)).cast(pa.timestamp("us", tz="UTC"))
sink = io.BytesIO()
parquet.write_table(pa.table({{"request_id": word, "row": nothing, "time": times}}), sink)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, ({4 << 30}, {4 << 30}))
try:
    decoded(sink.getvalue(), lambda names: names)
except UnusableError as reason:
    print(len(sink.getvalue()) < 2_000_000, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, reason)
"""

    output = run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert "True True its values take more than 256 MiB\n" == output.stdout, output.stderr
