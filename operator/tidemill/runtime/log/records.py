"""Rows of the prediction log and the label log, and their Parquet form.

pyarrow is loaded with the first part that is written: a pod that answers nothing does not pay for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from tidemill.runtime.log.arrow import arrow
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Feature
from tidemill.runtime.protocol.features import Features, Rows
from tidemill.runtime.protocol.feedback import Label

OVERHEAD: Final = 400
"""About how many bytes a record takes in addition to its matrix."""
COMPRESSION: Final = "zstd"


@dataclass(frozen=True, slots=True)
class Author:
    """The version that answered."""

    version: str
    digest: str
    role: str
    labels: ClassLabels | None
    """Classes of the version; None for regression."""


class Prediction(NamedTuple):
    """One request that was answered."""

    request: str
    time: float
    asked: Rows
    answer: Answer
    author: Author
    keys: tuple[str, ...] = ()
    """The client's name of each row; a row with a key is logged as a request of its own by that name."""

    @property
    def rows(self) -> int:
        return len(self.asked.matrix)

    @property
    def times(self) -> Sequence[float]:
        """When each row was answered."""
        return (self.time,) * len(self.asked.matrix)

    @property
    def requests(self) -> int:
        """Return how many it holds."""
        return 1


class Logged(Protocol):
    """A record of answers in the log: one request, or several of one row each."""

    @property
    def request(self) -> str: ...
    @property
    def time(self) -> float: ...
    @property
    def times(self) -> Sequence[float]: ...
    @property
    def asked(self) -> Rows: ...
    @property
    def answer(self) -> Answer: ...
    @property
    def author(self) -> Author: ...
    @property
    def keys(self) -> Sequence[str]: ...
    @property
    def rows(self) -> int: ...
    @property
    def requests(self) -> int: ...


class LabelBatch(NamedTuple):
    """Labels that came in one request."""

    time: float
    labels: tuple[Label, ...]

    @property
    def rows(self) -> int:
        return len(self.labels)


class PredictionFile:
    """Predictions as a Parquet file: one column per feature and per protected column, numbers as float64 and categories as strings."""

    def __init__(self, features: Features, *, classifies: bool, redact: Collection[str] = ()) -> None:
        """`redact` names features and protected columns whose values are left out: their columns hold nothing."""
        self._features = features
        self._redact = frozenset(redact)
        self._classifies = classifies

    def __call__(self, records: Sequence[Logged]) -> bytes:
        return to_parquet(self.table(records))

    def table(self, records: Sequence[Logged]) -> Any:
        """The rows as an Arrow table."""
        pa = arrow()

        from tidemill.contract.layout import LogColumn

        counts = np.fromiter((record.rows for record in records), np.int64, len(records))
        whose = np.repeat(np.arange(len(records), dtype=np.int32), counts)
        starts = np.cumsum(counts) - counts
        keyed = np.fromiter((bool(record.keys) for record in records), np.bool_, len(records))
        authors: dict[int, tuple[int, Author]] = {}
        for record in records:
            authors.setdefault(id(record.author), (len(authors), record.author))
        wrote = np.fromiter((authors[id(record.author)][0] for record in records), np.int32, len(records))[whose]
        times = np.fromiter(chain.from_iterable(record.times for record in records), np.float64, len(whose))
        spoken = [author for _, author in authors.values()]

        def by_author(texts: list[str]) -> Any:
            return pa.DictionaryArray.from_arrays(pa.array(wrote), pa.array(texts)).cast(pa.string())

        columns: dict[str, Any] = {
            LogColumn.REQUEST: _requests(records, whose),
            LogColumn.ROW: pa.array(np.where(keyed[whose], 0, np.arange(len(whose)) - starts[whose]).astype(np.int32)),
            LogColumn.TIME: pa.array((times * 1e6).astype(np.int64)).cast(pa.timestamp("us", tz="UTC")),
            LogColumn.VERSION: by_author([author.version for author in spoken]),
            LogColumn.DIGEST: by_author([author.digest for author in spoken]),
            LogColumn.ROLE: by_author([author.role for author in spoken]),
            LogColumn.PREDICTION: self._predictions(records),
            LogColumn.SCORE: self._scores(records),
        }
        if self._classifies:
            columns[LogColumn.PROBABILITIES] = _probabilities(records)
        matrix = np.concatenate([record.asked.matrix for record in records], dtype=np.float64)
        for index, (name, lookup) in enumerate(zip(self._features.names, self._features.indexes, strict=True)):
            if name in self._redact:
                kind = pa.float64() if lookup is None else pa.string()
                columns[LogColumn.FEATURE + name] = pa.nulls(len(whose), kind)
            elif lookup is None:
                columns[LogColumn.FEATURE + name] = pa.array(np.ascontiguousarray(matrix[:, index]), from_pandas=True)
            else:
                words = [word for record in records for word in record.asked.categories[index]]
                columns[LogColumn.FEATURE + name] = pa.array(words, pa.string())
        for index, column in enumerate(self._features.protected, self._features.count):
            columns[LogColumn.FEATURE + column.name] = self._protected(records, index, column)
        return pa.table(columns)

    def _protected(self, records: Sequence[Logged], index: int, column: Feature) -> Any:
        """Return the values of a protected column; null where it was not sent."""
        import pyarrow as pa

        numeric = column.type == "Numerical"
        kind = pa.float64() if numeric else pa.string()
        if column.name in self._redact:
            return pa.nulls(sum(record.rows for record in records), kind)
        words = [word for record in records for word in record.asked.categories.get(index) or [None] * record.rows]
        return pa.array([None if word is None else float(word) for word in words] if numeric else words, kind)

    def _predictions(self, records: Sequence[Logged]) -> Any:
        import pyarrow as pa

        if not self._classifies:
            return pa.array(np.concatenate([record.answer.values for record in records]).astype(np.float64))
        pieces = []
        for labels, together in groupby(records, key=lambda record: record.author.labels):
            indexes = np.concatenate([record.answer.values for record in together])
            pieces.append(pa.array(labels.texts if labels else (), pa.string()).take(pa.array(indexes)))
        return pa.chunked_array(pieces, pa.string())

    def _scores(self, records: Sequence[Logged]) -> Any:
        import pyarrow as pa

        scores = [
            record.answer.probabilities.max(axis=1).astype(np.float64)
            if record.answer.probabilities is not None
            else np.full(record.rows, np.nan)
            for record in records
        ]
        return pa.array(np.concatenate(scores), from_pandas=True)


def _probabilities(records: Sequence[Logged]) -> Any:
    """Return the probabilities of all classes, where there are more than two: one list per row, made of one array for all rows."""
    import pyarrow as pa

    from tidemill.contract.layout import LogColumn

    widths, flat = [], []
    for record in records:
        probabilities = record.answer.probabilities
        if probabilities is None or not 2 < probabilities.shape[1] <= LogColumn.MAX_CLASSES:
            widths.append(0)
        else:
            widths.append(probabilities.shape[1])
            flat.append(probabilities.astype(np.float32).ravel())
    lengths = np.repeat(widths, [record.rows for record in records])
    if not flat:
        return pa.nulls(len(lengths), pa.list_(pa.float32()))
    ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(flat)), mask=pa.array(lengths == 0))


def _requests(records: Sequence[Logged], whose: Any) -> Any:
    import pyarrow as pa

    if not any(record.keys for record in records):
        return pa.array([record.request for record in records]).take(pa.array(whose))
    named = (record.keys or (record.request,) * record.rows for record in records)
    return pa.array([name for names in named for name in names], pa.string())


class LabelFile:
    """Labels as a Parquet file: strings for classification, numbers for regression."""

    def __init__(self, labels: ClassLabels | None) -> None:
        self._labels = labels

    def __call__(self, records: Sequence[LabelBatch]) -> bytes:
        pa = arrow()

        from tidemill.contract.layout import LogColumn

        labels = [label for record in records for label in record.labels]
        if self._labels is not None:
            text = self._labels.text
            given = pa.array([text(label.label) for label in labels], pa.string())
        else:
            given = pa.array([float(label.label) for label in labels], pa.float64())
        times = (np.array([label.time for label in labels]) * 1e6).astype(np.int64)
        return to_parquet(
            pa.table(
                {
                    LogColumn.REQUEST: pa.array([label.request for label in labels], pa.string()),
                    LogColumn.ROW: pa.array([label.row for label in labels], pa.int32()),
                    LogColumn.LABEL: given,
                    LogColumn.TIME: pa.array(times).cast(pa.timestamp("us", tz="UTC")),
                }
            )
        )


def to_parquet(table: Any) -> bytes:
    """A table of either log as a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    # Measured numbers hardly repeat: a dictionary of them costs time and saves nothing.
    pq.write_table(table, sink, compression=COMPRESSION, compression_level=1, use_dictionary=texts)
    return bytes(sink.getvalue())


def spelled_all(answer: Answer, labels: ClassLabels | None) -> list[str] | list[float]:
    """An answer as the logs and a trial spell it."""
    if labels is None:
        values: list[float] = answer.values.tolist()
        return values
    return [labels.texts[index] for index in answer.values.tolist()]
