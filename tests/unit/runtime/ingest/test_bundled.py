"""The bundled sets are scikit-learn's own, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from tidemill.runtime.failures import SourceNotFound
from tidemill.runtime.ingest import bundled

LOADERS = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
}


def cleaned(name: str) -> str:
    return name.replace(" (cm)", "_cm").replace(" ", "_").replace("/", "_")


@pytest.mark.parametrize("name", bundled.SETS)
def test_a_bundled_set_is_what_scikit_learn_loads(name: str) -> None:
    theirs = LOADERS[name]()

    ours = bundled.read(f"sklearn://{name}")

    assert [*(cleaned(feature) for feature in theirs.feature_names), "target"] == ours.column_names
    matrix = np.column_stack([ours.column(column).to_numpy() for column in ours.column_names[:-1]])
    np.testing.assert_array_equal(theirs.data, matrix)
    expected = (
        [str(theirs.target_names[code]) for code in theirs.target]
        if "target_names" in theirs
        else theirs.target.tolist()
    )
    assert expected == ours.column("target").to_pylist()


def test_an_unknown_set_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SourceNotFound, match=r"no data set 'breast-cancer'; did you mean sklearn://breast_cancer\?"):
        bundled.read("sklearn://breast-cancer")
