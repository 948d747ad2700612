"""CSV whose numbers are read as such has the profile of CSV that is read as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.delimited import COUNTED_BYTES, CsvTable, gathered
from tidemill.runtime.profile.files import profile_file
from tidemill.runtime.profile.numerical import NumericalProfile

_random = np.random.default_rng(7)
_DECIMALS = [f"{value:.3f}" for value in _random.normal(size=400)]
_COUNTS = [str(value) for value in _random.integers(0, 9, 400)]


def _changed(entries: list[str], **others: str) -> list[str]:
    """Return the entries with another one in some places, `_3` for the third."""
    return [others.get(f"_{index}", entry) for index, entry in enumerate(entries)]


COLUMNS = {
    "decimals": _DECIMALS,
    "counts": _COUNTS,
    "bits": [str(index % 2) for index in range(400)],
    "counts, then decimals": _changed(_COUNTS, _390="2.5"),
    "decimals, then a text": _changed(_DECIMALS, _390="broken"),
    "counts, then a text": _changed(_COUNTS, _390="broken"),
    "counts, then a word for missing": _changed(_COUNTS, _10="", _390="NA"),
    "missing, then decimals": [""] * 200 + _DECIMALS[:200],
    "nothing": [""] * 400,
    "counts, then a hexadecimal number": _changed(_COUNTS, _390="0x1f"),
    "decimals, then a hexadecimal number": _changed(_DECIMALS, _390="0x1f"),
    "blanks around decimals": [f" {entry} " for entry in _DECIMALS],
    "blanks around one decimal": _changed(_DECIMALS, _390=" 2.5"),
    "blanks around counts": [f" {entry}" for entry in _COUNTS],
    "quoted decimals": [f'"{entry}"' for entry in _DECIMALS],
    "a sign": _changed(_COUNTS, _390="+7"),
    "infinities": _changed(_DECIMALS, _10="inf", _390="-inf"),
    "beyond 2^53": [str(2**60 + int(entry)) for entry in _COUNTS],
    "beyond 2^63": [str(2**70 + int(entry)) for entry in _COUNTS],
    "large decimals": ["1e20", *_DECIMALS[1:]],
    "identifiers": [str(1000 + index) for index in range(400)],
    "truth values, then counts": ["true", "false"] * 150 + ["1", "0"] * 50,
    "counts, then truth values": ["1", "0"] * 150 + ["true", "false"] * 50,
    "constant": ["101325"] * 400,
}


@pytest.mark.parametrize("block", [1 << 9, 1 << 22], ids=["many blocks", "one block"])
@pytest.mark.parametrize("entries", COLUMNS.values(), ids=COLUMNS)
def test_numbers_read_as_such_have_the_profile_of_texts(
    entries: list[str], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.runtime.tables.delimited.BLOCK", block)
    shops = [["a", "b", "c"][index % 3] for index in range(400)]
    rows = "\n".join(f"{entry},{shop}" for entry, shop in zip(entries, shops, strict=True))
    (tmp_path / "t.csv").write_text(f"value,shop\n{rows}\n")
    typed = profile_file(tmp_path / "t.csv").profile.to_json()
    monkeypatch.setattr(CsvTable, "_types_of_numbers", lambda _: {})

    assert profile_file(tmp_path / "t.csv").profile.to_json() == typed


def test_a_blank_after_the_comma_belongs_to_no_number_and_to_no_truth_value(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "id, price, paid, shop\n" + "x, 2.5, true, DE\ny, 3.5, false, DE\nz, NA, NA, FR\n" * 9
    )

    profile = profile_file(tmp_path / "t.csv").profile
    price, paid, shop = profile.column("price"), profile.column("paid"), profile.column("shop")

    assert isinstance(price, NumericalProfile)
    assert (18, 9, 0) == (price.present, price.missing, price.invalid)
    assert isinstance(paid, CategoricalProfile)
    assert ({"true", "false"}, 9) == (set(paid.categories), paid.missing)
    assert isinstance(shop, CategoricalProfile)
    assert {" DE", " FR"} == set(shop.categories)


def test_long_texts_are_counted_before_they_fill_the_memory() -> None:
    block = pa.record_batch({"text": pa.array(["x" * 100_000] * 20)})

    joined = list(gathered(iter([block] * 60), rows=1 << 21))

    assert 60 * 20 == sum(map(len, joined))
    assert COUNTED_BYTES + block.nbytes >= max(batch.nbytes for batch in joined)
    assert len(joined) > 1
