"""Run the SELECT statement of a Dataset in DuckDB: on its source, or on revisions of other Datasets.

The statement sees these tables and nothing else: no file, no network, no extension, no setting. What does not fit into memory
is spilled to the scratch space. One thread runs it, so that sums of floats and the order of rows do not depend on the machine.

DuckDB 2.0: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tidemill.runtime.failures import OutOfMemory, TransformFailed
from tidemill.runtime.process.memory import memory_headroom
from tidemill.runtime.tables.revision import row_files
from tidemill.runtime.tables.schema import HOLDOUT

SOURCE: Final = "source"
"""The table of a Dataset that is not made from others."""
_DEFAULT_MEMORY: Final = 4 << 30
_MEMORY_SHARE: Final = 0.4
"""Of the memory that is left; the rows that come out need some too."""
_ROWS_SHARE: Final = 0.4
_BATCH_ROWS: Final = 1 << 17
_MAX_SPILL: Final = "1GB"


def run(sql: str, tables: Mapping[str, pa.Table | Path], scratch: Path) -> pa.Table:
    """Return the rows of the statement; a table is given by its rows, or by the folder of a revision.

    Raises TransformFailed where the statement is not one SELECT, or cannot be run on these tables.
    """
    import duckdb

    folders = [str(table) for table in tables.values() if isinstance(table, Path)]
    spill = scratch / "spill"
    spill.mkdir(exist_ok=True)
    memory = memory_headroom()
    with duckdb.connect(":memory:", config=_config(spill, memory)) as connection:
        for name, table in tables.items():
            _add(connection, name, table)
        connection.execute(f"SET allowed_directories = {_literal(folders)}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            _check(duckdb, sql)
            result = _bounded(connection.sql(sql).to_arrow_reader(_BATCH_ROWS), memory)
        except duckdb.OutOfMemoryException as error:
            raise OutOfMemory(
                f"spec.transform.sql needs more memory than there is; raise spec.resources.limits.memory, or read fewer rows ({_first_line(error)})"
            ) from None
        except duckdb.Error as error:
            raise TransformFailed(f"spec.transform.sql cannot be run: {_first_line(error)}; correct it") from None
    return _plain(result)


def _bounded(batches: Any, memory: int | None) -> pa.Table:
    """Return all rows; raise OutOfMemory before they take more than their share."""
    most = int(_ROWS_SHARE * (_DEFAULT_MEMORY if memory is None else memory))
    kept, size = [], 0
    for batch in batches:
        kept.append(batch)
        size += batch.nbytes
        if size > most:
            raise OutOfMemory(
                f"spec.transform.sql returns more than {most >> 20} MiB of rows; raise spec.resources.limits.memory, or return fewer rows or columns"
            )
    return pa.Table.from_batches(kept, batches.schema)


def _config(spill: Path, memory: int | None) -> dict[str, str]:
    limit = int(_MEMORY_SHARE * (_DEFAULT_MEMORY if memory is None else memory))
    return {
        "threads": "1",
        "memory_limit": f"{max(limit >> 20, 64)}MiB",
        "temp_directory": str(spill),
        "max_temp_directory_size": _MAX_SPILL,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
    }


def _add(connection: Any, name: str, table: pa.Table | Path) -> None:
    if not isinstance(table, Path):
        connection.register(name, table)
        return
    files = _literal([str(file) for file in row_files(table)])
    # Which rows the other Dataset holds out is not a column of its rows.
    connection.execute(
        f"CREATE VIEW {_identifier(name)} AS SELECT * EXCLUDE ({_identifier(HOLDOUT)}) FROM read_parquet({files})"
    )


def _check(duckdb: Any, sql: str) -> None:
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise TransformFailed(f"spec.transform.sql holds {len(statements)} statements; write one SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise TransformFailed(
            f"spec.transform.sql is {statements[0].type.name}, not SELECT; write one SELECT without side effects"
        )


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with types that Datasets have: decimals and wide whole numbers as floats, times with their zone."""
    fields = [field.with_type(_plain_type(field.type)) for field in table.schema]
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TransformFailed(f"spec.transform.sql returns two columns named {twice!r}; name them with AS")
    spans = [field.name for field in fields if pa.types.is_interval(field.type)]
    if spans:
        raise TransformFailed(
            f"spec.transform.sql returns INTERVAL in column {spans[0]!r}, which Datasets cannot hold; convert it to seconds with epoch()"
        )
    return table.cast(pa.schema(fields)).combine_chunks()


def _plain_type(kind: Any) -> Any:
    if pa.types.is_decimal(kind):
        return pa.int64() if kind.scale == 0 and kind.precision <= 18 else pa.float64()
    return kind


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(texts: list[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:500]
