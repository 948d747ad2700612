"""The rows that the demo and the tests ask about: the part of a bundled set that training never sees, in two halves."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from cluster.paths import REPOSITORY
from support import tables
from tidemill.api import Dataset
from tidemill.api.dataset import Splits
from tidemill.runtime.ingest import bundled, columns, splits
from traffic.rows import FeatureShift

SAMPLES = REPOSITORY / "manifests" / "samples"
SET = "sklearn://breast_cancer"
TARGET = bundled.TARGET
SIZES = ("radius", "perimeter", "area")
"""What the scanner measures in lengths; it reports each as a mean, an error and a worst value."""
FACTOR = 1.25
DEFECTIVE = "worst_concave_points"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows that no version was trained on, as CSV: half of them to be asked, half of them only to measure."""

    asked: str
    measured: str


def held_out(dataset: Path = SAMPLES / "biopsies" / "dataset.yaml") -> HeldOut:
    """The hold-out that a Dataset of the bundled biopsies will draw.

    The traffic comes back as training rows once labels are there, so what measures must be other rows.
    """
    spec = Dataset.model_validate(next(yaml.safe_load_all(dataset.read_text()))).spec
    table = _held_out(spec.splits)
    first = pa.array([_half(row) for row in table.to_pylist()])
    return HeldOut(asked=tables.as_csv(table.filter(first)), measured=tables.as_csv(table.filter(pc.invert(first))))


def everything(change: Callable[[pa.Table], pa.Table] = lambda table: table) -> bytes:
    """All rows of the set as a CSV file."""
    return tables.as_csv(change(bundled.read(SET))).encode()


def everything_as_parquet() -> bytes:
    """All rows of the set as a Parquet file."""
    return tables.as_parquet(bundled.read(SET))


def mixed_up(table: pa.Table) -> pa.Table:
    """The same rows and the same labels, but not the ones that belong together."""
    labels = table[TARGET].to_numpy(zero_copy_only=False)
    shuffled = np.random.default_rng(7).permutation(labels)
    return table.set_column(table.column_names.index(TARGET), TARGET, pa.array(shuffled))


def feature_shift() -> FeatureShift:
    """The drift is a scanner that was calibrated again, the defect a sensor that loses half of its values."""
    sized = {name: FACTOR for name in bundled.read(SET).column_names if any(size in name for size in SIZES)}
    return FeatureShift(scale=sized, defective=(DEFECTIVE,))


def _held_out(wanted: Splits) -> pa.Table:
    table = bundled.read(SET)
    mask, _, _ = splits.hold_out(columns.understand(table, ()), wanted, None)
    return table.filter(pa.array(mask))


def _half(row: dict[str, Any]) -> bool:
    return hashlib.sha256(repr(sorted(row.items())).encode()).digest()[0] % 2 == 0
