"""The rows that a version expects to meet and to answer: the reference that a monitor compares each window with.

Features are those of the recent served rows where there are enough of them, so that a monitor goes quiet once a version
made for the new world is in service; else those of the training rows. Answers are the version's own, on rows it has
not been trained on: on the others it is surer of itself than it will ever be again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tidemill.contract.layout import LogColumn
from tidemill.runtime.model.encoding import encode
from tidemill.runtime.model.predictor import Answer, Matrix
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.profile import Profile, ProfiledColumn, profile_table
from tidemill.runtime.tables import rowhash
from tidemill.runtime.train import protected
from tidemill.runtime.train.rows import MIN_SERVED_ROWS, Material

SAMPLED: Final = 5_000
"""Rows that a version keeps of what it should meet, and of what it answered: what checks of several columns at once compare with."""


def profile(rows: Material, signature: Signature, ask: Callable[[Matrix], Answer]) -> Profile:
    """The reference profile, its columns named as in the prediction log."""
    met, answered = expected(rows), rows.held_out.table
    if rows.met is not None and rows.unseen is not None:
        unseen = met.filter(pa.array(rows.unseen))
        answered = unseen if unseen.num_rows >= MIN_SERVED_ROWS else met
    names = [feature.name for feature in signature.features]
    inputs = met.select(names).rename_columns([LogColumn.FEATURE + name for name in names])
    of_inputs = profile_table(
        inputs, [ProfiledColumn(LogColumn.FEATURE + feature.name, feature.type) for feature in signature.features]
    )
    outputs = as_logged(ask(encode(answered, signature.features)), signature)
    classification = signature.task == "Classification"
    kinds = [ProfiledColumn(LogColumn.PREDICTION, "Categorical" if classification else "Numerical")]
    if LogColumn.SCORE in outputs.column_names:
        kinds.append(ProfiledColumn(LogColumn.SCORE, "Numerical"))
    of_protected = protected.profiles(rows.protected_table, signature.protected)
    return Profile(of_inputs.rows, (*of_inputs.columns, *profile_table(outputs, kinds).columns, *of_protected))


def expected(rows: Material) -> pa.Table:
    """The features that the version should meet."""
    return rows.training.table if rows.met is None or rows.unseen is None else rows.met


def sample(rows: Material, signature: Signature) -> bytes:
    """Some rows of what the version should meet, named as in the prediction log, as Parquet."""
    names = [feature.name for feature in signature.features]
    return _parquet(_some(expected(rows).select(names)).rename_columns([LogColumn.FEATURE + name for name in names]))


def answers(rows: Material, signature: Signature, ask: Callable[[Matrix], Answer]) -> bytes:
    """Return rows that the version was not trained on, the recent ones where there are some, with label and answer, as Parquet.

    Their confidence is calibrated by these, and errors of regressions are estimated from them.
    """
    names = [feature.name for feature in signature.features]
    measured = rows.recent if rows.recent is not None and len(rows.recent) >= MIN_SERVED_ROWS else rows.held_out
    if signature.task == "Regression":
        label = pa.array(measured.truth, pa.float64())
    else:
        texts = np.array([str(label) for label in signature.classes], dtype=object)
        label = pa.array(texts[measured.truth], pa.string())
    table = _some(measured.table.select(names).append_column(LogColumn.LABEL, label))
    answered = as_logged(ask(encode(table, signature.features)), signature)
    table = table.rename_columns([*(LogColumn.FEATURE + name for name in names), LogColumn.LABEL])
    for name in answered.column_names:
        table = table.append_column(name, answered.column(name))
    return _parquet(table)


def _some(table: pa.Table) -> pa.Table:
    """At most `SAMPLED` rows, chosen by their content."""
    if table.num_rows <= SAMPLED:
        return table
    content = rowhash.hashes(table, table.column_names, seed=0)
    return table.take(pa.array(np.sort(np.argsort(content, kind="stable")[:SAMPLED])))


def _parquet(table: pa.Table) -> bytes:
    sink: Any = pa.BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata(None), sink, compression="zstd", store_schema=False)
    return bytes(sink.getvalue())


def as_logged(answer: Answer, signature: Signature) -> pa.Table:
    """Answers as a service logs them: labels as text or numbers, the probability of the label, and those of all classes where there are more than two."""
    if signature.task == "Regression":
        return pa.table({LogColumn.PREDICTION: pa.array(answer.values, pa.float64())})
    texts = np.array([str(label) for label in signature.classes], dtype=object)
    logged = {LogColumn.PREDICTION: pa.array(texts[answer.values], pa.string())}
    if answer.probabilities is not None:
        chosen = np.asarray(answer.probabilities, np.float64)[np.arange(len(answer.values)), answer.values]
        logged[LogColumn.SCORE] = pa.array(chosen, pa.float64())
        if 2 < len(signature.classes) <= LogColumn.MAX_CLASSES:
            every = pa.array(np.asarray(answer.probabilities, np.float32).ravel())
            ends = np.arange(len(answer.values) + 1, dtype=np.int32) * len(signature.classes)
            logged[LogColumn.PROBABILITIES] = pa.ListArray.from_arrays(pa.array(ends), every)
    return pa.table(logged)
