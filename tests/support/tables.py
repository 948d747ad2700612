"""Real tables as files, for samples whose rows lie in a store."""

from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.runtime.ingest import bundled
from traffic import rows


def wine() -> bytes:
    """178 wines as CSV, with the cultivar by name."""
    table = bundled.read("sklearn://wine")
    names = [name if name != bundled.TARGET else "cultivar" for name in table.column_names]
    return as_csv(table.rename_columns(names)).encode()


def diabetes() -> bytes:
    """442 patients as Parquet, with how far the disease had come a year later."""
    table = bundled.read("sklearn://diabetes")
    names = [name if name != bundled.TARGET else "progression" for name in table.column_names]
    return as_parquet(table.rename_columns(names))


def as_csv(table: pa.Table) -> str:
    return rows.write(table.column_names, list(zip(*(column.to_pylist() for column in table.columns), strict=True)))


def as_parquet(table: pa.Table) -> bytes:
    out = BytesIO()
    pq.write_table(table, out)
    return out.getvalue()
