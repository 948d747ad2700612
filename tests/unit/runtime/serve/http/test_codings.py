"""Content codings against RFC 9110 and RFC 1952; the plain text is what Python's own gzip and zlib made the body from."""

from __future__ import annotations

import gzip
import zlib

import pytest

from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.serve.http import codings

TEXT = b'{"rows": [{"size": 1.5, "age": 2.5}]}' * 50
MOST = 100_000


TAKEN = {
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "in capitals": (b"GZIP", gzip.compress(TEXT)),
    "by its old name": (b"x-gzip", gzip.compress(TEXT)),
    "with blanks": (b" gzip\t", gzip.compress(TEXT)),
    "two members": (b"gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "an empty member between": (b"gzip", gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(b"")),
    "deflate": (b"Deflate", zlib.compress(TEXT)),
    "identity": (b"identity", TEXT),
    "two codings": (b"deflate, gzip", gzip.compress(zlib.compress(TEXT))),
    "identity among others": (b"identity, gzip", gzip.compress(TEXT)),
    "as long as is taken": (b"gzip", gzip.compress(TEXT)),
}


@pytest.mark.parametrize(("header", "body"), TAKEN.values(), ids=TAKEN)
def test_a_coding_is_taken_off(header: bytes, body: bytes) -> None:
    assert TEXT == codings.decoded(body, header, len(TEXT))


REFUSED = {
    "cut off": (400, b"gzip", gzip.compress(TEXT)[:-8]),
    "cut off by a byte": (400, b"gzip", gzip.compress(TEXT)[:-1]),
    "a second member cut off": (400, b"gzip", gzip.compress(TEXT) + gzip.compress(TEXT)[:-1]),
    "something behind": (400, b"gzip", gzip.compress(TEXT) + b"more"),
    "zeros behind": (400, b"gzip", gzip.compress(TEXT) + bytes(8)),
    "a wrong checksum": (400, b"gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
    "nothing": (400, b"gzip", b""),
    "plain text": (400, b"gzip", TEXT),
    "zlib as gzip": (400, b"gzip", zlib.compress(TEXT)),
    "gzip as deflate": (400, b"deflate", gzip.compress(TEXT)),
    "deflate cut off": (400, b"deflate", zlib.compress(TEXT)[:-1]),
    "something behind deflate": (400, b"deflate", zlib.compress(TEXT) + zlib.compress(TEXT)),
    "another coding": (415, b"br", TEXT),
    "another one among them": (415, b"gzip, br", TEXT),
    "too many": (415, b"gzip, gzip, gzip, gzip", TEXT),
    "too much inside": (413, b"gzip", gzip.compress(bytes(MOST + 1))),
    "a bomb": (413, b"gzip", gzip.compress(bytes(50_000_000))),
    "a bomb in a bomb": (413, b"gzip, gzip", gzip.compress(gzip.compress(bytes(50_000_000)))),
    "too much in members": (413, b"gzip", gzip.compress(bytes(MOST // 2)) * 3),
    "members without end": (400, b"gzip", gzip.compress(b"") * 5_000),
}


@pytest.mark.parametrize(("status", "header", "body"), REFUSED.values(), ids=REFUSED)
def test_a_body_that_is_not_what_its_header_says_is_refused(status: int, header: bytes, body: bytes) -> None:
    with pytest.raises(HTTPError) as refused:
        codings.decoded(body, header, MOST)

    assert status == refused.value.status


def test_a_refused_coding_is_told_what_would_be_taken() -> None:
    with pytest.raises(HTTPError) as refused:
        codings.decoded(b"", b"br", MOST)

    assert ((b"accept-encoding", b"gzip, deflate"),) == refused.value.headers
