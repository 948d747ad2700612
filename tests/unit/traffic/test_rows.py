import random

import pytest

from traffic import rows
from traffic.rows import Example, FeatureShift, Shift

SIZES = FeatureShift(scale={"radius": 1.25}, defective=("radius",))


def test_a_csv_reads_as_rows_with_numbers_texts_and_missing_values() -> None:
    text = "radius,colour,target\n1.5,red,0\n,blue,1\n"

    read = rows.read(text, "target")

    assert [Example({"radius": 1.5, "colour": "red"}, "0"), Example({"radius": None, "colour": "blue"}, "1")] == read


def test_what_is_written_reads_back_the_same() -> None:
    text = rows.write(["radius", "target"], [[1.25, 0], [0.1 + 0.2, 1]])

    assert [Example({"radius": 1.25}, "0"), Example({"radius": 0.1 + 0.2}, "1")] == rows.read(text, "target")


def test_a_row_without_its_label_is_refused() -> None:
    with pytest.raises(ValueError, match="no target"):
        rows.read("radius,target\n1.5,\n", "target")


def test_drift_scales_its_columns_and_leaves_the_others() -> None:
    changed = SIZES.change({"radius": 2.0, "colour": "red", "texture": 3.0}, Shift.DRIFT, random.Random(0))

    assert changed == {"radius": 2.5, "colour": "red", "texture": 3.0}


def test_a_defect_comes_on_top_of_the_drift() -> None:
    feature_shift = FeatureShift(scale={"radius": 1.25}, defective=("texture",))

    changed = [
        feature_shift.change({"radius": 2.0, "texture": 3.0}, Shift.DEFECT, random.Random(seed)) for seed in range(50)
    ]

    assert {2.5} == {row["radius"] for row in changed}
    assert {3.0, None} == {row["texture"] for row in changed}


def test_a_defect_loses_about_half_of_the_values_of_its_columns() -> None:
    rng = random.Random(0)

    changed = [SIZES.change({"radius": 2.0, "texture": 3.0}, Shift.DEFECT, rng) for _ in range(1000)]

    assert 450 < sum(row["radius"] is None for row in changed) < 550
    assert {3.0} == {row["texture"] for row in changed}


def test_no_shift_changes_nothing() -> None:
    row = {"radius": 2.0}

    assert row == SIZES.change(row, Shift.NONE, random.Random(0))
