"""Read a Dataset's source: rows of another Dataset, with the predictions of a model version in its published form.

A row that the model refuses, as a service would, has no prediction; how many there are is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from tidemill.api.dataset import ColumnSpec
from tidemill.contract.numbers import quantity
from tidemill.contract.orders import ScoredOrder
from tidemill.runtime.failures import ArtifactCorrupt, SchemaMismatch
from tidemill.runtime.ingest.sources import Read
from tidemill.runtime.model import predictor
from tidemill.runtime.model.answer import REFUSALS, Answer, answered, finite_rows
from tidemill.runtime.model.encoding import Matrix, encode
from tidemill.runtime.model.predictor import Predictor
from tidemill.runtime.process.threads import processors
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables import parquet, schema
from tidemill.runtime.tables.revision import row_files
from tidemill.runtime.tables.schema import Schema

PREDICTION: Final = "prediction"
SCORE: Final = "score"
"""The probability of the predicted class."""


class _Part(NamedTuple):
    table: pa.Table
    refused: int


def read(
    order: ScoredOrder, declared: Sequence[ColumnSpec], store: ObjectStore, scratch: Path
) -> tuple[Read, tuple[ColumnSpec, ...], tuple[str, ...]]:
    """Return the rows with their predictions, what is known of their columns, and warnings.

    Raises SchemaMismatch where the rows lack a feature of the model, hold it as another type, or have a column `prediction`.
    """
    model = predictor.load(store.fetch(order.version.uri, order.version.digest, scratch / "version"))
    folder = store.fetch(order.rows.uri, order.rows.digest, scratch / "rows")
    known = _schema(folder, order.rows.uri)
    _check(known, model, order)
    names = [column.name for column in known.columns]
    with ThreadPoolExecutor(processors()) as pool:
        parts = list(pool.map(lambda batch: _predicted(model, batch), _batches(folder, names)))
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()
    refused = sum(part.refused for part in parts)
    warnings = (
        (
            f"{quantity(refused, 'row has', 'rows have')} no prediction: {order.version.name} refuses missing or too large values",
        )
        if refused
        else ()
    )
    revision = f"{order.rows.name}@{order.rows.digest[:19]},{order.version.name}@{order.version.digest[:19]}"
    given = {spec.name for spec in declared}
    columns = (*declared, *(spec for spec in _specs(known, model) if spec.name not in given))
    return Read(table, revision, f"Dataset {order.rows.name} predicted by {order.version.name}"), columns, warnings


def _schema(folder: Path, uri: str) -> Schema:
    try:
        return Schema.model_validate_json((folder / schema.FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactCorrupt(
            f"{uri} has no {schema.FILE} that can be read; have the Dataset ingested again"
        ) from error


def _check(known: Schema, model: Predictor, order: ScoredOrder) -> None:
    types = {column.name: column.type for column in known.columns}
    for name in (PREDICTION, SCORE):
        if name in types:
            raise SchemaMismatch(f"Dataset {order.rows.name!r} has a column {name!r} already; rename it there")
    absent = [feature.name for feature in model.signature.features if feature.name not in types]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise SchemaMismatch(
            f"Dataset {order.rows.name!r} lacks {', '.join(map(repr, absent[:3]))}{more}, which {order.version.name} takes; add the columns to the Dataset, or predict with another version"
        )
    for feature in model.signature.features:
        if types[feature.name] != feature.type:
            raise SchemaMismatch(
                f"column {feature.name!r} of Dataset {order.rows.name!r} is {types[feature.name]}, and {order.version.name} takes it as {feature.type}; declare its type in spec.columns of the Dataset"
            )


def _batches(folder: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    for file in row_files(folder):
        for batch in parquet.batches(file, names):
            yield pa.Table.from_batches([batch])


def _predicted(model: Predictor, table: pa.Table) -> _Part:
    matrix = encode(table, model.signature.features)
    accepted = _acceptable(model, matrix)
    answer = _answers(model, matrix if accepted.all() else matrix[accepted])
    chosen = finite_rows(answer)
    usable = accepted.copy()
    usable[accepted] = chosen
    table = table.append_column(PREDICTION, _filled(_labels(model, answer.values[chosen]), usable))
    if _scores(model):
        # A batch of which every row is refused has the column too.
        scores = np.empty(0) if answer.probabilities is None else answer.probabilities[chosen].max(axis=1, initial=0.0)
        table = table.append_column(SCORE, _filled(pa.array(scores, pa.float64()), usable))
    return _Part(table, int((~usable).sum()))


def _scores(model: Predictor) -> bool:
    """Return whether its answers carry probabilities."""
    return model.signature.task == "Classification" and model.signature.gives_probabilities


def _acceptable(model: Predictor, matrix: Matrix) -> Any:
    """Return which rows the model takes: without missing values if it takes none, and without values that it cannot hold."""
    wrong = np.abs(matrix) > model.largest
    if not model.signature.takes_missing:
        wrong |= np.isnan(matrix)
    return ~wrong.any(axis=1)


def _answers(model: Predictor, matrix: Matrix) -> Answer:
    """Return the answers; NaN, or -1 where there are only labels, for rows that the model refuses one by one."""
    if not len(matrix):
        return Answer(np.empty(0, np.int64 if model.signature.task == "Classification" else np.float64))
    try:
        return answered(model.predict, matrix)
    except REFUSALS:
        # Every row is refused.
        classifies = model.signature.task == "Classification"
        return Answer(np.full(len(matrix), -1, np.int64) if classifies else np.full(len(matrix), np.nan))


def _labels(model: Predictor, values: Any) -> Any:
    if model.signature.task == "Regression":
        return pa.array(values, pa.float64())
    return pa.array(model.signature.classes).take(pa.array(values, pa.int64()))


def _filled(values: Any, rows: Any) -> Any:
    """Return a column with `values` in the `rows` that have one, and nothing in the others."""
    if rows.all():
        return values
    indexes = np.cumsum(rows) - 1
    return values.take(pa.array(indexes, pa.int64(), mask=~rows))


def _specs(known: Schema, model: Predictor) -> Iterator[ColumnSpec]:
    """Yield the roles and types of the rows' own columns, and of those that are added."""
    for column in known.columns:
        kind = None if column.type == "Other" or column.role == "Target" else column.type
        yield ColumnSpec(name=column.name, role=column.role, type=kind)
    classifies = model.signature.task == "Classification"
    yield ColumnSpec(name=PREDICTION, type="Categorical" if classifies else "Numerical")
    if _scores(model):
        yield ColumnSpec(name=SCORE, type="Numerical")
