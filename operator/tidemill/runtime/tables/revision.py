"""The files of a Dataset's revision: `data-00000.parquet` and so on with its rows, `schema.json`, and `profile.json` next to them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PROFILE: Final = "profile.json"


def row_file(number: int) -> str:
    """Return the name of a file of rows, counted from 0.

    >>> row_file(12)
    'data-00012.parquet'
    """
    return f"data-{number:05d}.parquet"


def row_files(folder: Path) -> list[Path]:
    """Return the files of rows in the folder of a revision, in order."""
    return sorted(folder.glob("data-*.parquet"))
