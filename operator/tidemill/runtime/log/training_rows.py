"""Rows that a service answered, joined with the labels that came back for them: the newer half of a training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.api.feedback import PinnedLabels
from tidemill.contract.layout import LogColumn, label_folder, prediction_folder
from tidemill.contract.numbers import quantity
from tidemill.runtime.log import reader
from tidemill.runtime.log.labels.dataset import labels_of_dataset
from tidemill.runtime.log.labels.index import read_labels
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import Column

_KEYS = (LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME)


@dataclass(frozen=True, slots=True)
class Served:
    """Rows in the order of their time, each once."""

    table: pa.Table
    """The features under their own names, as float64 or text; `time`; and `label` as text, null where none came back."""
    warnings: tuple[str, ...] = ()

    @property
    def labelled(self) -> pa.Table:
        """The rows that have labels."""
        return self.table.filter(pc.is_valid(self.table.column(LogColumn.LABEL)))


def read(
    store: ObjectStore,
    namespace: str,
    service: str,
    start: datetime,
    end: datetime,
    features: Sequence[Column],
    label_dataset: PinnedLabels | None = None,
) -> Served:
    """Return the rows that `service` was asked for from `start` up to `end`, with all labels so far, however late they came.

    Labels of `label_dataset` count like those that the service received. A row logged twice counts once. Of several labels for one row the newest counts; contradictions are warned of.
    """
    skipped = reader.Skipped([])
    wanted = {*_KEYS, *(LogColumn.FEATURE + column.name for column in features)}
    parts = reader.keys(store, prediction_folder(namespace, service), start, end)
    batches = reader.rows(store, parts, lambda names: [name for name in names if name in wanted], skipped)
    schema = _schema(features)
    conformed = [_conformed(reader.within(batch, start, end), schema, skipped) for batch in batches]
    table = _once(pa.concat_tables([schema.empty_table(), *conformed]).combine_chunks())
    label_parts = reader.keys(store, label_folder(namespace, service), start, None)
    labels = read_labels(store, label_parts, skipped, further=labels_of_dataset(label_dataset, store))
    matched = labels.match(table)
    texts = np.full(table.num_rows, None, dtype=object)
    texts[matched.labelled] = np.array(matched.values.to_pylist(), dtype=object)
    table = table.append_column(LogColumn.LABEL, pa.array(texts, pa.string()))
    warnings = skipped.warnings()
    if labels.contradicted:
        warnings += (
            f"{quantity(labels.contradicted, 'served row has', 'served rows have')} contradictory labels; the newest counts",
        )
    if labels.left_out:
        warnings += (
            f"{quantity(labels.left_out, 'label was', 'labels were')} beyond the limit; only the newest count",
        )
    if labels.ahead or matched.early:
        warnings += (
            f"{quantity(labels.ahead + matched.early, 'label is', 'labels are')} dated in the future or before the served rows and left out; correct the clock of the sender",
        )
    absent = [
        column.name for column in features if table.num_rows and table.column(column.name).null_count == table.num_rows
    ]
    if absent:
        warnings += (
            f"the log of {service} holds no values of {', '.join(absent[:3])}; they count as missing in the served rows",
        )
    return Served(table, warnings)


def _schema(features: Sequence[Column]) -> pa.Schema:
    return pa.schema(
        [
            (LogColumn.REQUEST, pa.string()),
            (LogColumn.ROW, pa.int64()),
            (LogColumn.TIME, pa.timestamp("us", tz="UTC")),
            *((column.name, pa.float64() if column.type == "Numerical" else pa.string()) for column in features),
        ]
    )


def _conformed(batch: pa.Table, schema: pa.Schema, skipped: reader.Skipped) -> pa.Table:
    """A part's rows with the columns of `schema`: parts of other versions may lack some, or hold them as another type."""
    columns = []
    for index, field in enumerate(schema):
        name = field.name if index < len(_KEYS) else LogColumn.FEATURE + field.name
        columns.append(_cast(batch, name, field.type, skipped))
    return pa.table(columns, schema=schema)


def _cast(batch: pa.Table, name: str, kind: Any, skipped: reader.Skipped) -> Any:
    if name not in batch.column_names:
        return pa.nulls(batch.num_rows, kind)
    column = batch.column(name)
    if pa.types.is_floating(column.type) and kind == pa.string():
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        return column.cast(kind, safe=False)
    except pa.ArrowInvalid:
        skipped.parts.append(f"column {name} of {quantity(batch.num_rows, 'row')}: expected {kind}, not {column.type}")
        return pa.nulls(batch.num_rows, kind)


def _once(table: pa.Table) -> pa.Table:
    """Each row of a request once, the newest where it was logged more often."""
    table = table.take(
        pc.sort_indices(
            table, [(LogColumn.TIME, "ascending"), (LogColumn.REQUEST, "ascending"), (LogColumn.ROW, "ascending")]
        )
    )
    rows = pc.binary_join_element_wise(
        table.column(LogColumn.REQUEST), table.column(LogColumn.ROW).cast(pa.string()), "/"
    )
    codes = pc.dictionary_encode(rows).combine_chunks().indices.to_numpy() if table.num_rows else np.empty(0, np.int64)
    newest = np.zeros(int(codes.max()) + 1 if len(codes) else 0, np.int64)
    newest[codes] = np.arange(len(codes))
    return table.take(pa.array(np.sort(newest)))
