from support import biopsies
from tidemill.runtime.ingest import bundled
from traffic import rows
from traffic.rows import Example


def examples(text: str) -> list[Example]:
    return rows.read(text, biopsies.TARGET)


def test_the_rows_that_are_asked_and_those_that_measure_are_the_hold_out_and_share_none() -> None:
    held_out = biopsies.held_out()
    asked, measured = examples(held_out.asked), examples(held_out.measured)

    assert len(asked) + len(measured) == round(0.4 * 569)
    assert not [row for row in asked if row in measured]
    assert min(len(asked), len(measured)) > 90


def test_the_tide_moves_the_nine_columns_that_are_lengths_or_areas() -> None:
    feature_shift = biopsies.feature_shift()

    assert len(feature_shift.scale) == 9
    assert set(feature_shift.scale.values()) == {biopsies.FACTOR}
    assert biopsies.DEFECTIVE in bundled.read(biopsies.SET).column_names
