"""Labels from a Dataset: rows of an id, a label and a time, in the form of the label log.

The id is that of a request, `id/row` for one row of a request with several, or the key that the client gave the row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.api.feedback import PinnedLabels
from tidemill.runtime.failures import SchemaMismatch
from tidemill.runtime.log import part
from tidemill.runtime.log.labels.index import Further
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables import parquet
from tidemill.runtime.tables.revision import row_files
from tidemill.runtime.tables.texts import as_text

_OF_ROW: Final = "/[0-9]+$"
_ZONE: Final = "(Z|[+-][0-9]{2}:?[0-9]{2})$"
_MAX_SECONDS: Final = 1e11
"""Numbers from here on count parts of a second since 1970: milliseconds, microseconds, then nanoseconds, each a thousand times more."""


def labels_of_dataset(labels: PinnedLabels | None, store: ObjectStore) -> Further | None:
    """Return the labels of the Dataset as `read_labels` takes them; None where no Dataset is named."""
    return None if labels is None else Further(batches(labels, store), labels.created_at.timestamp())


def batches(labels: PinnedLabels, store: ObjectStore) -> Iterator[pa.Table]:
    """Yield the labels with `key`, `time` and `label`, a batch at a time; rows that lack any of them are left out.

    Raises SchemaMismatch where the revision has no such column, or its times cannot be read.
    """
    wanted = [labels.id, labels.label, *([labels.time] if labels.time else [])]
    with tempfile.TemporaryDirectory(prefix="tidemill-labels-") as folder:
        for file in row_files(store.fetch(labels.uri, labels.digest, Path(folder))):
            for batch in parquet.batches(file, wanted):
                absent = [name for name in wanted if name not in batch.schema.names]
                if absent:
                    raise SchemaMismatch(
                        f"Dataset {labels.name!r} has no column {absent[0]!r} to read labels by; declare it in spec.columns of the Dataset{_role(labels, absent[0])}, or correct spec.feedback.dataset"
                    )
                yield _labels(pa.Table.from_batches([batch]), labels)


def _role(labels: PinnedLabels, name: str) -> str:
    role = {labels.id: "Id", labels.time: "Timestamp"}.get(name)
    return f" with role {role}" if role else ""


def _labels(rows: pa.Table, labels: PinnedLabels) -> pa.Table:
    ids, values = as_text(_column(rows, labels.id)), as_text(_column(rows, labels.label))
    keys = pc.if_else(pc.match_substring_regex(ids, _OF_ROW), ids, pc.binary_join_element_wise(ids, "0", "/"))
    if labels.time:
        times = as_times(_column(rows, labels.time), f"column {labels.time!r} of Dataset {labels.name!r}")
    else:
        times = pa.array([labels.created_at] * rows.num_rows, part.TIME)
    return pa.table({"key": keys, "time": times, "label": values}).drop_null()


def _column(rows: pa.Table, name: str) -> Any:
    return rows.column(name).combine_chunks()


def as_times(values: Any, name: str) -> Any:
    """Return a column of times, of texts by ISO 8601, or of numbers since 1970, in microseconds of UTC; text without a zone is UTC.

    Raises SchemaMismatch with one of the texts that are not times.
    """
    kind = values.type
    if pa.types.is_timestamp(kind):
        return (values if kind.tz else pc.assume_timezone(values, "UTC")).cast(part.TIME, safe=False)
    if pa.types.is_date(kind):
        return pc.assume_timezone(values.cast(pa.timestamp("us")), "UTC").cast(part.TIME)
    if pa.types.is_null(kind):
        return pa.nulls(len(values), part.TIME)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _since_1970(values, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _written(values.cast(pa.string()), name)
    raise SchemaMismatch(f"{name} holds {kind}, not times; make it times, ISO 8601 texts or seconds since 1970")


def _since_1970(values: Any, name: str) -> Any:
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    usable = np.isfinite(numbers)
    scales = np.full(len(numbers), 1e6)
    for power in range(3):
        scales[np.abs(numbers) >= _MAX_SECONDS * 1000.0**power] = 10.0 ** (3 - 3 * power)
    micros = np.where(usable, numbers, 0) * scales
    if (np.abs(micros) > 2**62).any():
        largest = numbers[usable][np.argmax(np.abs(numbers[usable]))]
        raise SchemaMismatch(f"{name} holds {largest:g}, which is not a time; correct it in the source")
    return pa.array(micros.round().astype(np.int64), pa.int64(), mask=~usable).cast(part.TIME)


def _written(texts: Any, name: str) -> Any:
    trimmed = pc.utf8_trim_whitespace(texts)
    trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    zoned = pc.fill_null(pc.match_substring_regex(trimmed, _ZONE), False)
    # Dates end like zones do: 2026-01-02 does not end with the zone -02.
    dated = pc.fill_null(pc.match_substring_regex(trimmed, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), False)
    zoned = pc.and_(zoned, pc.invert(dated))
    nothing = pa.scalar(None, pa.string())
    try:
        local = pc.if_else(zoned, nothing, trimmed).cast(pa.timestamp("us"))
        in_utc = pc.if_else(zoned, trimmed, nothing).cast(part.TIME)
    except pa.ArrowInvalid as error:
        bad = str(error).split("\n")[0][:200]
        raise SchemaMismatch(
            f"{name} holds text that is not a time ({bad}); write times as in 2026-01-02T03:04:05Z"
        ) from None
    return pc.coalesce(in_utc, pc.assume_timezone(local, "UTC").cast(part.TIME))
