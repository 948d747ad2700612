"""A large CSV file in blocks of whole rows, of which several are parsed at a time.

A quoted field may hold line breaks, so a row ends at a line feed with as many quotation marks that open a field as marks that close
one before it. That holds where a mark opens a field only at its beginning; from the first block where one stands elsewhere, and
where lines are longer than a block or end without a line feed, Arrow's own reader goes on, one block after the other.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

_MARK: Final = ord('"')
_FEED: Final = ord("\n")
_HEXADECIMAL: Final = re.compile(rb"0[xX]")
_ROW: Final = re.compile(r"Row #(\d+)")


class HexadecimalError(ValueError):
    """Arrow would read 0x1f as a whole number, and nothing else here does."""


class Block(NamedTuple):
    """Whole rows; `lines` stand before them in the file, and the first `header` lines of the block are no rows."""

    content: bytes
    lines: int
    header: int


class Rest:
    """What is left of a file, for Arrow's own reader: bytes that were read already, and the source behind them."""

    def __init__(self, held: bytes, source: Any, header: int) -> None:
        self.header = header
        self.closed = False
        self._held, self._source = held, source

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes, none at the end."""
        content: bytes
        if not self._held or size < 0:
            content, self._held = self._held + self._source.read(None if size < 0 else size), b""
        else:
            content, self._held = self._held[:size], self._held[size:]
        return content

    def close(self) -> None:
        """The source belongs to who opened it."""
        self.closed = True


class WithoutHexadecimals:
    """A `Rest` that refuses 0x as it is read."""

    def __init__(self, rest: Rest) -> None:
        self.closed = False
        self._rest, self._last = rest, b""

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes; raises HexadecimalError."""
        content = self._rest.read(size)
        refuse_hexadecimals(self._last + content)
        self._last = content[-1:]
        return content

    def close(self) -> None:
        """The rest belongs to who made it."""
        self.closed = True


def cut(source: Any, size: int, header: int, delimiter: str = ",") -> Iterator[Block | Rest]:
    """Yield the file in blocks of about `size` bytes that end with a row; a `Rest` is the last of them where rows cannot be told.

    >>> import io
    >>> [block.content for block in cut(io.BytesIO(b"a\\n1\\n2\\n3"), 5, 1)]
    [b'a\\n1\\n', b'2\\n', b'3']
    >>> [block.content for block in cut(io.BytesIO(b'a\\n1\\n"x\\ny"\\n'), 9, 1)]
    [b'a\\n1\\n', b'"x\\ny"\\n']
    >>> [type(block).__name__ for block in cut(io.BytesIO(b'a\\n1\\n5" x\\n'), 4, 1)]
    ['Block', 'Rest']
    """
    held, lines = b"", 0
    while block := source.read(size):
        text = _guarded(held + block if held else block, lines)
        end = _end_of_rows(text, header, delimiter)
        if not end:
            yield Rest(text, source, header)
            return
        yield Block(text[:end], lines, header)
        lines += text.count(b"\n", 0, end)
        held, header = text[end:], 0
    if held:
        held = _guarded(held, lines)
        # With a line feed behind them, all rows end.
        if _end_of_rows(held + b"\n", header, delimiter) > len(held):
            yield Block(held, lines, header)
        else:
            yield Rest(held, source, header)


def _guarded(text: bytes, lines: int) -> bytes:
    """Return text of a later block with an empty line before a byte order mark, which Arrow would take from the start of a block."""
    return b"\n" + text if lines and text.startswith(BOM_UTF8) else text


def _end_of_rows(text: bytes, header: int, delimiter: str) -> int:
    """Return where the last whole row of a text ends that begins with a row; 0 where none does or that cannot be told."""
    start = 0
    for _ in range(header):
        start = text.find(b"\n", start) + 1
        if not start:
            return 0
    returns = text.count(b"\r")
    # The last byte may be the first half of a line's end.
    if returns and returns - text.endswith(b"\r") != text.count(b"\r\n"):
        return 0
    codes = np.frombuffer(text, np.uint8)
    marks = np.flatnonzero(codes[start:] == _MARK) + start
    if not len(marks):
        return text.rfind(b"\n") + 1
    opening = marks[::2]
    before = codes[opening - 1]
    at_start = (before == ord(delimiter)) | (before == _FEED) | (opening == start)
    doubled = np.zeros(len(opening), bool)
    doubled[1:] = opening[1:] - 1 == marks[1 : 2 * len(opening) - 1 : 2]
    if not np.all(at_start | doubled):
        return 0
    # Rows end only outside of fields: behind the last mark that closes one, or between it and the mark that opened the next.
    stop = len(text)
    if len(marks) % 2:
        marks, stop = marks[:-1], int(marks[-1])
    while len(marks):
        end = text.rfind(b"\n", int(marks[-1]) + 1, stop) + 1
        if end:
            return end
        marks, stop = marks[:-2], int(marks[-2])
    return text.rfind(b"\n", 0, stop) + 1


def parsed(
    pieces: Iterator[Block | Rest], parse: Callable[[Block | Rest], Iterator[pa.RecordBatch]], threads: int
) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of all pieces in their order, with `threads` of them parsed while others are looked at."""
    if threads < 2:
        for piece in pieces:
            yield from parse(piece)
        return
    waiting: deque[Future[list[pa.RecordBatch]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for piece in pieces:
                if isinstance(piece, Rest):
                    while waiting:
                        yield from waiting.popleft().result()
                    yield from parse(piece)
                    return
                waiting.append(pool.submit(lambda block: list(parse(block)), piece))
                if len(waiting) > threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def refuse_hexadecimals(block: bytes) -> None:
    """Raise HexadecimalError where 0x stands in the block."""
    if (b"x" in block or b"X" in block) and _HEXADECIMAL.search(block):
        raise HexadecimalError("a number may be hexadecimal")


def with_line(error: pa.ArrowInvalid, block: Block) -> pa.ArrowInvalid:
    """Return Arrow's complaint with the number of the line in the file, in place of that in the block."""
    return pa.ArrowInvalid(_ROW.sub(lambda row: f"Row #{int(row[1]) + block.lines}", str(error)))
