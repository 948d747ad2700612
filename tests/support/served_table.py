"""Whether what is served is what scikit-learn answers: every estimator, on four kinds of tables, with default and other parameters.

    python -m support.served_table          # prints the table of docs/served-models.md
    python -m support.served_table Ridge    # … of one estimator

Each model is fitted, compiled, written and loaded as a training run does it, and asked for rows that neither the training nor the
comparison of the compiled form has seen.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from support.parameter_sets import PARAMETERS
from tidemill.runtime.failures import ArtifactCorrupt, RunFailed
from tidemill.runtime.model import artifact, predictor
from tidemill.runtime.model.agreement import difference
from tidemill.runtime.model.answer import Matrix, answered, finite_rows
from tidemill.runtime.model.predictor import Golden
from tidemill.runtime.model.signature import Feature, Signature, Task
from tidemill.runtime.train import estimators
from tidemill.runtime.train.compiler import compile_model
from tidemill.runtime.train.estimators import KNOWN, KnownEstimator
from tidemill.runtime.train.fitting import gives_probabilities
from tidemill.runtime.train.preprocessing import prepare
from tidemill.runtime.train.probes import golden_rows

ROWS = 240
ASKED = 300
SEED = 11


class Table(NamedTuple):
    """Rows of one kind, and others to ask for."""

    matrix: Matrix
    features: tuple[Feature, ...]
    labels: np.ndarray
    numbers: np.ndarray
    asked: Matrix


class Outcome(NamedTuple):
    """What became of one model."""

    form: str
    """`compiled`, `compiled (double)`, `scikit-learn`, or why the run fails."""
    wrong: str
    """The first difference between what is served and scikit-learn; empty where there is none."""


def _numbers(matrix: Matrix, names: str) -> tuple[Feature, ...]:
    return tuple(
        Feature(name, "Numerical", minimum=float(np.nanmin(column)), maximum=float(np.nanmax(column)))
        for name, column in zip(names, matrix.T, strict=True)
    )


def decimals() -> Table:
    """Prices with two decimals, asked with three: some lie right above a threshold, and below its neighbour in single precision."""
    rng = np.random.default_rng(SEED)
    matrix = rng.integers(1, 60, (ROWS, 3)) / 100
    score = matrix[:, 0] > 0.085
    labels = (score ^ (matrix[:, 1] > 0.4)).astype(np.int64)
    numbers = np.round(matrix[:, 0] * 5 + matrix[:, 1] + rng.normal(0, 0.1, ROWS) + 2, 1)
    asked = np.vstack([rng.integers(0, 130, (ASKED - 60, 3)) / 200, np.tile(np.arange(60)[:, None] / 100 + 0.005, 3)])
    return Table(matrix, _numbers(matrix, "abc"), labels, numbers, asked)


def epoch_seconds() -> Table:
    """Hours of a month in seconds since 1970, asked for every few seconds; the number to predict is such a time too."""
    rng = np.random.default_rng(SEED + 1)
    start = 1_700_000_000
    matrix = np.column_stack([start + 3600.0 * rng.integers(0, 720, ROWS), rng.normal(size=ROWS)])
    labels = ((matrix[:, 0] // 3600) % 24 < 9).astype(np.int64)
    labels[matrix[:, 1] > 1.2] = 1
    numbers = start + np.round(600 * (matrix[:, 1] + labels) + rng.normal(0, 60, ROWS))
    asked = np.column_stack([start + 7.0 * rng.integers(0, 370_000, ASKED), rng.normal(size=ASKED)])
    return Table(matrix, _numbers(matrix, "ab"), labels, numbers, asked)


def mixed() -> Table:
    """Numbers and categories with gaps, asked also for categories that were never seen."""
    rng = np.random.default_rng(SEED + 2)

    def rows(count: int, lowest: int) -> Matrix:
        made = np.column_stack(
            [
                np.round(rng.normal(50, 10, count), 1),
                rng.integers(lowest, 4, count),
                rng.integers(0, 100, count),
                rng.integers(lowest, 2, count),
            ]
        ).astype(np.float64)
        made[rng.random(made.shape) < 0.15] = np.nan
        return made

    matrix = rows(ROWS, 0)
    filled = np.nan_to_num(matrix, nan=1.0)
    labels = ((filled[:, 0] > 50).astype(np.int64) + (filled[:, 1] == 2) + (filled[:, 2] > 80)) % 3
    numbers = filled[:, 0] + 10 * (filled[:, 1] == 2) + filled[:, 2] / 7 + 1
    features = (
        *_numbers(matrix[:, :1], "a"),
        Feature("b", "Categorical", categories=("blue", "green", "red", "violet")),
        *_numbers(matrix[:, 2:3], "c"),
        Feature("d", "Categorical", categories=("no", "yes")),
    )
    asked = rows(ASKED, -1)
    asked[:4] = [[np.nan] * 4, [50, -1, 3, -1], [1e20, 1, 3, 1], [50, 1, -1e20, 0]]
    return Table(matrix, features, labels, numbers, asked)


def counts() -> Table:
    """Counts with a long tail, asked also for whole numbers beyond what single precision counts."""
    rng = np.random.default_rng(SEED + 3)
    matrix = np.round(rng.lognormal(2, 1.3, (ROWS, 3)))
    labels = (matrix[:, 0] > matrix[:, 1]).astype(np.int64)
    numbers = 1.0 + rng.poisson(np.clip(matrix[:, 0] + matrix[:, 2] / 3, 0, 2000))
    asked = np.round(rng.lognormal(2.2, 1.5, (ASKED, 3)))
    asked[:3] = [[2.0**24 + 1, 1, 1], [3, 2.0**24 + 3, 5], [0, 0, 0]]
    return Table(matrix, _numbers(matrix, "abc"), labels, numbers, asked)


TABLES = {"decimals": decimals, "epoch seconds": epoch_seconds, "mixed with gaps": mixed, "counts": counts}


def outcome(known: KnownEstimator, parameters: dict[str, Any], table: Table, folder: Path) -> Outcome:
    """Fit, compile, write and load one model, and compare what it serves with what scikit-learn answers."""
    task: Task = known.task
    truth = table.labels if task == "Classification" else table.numbers
    classes = tuple(range(int(truth.max()) + 1)) if task == "Classification" else ()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            estimator = estimators.make(known, parameters, 7)
            model = prepare(known, estimator, table.features).fit(table.matrix, truth)
        except (ValueError, ArithmeticError, RunFailed) as error:
            return Outcome(f"not trained: {str(error).splitlines()[0][:70]}", "")
        gives = gives_probabilities(known, model)
        signature = Signature(task, table.features, "y", classes, gives_probabilities=gives)
        ask = predictor.estimated(model, signature)
        golden = Golden.of(ask, golden_rows(table.matrix, signature), answered(ask, table.matrix))
        compiled = compile_model(model, signature, table.matrix, ask, folder)
        artifact.write_estimator(model, folder / predictor.MODEL_FILE)
        (folder / predictor.SIGNATURE_FILE).write_text(json.dumps(signature.to_wire()))
        (folder / predictor.GOLDEN_FILE).write_bytes(golden.to_json())
        (folder / predictor.COMPILED_FILE).unlink(missing_ok=True)
        if compiled.content:
            (folder / predictor.COMPILED_FILE).write_bytes(compiled.content)
        try:
            artifact.estimator_of(folder / predictor.MODEL_FILE)
            served = predictor.load(folder)
        except ArtifactCorrupt as error:
            return Outcome("cannot be loaded", error.message)
        right = answered(ask, table.asked)
        wrong = difference(right, answered(served.predict, table.asked), golden.std)
        form = "scikit-learn"
        if served.compiled:
            form = "compiled (double)" if served.largest > 1e300 else "compiled"
        if not finite_rows(right).all():
            form += f", {np.count_nonzero(~finite_rows(right))} rows refused"
    return Outcome(form, wrong or served.note)


def cases(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The kinds of tables and the parameters that an estimator is tried with: the defaults and the first others on each, the rest in turn."""
    others = PARAMETERS[KNOWN[path].name]
    for name in TABLES:
        yield name, {}
        yield name, others[0]
    kinds = list(TABLES)
    for number, parameters in enumerate(others[1:]):
        yield kinds[number % len(kinds)], parameters


def markdown(paths: list[str]) -> Iterator[str]:
    """The table, line by line."""
    yield "| estimator | parameters | " + " | ".join(TABLES) + " |"
    yield "|---|---|" + "---|" * len(TABLES)
    tables = {name: make() for name, make in TABLES.items()}
    for path in paths:
        for parameters in ({}, *PARAMETERS[KNOWN[path].name]):
            cells = []
            for table in tables.values():
                with tempfile.TemporaryDirectory(prefix="tidemill-served-") as folder:
                    form, wrong = outcome(KNOWN[path], parameters, table, Path(folder))
                cells.append(f"**{wrong}**" if wrong else form)
            yield row_head(path, parameters) + " | ".join(cells) + " |"


def row_head(path: str, parameters: dict[str, Any]) -> str:
    """The first two cells of a row."""
    shown = f"`{json.dumps(parameters, default=str)}`" if parameters else "default"
    return f"| {KNOWN[path].name} | {shown} | "


if __name__ == "__main__":
    wanted = [estimators.find(name).path for name in sys.argv[1:]] or list(KNOWN)
    for line in markdown(wanted):
        print(line, flush=True)
