"""The real data sets that scikit-learn brings along, read from its files: importing it would take longer than the rest of the run."""

from __future__ import annotations

import csv
import difflib
import gzip
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from tidemill.runtime.failures import SourceNotFound

SCHEME: Final = "sklearn://"
TARGET: Final = "target"

_MEASURED: Final = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)
_WINE: Final = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280_od315_of_diluted_wines",
    "proline",
)
_DIABETES: Final = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def read(uri: str) -> pa.Table:
    """The set that `sklearn://<name>` names; its column to predict is called `target`. Raises SourceNotFound."""
    name = uri.removeprefix(SCHEME).strip("/")
    if name not in SETS:
        near = difflib.get_close_matches(name, SETS, 1)
        meant = f"; did you mean {SCHEME}{near[0]}?" if near else ""
        raise SourceNotFound(f"scikit-learn bundles no data set {name!r}{meant} There are {', '.join(SETS)}")
    return SETS[name]()


def revision() -> str:
    """Return the release of scikit-learn that the files come from."""
    return f"scikit-learn {version('scikit-learn')}"


def _folder() -> Path:
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise SourceNotFound(
            "scikit-learn is not installed here, so its data sets are not either; run this in the workload image"
        )
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data"


def _labelled(file: str, features: tuple[str, ...]) -> pa.Table:
    """A file whose first line says rows, columns and the names of the classes, and whose last column is the class."""
    with (_folder() / file).open(newline="") as text:
        lines = csv.reader(text)
        classes = next(lines)[2:]
        rows = [line for line in lines if line]
    return _table(np.array([row[:-1] for row in rows], np.float64), features, [classes[int(row[-1])] for row in rows])


def _table(
    matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]], features: tuple[str, ...], target: object
) -> pa.Table:
    columns = {name: pa.array(matrix[:, index].copy()) for index, name in enumerate(features)}
    return pa.table({**columns, TARGET: pa.array(target)})


def _breast_cancer() -> pa.Table:
    names = (
        *(f"mean_{name}" for name in _MEASURED),
        *(f"{name}_error" for name in _MEASURED),
        *(f"worst_{name}" for name in _MEASURED),
    )
    return _labelled("breast_cancer.csv", names)


def _digits() -> pa.Table:
    with gzip.open(_folder() / "digits.csv.gz", "rt") as text:
        rows = [line for line in csv.reader(text) if line]
    names = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
    return _table(np.array([row[:-1] for row in rows], np.float64), names, [str(int(float(row[-1]))) for row in rows])


def _diabetes() -> pa.Table:
    with gzip.open(_folder() / "diabetes_data_raw.csv.gz", "rt") as text:
        matrix = np.loadtxt(text)
    with gzip.open(_folder() / "diabetes_target.csv.gz", "rt") as text:
        target = np.loadtxt(text)
    return _table(matrix, _DIABETES, target)


SETS: Final[dict[str, Callable[[], pa.Table]]] = {
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "digits": _digits,
    "iris": lambda: _labelled("iris.csv", ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")),
    "wine": lambda: _labelled("wine_data.csv", _WINE),
}
"""Each set by name: biopsies, diabetes patients (in their own units), handwritten digits, flowers, wines."""
