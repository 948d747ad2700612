"""JSON Lines: one object per line, read all at once."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from pathlib import PurePath
from typing import Any, Final

import pyarrow as pa

from tidemill.runtime.tables.delimited import HEAD, TableError, decoded

ENDINGS: Final = (".jsonl", ".ndjson")
_MAX_BYTES: Final = (1 << 31) - 1
_TWO_OBJECTS: Final = re.compile(rb"\s*\{[^\n]*\}\s*\n\s*\{")


def is_json_lines(head: bytes, name: str) -> bool:
    """Return whether the file that begins with `head` is meant as JSON Lines: by its ending, or by an object in each of its first two lines.

    >>> is_json_lines(b'{"a": 1}\\n{"a": 2}', "t"), is_json_lines(b'{"a": 1}', "t"), is_json_lines(b'{"a": 1}', "t.jsonl.gz")
    (True, False, True)
    """
    return (
        PurePath(name.lower().removesuffix(".gz")).suffix in ENDINGS
        or _TWO_OBJECTS.match(head.removeprefix(codecs.BOM_UTF8)) is not None
    )


def read(content: bytes, name: str, texts: Collection[str] = ()) -> pa.Table:
    """Return the rows; raise TableError that says what to do. Texts that look like times become times, but for columns `texts`."""
    from pyarrow import json

    head = decoded(content[:HEAD], name, whole=len(content) <= HEAD, format="JSON lines")
    if head.lstrip()[:1] == "[":
        raise TableError(f"{name} is one JSON list; write one object per line instead")
    if head.lstrip()[:1] != "{":
        raise TableError(f"{name} does not begin with a JSON object ({head.strip()[:40]!r}); write one object per line")
    if len(content) > _MAX_BYTES:
        raise TableError(f"{name} has more than 2 GiB of JSON lines; convert it to Parquet")

    def parsed(schema: Any = None) -> pa.Table:
        return json.read_json(
            pa.BufferReader(content),
            read_options=json.ReadOptions(block_size=min(len(content) + 1, _MAX_BYTES)),
            parse_options=json.ParseOptions(explicit_schema=schema),
        )

    try:
        table = parsed()
        times = [field.name for field in table.schema if field.name in texts and pa.types.is_temporal(field.type)]
        return parsed(pa.schema([(column, pa.string()) for column in times])) if times else table
    except pa.ArrowInvalid as error:
        reason = str(error).split("\n")[0][:300]
        raise TableError(f"{name} is not readable as JSON lines: {reason}; correct that line") from error
