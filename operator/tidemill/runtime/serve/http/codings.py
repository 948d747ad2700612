"""Content codings of requests, taken off within a bound (RFC 9110, section 8.4.1; RFC 1950, RFC 1952)."""

from __future__ import annotations

import zlib
from typing import Final

from tidemill.runtime.protocol.errors import HTTPError, bad, shown

GZIP: Final = 31
"""zlib's window bits for a gzip header and trailer."""
ZLIB: Final = 15
"""The same for zlib's own, which HTTP calls deflate."""
WINDOW_BITS: Final = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": ZLIB}
MAX_CODINGS: Final = 3
MAX_MEMBERS: Final = 1_000
"""Members in one gzip body; block compressors write one for each 64 KB."""
PIECE: Final = 64 * 1024
"""Bytes that are given to zlib at a time, which copies what it does not use."""


def decoded(body: bytes, codings: bytes, max_bytes: int) -> bytes:
    """Return `body` without the codings of a `content-encoding` header; raise HTTPError with 400, 413 or 415.

    >>> import gzip
    >>> decoded(gzip.compress(b"a") + gzip.compress(b"b"), b"X-GZip ", 10)
    b'ab'
    """
    names = [name for part in codings.split(b",") if (name := part.strip().lower()) not in (b"", b"identity")]
    if len(names) > MAX_CODINGS or not WINDOW_BITS.keys() >= set(names):
        raise HTTPError(
            415,
            f"content-encoding: must be gzip or deflate, not {shown(codings.decode('latin-1'))}",
            ((b"accept-encoding", b"gzip, deflate"),),
        )
    for name in reversed(names):
        body = _decompressed(body, name.decode(), WINDOW_BITS[name], max_bytes)
    return body


def _decompressed(body: bytes, name: str, window_bits: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = position = members = 0
    view = memoryview(body)
    stream = zlib.decompressobj(window_bits)
    while not stream.eof:
        if position >= len(body):
            raise bad(f"body: ends before its {name} does; send all of it")
        piece = view[position : position + PIECE]
        try:
            plain = stream.decompress(piece, max_bytes + 1 - size)
        except zlib.error as error:
            raise bad(f"body: is not {name}: {error}") from None
        size += len(plain)
        if size > max_bytes or stream.unconsumed_tail:
            raise too_long(max_bytes)
        parts.append(plain)
        position += len(piece) - len(stream.unused_data)
        if stream.eof and position < len(body):
            members += 1
            if window_bits != GZIP or members >= MAX_MEMBERS:
                raise bad(f"body: has {len(body) - position} bytes behind the end of its {name}; leave them out")
            stream = zlib.decompressobj(window_bits)
    return b"".join(parts)


def too_long(max_bytes: int) -> HTTPError:
    """Return the refusal of a body that is too long, compressed or not."""
    return HTTPError(413, f"body: is longer than {max_bytes} bytes; send fewer rows at once")
