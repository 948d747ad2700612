"""Every estimator, on four kinds of tables, with default and other parameters: what is served is what scikit-learn answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.served_table import TABLES, Table, cases, outcome
from tidemill.runtime.train.estimators import KNOWN


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
        found = outcome(KNOWN[path], parameters, tables[table], folder)
        forms.append(found.form)
        if found.wrong:
            wrong[f"{table} {parameters}"] = found.wrong

    assert {} == wrong
    assert any(not form.startswith("not trained") for form in forms), forms
