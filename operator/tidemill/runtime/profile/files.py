"""Profiles of files: Parquet and CSV in constant memory, whatever the order of their rows, JSON Lines, or a profile that was made before."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from tidemill.runtime.profile.delimited import CsvTable
from tidemill.runtime.profile.parquet import HeldTable, ParquetTable
from tidemill.runtime.profile.profile import LeftOut, Profile, ProfileError
from tidemill.runtime.tables import json_lines
from tidemill.runtime.tables.delimited import HEAD, TableError

_JSON: Final = re.compile(rb'\s*\{\s*("|\})')
"""The first bytes of a profile; no header of a CSV file with a quoted name begins like this."""
_GZIP: Final = b"\x1f\x8b"


class Unreadable(ValueError):
    """A file is not what it should be; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Profiled:
    """A file's profile, and the columns that the reference lacks."""

    profile: Profile
    unknown: tuple[str, ...] = ()


def profile_file(path: Path, like: Profile | None = None, *, threads: int = 2) -> Profiled:
    """Return the profile of a Parquet, CSV or JSON Lines file, on bins fitted to it or on those of `like`; of a profile, itself.

    Raises Unreadable where the file is none of these, has no rows' worth of columns, or was counted on other bins.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        text = _beginning(path) if head.startswith(_GZIP) else head
        if json_lines.is_json_lines(text, path.name):
            return _of_json_lines(path, text is not head, like, threads)
        if _JSON.match(head):
            return _read_profile(path, like)
        if head[:4] == b"PAR1":
            parquet = ParquetTable(path)
            return _profiled(parquet, parquet.schema.names, like, threads)
        csv = CsvTable(path, head)
        return _profiled(csv, list(csv.names), like, threads)
    except TableError as error:
        raise Unreadable(str(error)) from error
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise Unreadable(f"{path} is damaged gzip ({_first_line(error)}); copy it again") from error
    except OSError as error:
        if error.errno is None:  # Arrow's, of what the file holds
            raise Unreadable(f"{path} cannot be read: {_first_line(error)}") from error
        raise Unreadable(f"{path} cannot be opened: {error.strerror or error}") from error
    except (pa.ArrowException, ProfileError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path} cannot be read: {_first_line(error)}") from error


def _beginning(path: Path) -> bytes:
    with gzip.open(path) as file:
        return file.read(HEAD)


def _of_json_lines(path: Path, packed: bool, like: Profile | None, threads: int) -> Profiled:
    """The profile of a file that is read as a whole, text columns of the reference as text."""
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    texts = [] if like is None else [column.name for column in like.columns if column.type == "Categorical"]
    table = HeldTable(json_lines.read(content, str(path), texts))
    return _profiled(table, table.schema.names, like, threads)


def _read_profile(path: Path, like: Profile | None) -> Profiled:
    profile = Profile.from_json(path.read_bytes())
    if like is None:
        return Profiled(profile)
    theirs = {column.name: column for column in profile.columns}
    for column in like.columns:
        if column.name in theirs and not column.same_bins(theirs[column.name]):
            raise Unreadable(
                f"{path} counts column {column.name!r} on other bins than the reference; count the data on them with "
                f"`tidemill profile DATA --like REFERENCE -o {path.name}`"
            )
    return Profiled(profile, _unknown([*theirs, *(column.name for column in profile.left_out)], like))


def _profiled(table: ParquetTable | CsvTable, names: list[str], like: Profile | None, threads: int) -> Profiled:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ProfileError(f"two columns are called {twice!r}; rename one")
    if like is None:
        return Profiled(table.fitted(threads))
    if not any(column.name in names for column in like.columns):
        raise ProfileError(
            f"it shares no column with the reference, which has {', '.join(c.name for c in like.columns[:5])}"
        )
    absent = tuple(LeftOut(column.name, "is absent") for column in like.columns if column.name not in names)
    counted = table.counted(like, threads)
    return Profiled(Profile(counted.rows, counted.columns, absent), _unknown(names, like))


def _unknown(names: list[str], like: Profile) -> tuple[str, ...]:
    known = {column.name for column in like.columns} | {column.name for column in like.left_out}
    return tuple(dict.fromkeys(name for name in names if name not in known))


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:300]
