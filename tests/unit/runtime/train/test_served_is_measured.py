"""Every estimator, on four kinds of tables, with default and other parameters: what is served is what scikit-learn answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.parameter_sets import PARAMETERS
from support.served_table import TABLES, Table, cases, outcome, row_head
from tidemill.runtime.train.estimators import KNOWN, find, make
from tidemill.runtime.train.fitting import gives_probabilities

PAGE = Path(__file__).parents[4] / "docs" / "served-models.md"


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    return {name: make() for name, make in TABLES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("path", KNOWN)
def test_what_is_served_is_what_scikit_learn_answers(path: str, tables: dict[str, Table], tmp_path: Path) -> None:
    wrong, forms = {}, []
    for number, (table, parameters) in enumerate(cases(path)):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = outcome(KNOWN[path], parameters, tables[table], folder)
        forms.append(result.form)
        if result.wrong:
            wrong[f"{table} {parameters}"] = result.wrong

    assert {} == wrong
    assert any(not form.startswith("not trained") for form in forms), forms


def test_the_page_has_a_row_for_every_estimator_and_each_set_of_parameters_and_no_difference() -> None:
    """The forms depend on the machine in some cells, so only what each row is about is compared."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "**" not in line][1:]
    expected = [row_head(path, parameters) for path in KNOWN for parameters in ({}, *PARAMETERS[KNOWN[path].name])]

    assert expected == [row[: len(head)] for row, head in zip(rows, expected, strict=True)]


@pytest.mark.parametrize(("classes", "gives"), [(2, True), (3, False)])
def test_pairs_of_classes_give_no_probabilities_where_there_are_several(classes: int, gives: bool) -> None:
    known = find("GaussianProcessClassifier")
    rows = np.random.default_rng(1).normal(size=(30, 2))
    model = make(known, {"multi_class": "one_vs_one"}, 7).fit(rows, np.arange(30) % classes)

    assert gives == gives_probabilities(known, model)
