"""Selects the rows that a run is trained on, those that it is measured on, and those that it expects to meet.

                         Dataset                      served, with labels         served, without
    trained on           all but the hold-out         70 % by hash of the row     –
    Holdout              the frozen hold-out          –                           –
    RecentLabelled       –                            the other 30 %, if recent   –
    expected to be met   what is trained on …         … or, with served rows, all recent ones

A served row that the frozen hold-out has too is never trained on: the hold-out would vouch for what was memorized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet
from pydantic import ValidationError

from tidemill.api.feedback import PinnedLabels
from tidemill.api.trainingjob import ServedRows
from tidemill.contract.layout import LogColumn
from tidemill.contract.numbers import quantity
from tidemill.runtime.failures import ArtifactCorrupt, NoNewRows, NotEnoughRows, TargetMissing
from tidemill.runtime.log import training_rows as served
from tidemill.runtime.model.signature import Feature, Task
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables import rowhash, schema
from tidemill.runtime.tables.revision import row_files
from tidemill.runtime.tables.schema import HOLDOUT, Schema
from tidemill.runtime.train.protected import columns_of
from tidemill.runtime.train.target import TrainingTarget, understand

MIN_TRAINING_ROWS: Final = 10
MIN_HOLDOUT_ROWS: Final = 2
RECENT_SHARE: Final = 0.3
MIN_SERVED_ROWS: Final = 50
"""With fewer recent rows than this, what a version expects to meet is what it was trained on."""


@dataclass(frozen=True, slots=True)
class LabelledTable:
    """Rows with their features and what was to be predicted."""

    table: pa.Table
    truth: NDArray[Any]
    """Indices of classes, or numbers."""
    weight: NDArray[np.float64]
    group_ids: NDArray[np.uint64]
    """Rows with the same number belong together: copies, and those of one Id or one group."""

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, chosen: NDArray[np.bool_]) -> LabelledTable:
        return LabelledTable(
            self.table.filter(pa.array(chosen)), self.truth[chosen], self.weight[chosen], self.group_ids[chosen]
        )

    def append(self, other: LabelledTable) -> LabelledTable:
        together = pa.concat_tables([self.table, other.table.select(self.table.column_names)]).combine_chunks()
        return LabelledTable(
            together,
            np.concatenate([self.truth, other.truth]),
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.group_ids, other.group_ids]),
        )


@dataclass(frozen=True, slots=True)
class Material:
    """Everything a run works on."""

    schema: Schema
    target: TrainingTarget
    training: LabelledTable
    held_out: LabelledTable
    recent: LabelledTable | None
    """Served rows with labels that are not trained on; None where the order asks for none."""
    met: pa.Table | None
    """Features of the recent served rows; None where there are too few to say what will be met."""
    unseen: NDArray[np.bool_] | None
    """For each row of `met`, True where it is not trained on."""
    served: int
    """Number of training rows that were served."""
    warnings: tuple[str, ...]
    protected_table: pa.Table
    """The protected columns of the Dataset's rows."""
    protected: tuple[Feature, ...]
    """The features of `protected_table`."""


def read_revision(folder: Path) -> tuple[Schema, pa.Table]:
    """The columns and rows of a revision that was fetched to `folder`."""
    try:
        kept = Schema.model_validate_json((folder / schema.FILE).read_bytes())
        return kept, pa.concat_tables([parquet.read_table(file) for file in row_files(folder)]).combine_chunks()
    except (OSError, ValidationError, pa.ArrowException) as error:
        raise ArtifactCorrupt(f"the Dataset's revision cannot be read: {error}; have it ingested again") from error


def gather(
    folder: Path,
    task: Task,
    wanted: ServedRows | None,
    namespace: str,
    store: ObjectStore,
    seed: int,
    *,
    new_rows: bool = False,
    label_dataset: PinnedLabels | None = None,
) -> Material:
    """The rows of the revision in `folder`, and those that were served where they are wanted.

    Raises TargetMissing, TargetUnusable or NotEnoughRows, and with `new_rows` NoNewRows where served rows add nothing.
    """
    kept, table = read_revision(folder)
    if not kept.target:
        raise TargetMissing("the Dataset names no column to predict; give one of its columns the role Target")
    warnings: tuple[str, ...] = ()
    without = table.column(kept.target).null_count
    if without:
        warnings += (
            f"{quantity(without, 'row has', 'rows have')} no {kept.target} and {'is' if without == 1 else 'are'} left out",
        )
        table = table.filter(pc.is_valid(table.column(kept.target)))
    held_out = table.column(HOLDOUT).to_numpy()
    target = understand(kept.target, table.column(kept.target), task)
    base = _labelled(table, target, kept)
    protected_table = table.select([column.name for column in kept.protected])
    protected, column_warnings = columns_of(protected_table, kept.protected)
    warnings += column_warnings
    training, measured = base.take(~held_out), base.take(held_out)
    if len(measured) < MIN_HOLDOUT_ROWS:
        raise NotEnoughRows(
            f"{quantity(len(measured), 'row is', 'rows are')} held out, and at least {MIN_HOLDOUT_ROWS} are needed to measure on; raise spec.splits.test of the Dataset, or give it more rows"
        )
    recent, met, unseen, added = None, None, None, 0
    if wanted is not None:
        served_rows = served.read(
            store, namespace, wanted.inference_service, wanted.start, wanted.end, kept.features, label_dataset
        )
        newer, recent, met, unseen, served_warnings = _newer(served_rows, wanted, target, kept, measured, seed)
        warnings += (*served_rows.warnings, *served_warnings)
        added = len(newer)
        if new_rows and not added:
            raise NoNewRows(_nothing_new(served_rows, served_warnings, label_dataset))
        if wanted.balance == "Sources":
            newer = _as_heavy_as(training, newer)
        training = training.append(newer) if wanted.combine == "Append" else newer
        if wanted.balance == "Classes" and target.task == "Classification":
            training = _classes_alike(training)
    if len(training) < MIN_TRAINING_ROWS:
        origin = "served rows with labels" if wanted is not None and wanted.combine == "Replace" else "rows"
        raise NotEnoughRows(
            f"{len(training)} {origin} can be used for training, at least {MIN_TRAINING_ROWS} are needed; wait for more labels, or give the Dataset more rows",
            retryable=wanted is not None,
        )
    return Material(kept, target, training, measured, recent, met, unseen, added, warnings, protected_table, protected)


def _nothing_new(served_rows: served.Served, warnings: Sequence[str], label_dataset: PinnedLabels | None) -> str:
    """Return why served rows add nothing to train on, and what to do."""
    rows, labelled = served_rows.table.num_rows, served_rows.labelled.num_rows
    because = "".join(f"; {warning}" for warning in (*warnings, *served_rows.warnings))
    remedy = (
        f"{'correct' if labelled else 'send'} the labels {'that are sent' if labelled else 'of served rows'} to /feedback"
        if label_dataset is None
        else f"{'correct' if labelled else 'add'} the labels of served rows in Dataset {label_dataset.name!r}"
    )
    return (
        f"the retraining has no new row to train on: {quantity(rows, 'row was', 'rows were')} served, {labelled} with labels{because}; "
        f"{remedy}, then run kubectl tidemill retrain"
    )


def _as_heavy_as(base: LabelledTable, newer: LabelledTable) -> LabelledTable:
    """`newer` with weights that add up to those of `base`."""
    total = newer.weight.sum()
    return replace(newer, weight=newer.weight * (base.weight.sum() / total)) if total > 0 else newer


def _classes_alike(rows: LabelledTable) -> LabelledTable:
    """`rows` with weights that add up to the same for every answer, and to what they were in all."""
    weight_of = np.bincount(rows.truth, weights=rows.weight)
    present = np.count_nonzero(weight_of)
    if present == 0:
        return rows
    share = np.divide(weight_of.sum() / present, weight_of, out=np.zeros_like(weight_of), where=weight_of > 0)
    return replace(rows, weight=rows.weight * share[rows.truth])


def _labelled(table: pa.Table, target: TrainingTarget, kept: Schema) -> LabelledTable:
    weights = next((column.name for column in kept.columns if column.role == "Weight"), "")
    weight = np.ones(table.num_rows)
    if weights:
        weight = np.nan_to_num(table.column(weights).to_numpy(), nan=0.0).clip(min=0.0)
    features = [column.name for column in kept.features]
    group_ids = rowhash.hashes(table, _group_keys(kept, table.column_names), 0)
    return LabelledTable(table.select(features), target.encode(table.column(target.name)), weight, group_ids)


def _group_keys(kept: Schema, there: Sequence[str]) -> tuple[str, ...]:
    """The columns by which rows belong together, of those that are `there`: the group's or the Id's, else all features."""
    features = tuple(column.name for column in kept.features)
    keys = kept.split.keys
    by_content = not set(keys) <= set(there) or (kept.split.strategy != "Group" and set(features) <= set(keys))
    return features if by_content else keys


def _newer(
    served_rows: served.Served,
    wanted: ServedRows,
    target: TrainingTarget,
    kept: Schema,
    held_out: LabelledTable,
    seed: int,
) -> tuple[LabelledTable, LabelledTable, pa.Table | None, NDArray[np.bool_] | None, tuple[str, ...]]:
    """Served rows to learn from, to be measured on, and to expect, with warnings."""
    names = [column.name for column in kept.features]
    table = served_rows.table.select(names)
    since = wanted.recent_start or wanted.start
    is_recent = pc.greater_equal(
        served_rows.table.column(LogColumn.TIME), pa.scalar(since, pa.timestamp("us", tz="UTC"))
    ).to_numpy()
    texts = served_rows.table.column(LogColumn.LABEL)
    has_label = pc.is_valid(texts).to_numpy()
    truth = target.from_texts(texts.fill_null("")) if table.num_rows else np.empty(0, np.int64)
    means_something = truth >= 0 if target.task == "Classification" else np.isfinite(truth)
    warnings: tuple[str, ...] = ()
    strange = int((has_label & ~means_something).sum())
    if strange:
        warnings += (
            f"{quantity(strange, 'label of served rows is', 'labels of served rows are')} unknown to the Dataset and left out",
        )
    usable = has_label & means_something
    content = rowhash.hashes(table, names, seed)
    known = np.isin(content, rowhash.hashes(held_out.table, names, seed))
    drawn = (content >> np.uint64(11)).astype(np.float64) * 2.0**-53 < RECENT_SHARE
    measured = usable & is_recent & (drawn | known)
    # An older copy of a row that is measured on must not be trained on either.
    training = usable & ~known & ~np.isin(content, content[measured])
    if known.any():
        warnings += (
            f"{int(known.sum())} served rows are also in the Dataset's hold-out and are not used for training",
        )
    group_ids = rowhash.hashes(table, _group_keys(kept, names), 0)
    labelled = LabelledTable(table, truth, np.ones(table.num_rows), group_ids)
    met, unseen = None, None
    if int(is_recent.sum()) >= MIN_SERVED_ROWS:
        met, unseen = table.filter(pa.array(is_recent)), ~training[is_recent]
    return labelled.take(training), labelled.take(measured), met, unseen, warnings
