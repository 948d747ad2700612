"""A category means the same to a service as to the Dataset that its model was trained on, however JSON spells it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.runtime.ingest.columns import as_text
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.features import UNSEEN, Features


def fitted_on(column: Any) -> Features:
    """The feature of a model that was trained on a column which was declared Categorical."""
    words = sorted({word for word in as_text(column).to_pylist() if word is not None})
    return Features(
        Signature(
            task="Classification",
            features=(Feature(name="kind", type="Categorical", categories=tuple(words)),),
            target="sold",
            classes=(0, 1),
        )
    )


def meant(features: Features, value: Any) -> str | None:
    """The category that a value means which comes as JSON; the log's spelling is the Dataset's."""
    rows = features.from_rows([{"kind": json.loads(json.dumps(value))}])
    [[index]], [word] = rows.matrix.tolist(), rows.categories[0]
    if index != index:
        assert word is None
        return None
    assert index != UNSEEN, word
    assert features.indexes[0] is not None
    [category] = [name for name, position in features.indexes[0].items() if position == index]
    assert category == word
    return category


@pytest.mark.parametrize(
    ("column", "value", "category"),
    [
        pytest.param(pa.array([True, False]), True, "true", id="truth values"),
        pytest.param(pa.array([1, 2]), 2, "2", id="whole numbers"),
        pytest.param(pa.array([1, 2]), 2.0, "2", id="whole numbers from who has no others"),
        pytest.param(pa.array([1.0, None, 2.0]), 2, "2", id="whole numbers with gaps"),
        pytest.param(pa.array([0.5, 1e-7, 1.0]), 1e-7, "1e-07", id="fractions"),
        pytest.param(pa.array([0.5, 1e-7, 1.0]), 1, "1", id="a whole number among fractions"),
        pytest.param(pa.array(["a", "b"]), "b", "b", id="texts"),
        pytest.param(pa.array(["a", ""]), "", None, id="an empty text is missing"),
        pytest.param(pa.array(["007", "7"]), "007", "007", id="texts that look like numbers"),
    ],
)
def test_a_category_is_the_one_that_training_saw(column: Any, value: Any, category: str | None) -> None:
    assert category == meant(fitted_on(column), value)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_every_number_that_a_dataset_held_is_known_again(values: list[float]) -> None:
    features = fitted_on(pa.array(values))
    for value in values:
        category = meant(features, value)
        assert category is not None
        assert value == float(category)


@pytest.mark.parametrize("value", [3, 2.5, False, 2**70, 1e300, "c"])
def test_what_training_never_saw_is_unseen(value: Any) -> None:
    rows = fitted_on(pa.array([1, 2])).from_rows([{"kind": value}])
    assert UNSEEN == rows.matrix[0, 0]
