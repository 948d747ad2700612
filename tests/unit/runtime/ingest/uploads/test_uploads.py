"""The pod of an upload: parts that arrive in any order, and a file that appears whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidemill.contract import uploads as contract
from tidemill.contract.uploads import UploadOrder
from tidemill.runtime.ingest.uploads import parts as module
from tidemill.runtime.ingest.uploads.parts import PartStore, Rejected
from tidemill.runtime.ingest.uploads.server import UploadServer
from tidemill.runtime.store.objects import ObjectStore

TOKEN = "a-secret"
CONTENT = b"a,target\n" + b"1,x\n" * 10
PART = 16


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "PART_BYTES", PART)


def ordered(content: bytes = CONTENT, **changes: Any) -> UploadOrder:
    return UploadOrder(
        namespace="team",
        file="rows.csv",
        size=len(content),
        digest=sha256(content),
        token_digest=sha256(TOKEN.encode()),
        **changes,
    )


def pieces(content: bytes = CONTENT) -> list[bytes]:
    return [content[start : start + PART] for start in range(0, len(content), PART)]


def keys(store: ObjectStore) -> list[str]:
    return [entry.key for entry in store.list("team")]


def test_a_file_appears_when_all_its_parts_have_arrived(store: ObjectStore) -> None:
    order, own = ordered(), PartStore(ordered(), store)
    for number, piece in reversed(list(enumerate(pieces()))):
        own.put(number, piece, sha256(piece))
        assert number == own.progress().parts[0].number
        assert not own.progress().complete

    own.finish()

    assert own.progress().complete
    assert [f"team/uploads/{order.digest[7:]}/rows.csv"] == keys(store)
    assert CONTENT == store.get(f"team/{order.path}")
    own.finish()


def test_another_pod_goes_on_with_the_parts_that_are_there(store: ObjectStore) -> None:
    first, *others = pieces()
    PartStore(ordered(), store).put(0, first, sha256(first))

    second = PartStore(ordered(), store)
    assert [(0, sha256(first))] == [(part.number, part.digest) for part in second.progress().parts]
    for number, piece in enumerate(others, 1):
        second.put(number, piece, sha256(piece))
    second.finish()

    assert CONTENT == store.get(f"team/{ordered().path}")


def test_an_absent_part_keeps_the_file_from_appearing(store: ObjectStore) -> None:
    own = PartStore(ordered(), store)
    for number, piece in list(enumerate(pieces()))[1:]:
        own.put(number, piece, sha256(piece))

    with pytest.raises(Rejected, match="3 of 4 parts have arrived" if len(pieces()) == 4 else "parts have arrived"):
        own.finish()
    assert not own.progress().complete


def test_another_file_than_was_announced_does_not_appear(store: ObjectStore) -> None:
    own = PartStore(ordered(), store)
    for number, piece in enumerate(pieces(CONTENT.replace(b"x", b"y"))):
        own.put(number, piece, sha256(piece))

    with pytest.raises(Rejected, match=f"not {ordered().digest}"):
        own.finish()
    assert store.head(f"team/{ordered().path}") is None


WRONG_PARTS = {
    "another digest": (0, pieces()[0], sha256(b"other"), "part 0 arrived with digest"),
    "too short": (0, b"a", sha256(b"a"), "part 0 has 1 bytes, not 16"),
    "too many": (len(pieces()), b"a", sha256(b"a"), "and no part"),
    "a negative number": (-1, pieces()[0], sha256(pieces()[0]), "and no part -1"),
}


@pytest.mark.parametrize("case", WRONG_PARTS)
def test_a_wrong_part_is_not_kept(case: str, store: ObjectStore) -> None:
    number, content, digest, message = WRONG_PARTS[case]

    with pytest.raises(Rejected, match=message):
        PartStore(ordered(), store).put(number, content, digest)
    assert [] == keys(store)


def test_the_newest_part_counts_where_the_file_had_changed(store: ObjectStore) -> None:
    own, (first, *others) = PartStore(ordered(), store), pieces()
    old = bytes(reversed(first))
    own.put(0, old, sha256(old))
    own.put(0, first, sha256(first))
    # Two writes in one second have one time in S3.
    if own.progress().parts[0].digest != sha256(first):
        store.delete(f"team/uploads/.parts/{ordered().digest[7:]}/000000-{sha256(old)[7:]}")
    for number, piece in enumerate(others, 1):
        own.put(number, piece, sha256(piece))

    own.finish()

    assert CONTENT == store.get(f"team/{ordered().path}")


def test_parts_of_abandoned_uploads_are_deleted(store: ObjectStore) -> None:
    other = ordered(b"another file of more than a part")
    PartStore(other, store).put(0, b"another file of ", sha256(b"another file of "))
    own, now = PartStore(ordered(), store), datetime.now(UTC)
    own.put(0, pieces()[0], sha256(pieces()[0]))

    own.delete_abandoned(now + module.ABANDONED - timedelta(minutes=1))
    assert 2 == len(keys(store))
    own.delete_abandoned(now + module.ABANDONED + timedelta(minutes=1))
    assert 1 == len(keys(store))
    assert 1 == len(own.progress().parts)


@pytest.fixture
def server(store: ObjectStore) -> Iterator[UploadServer]:
    with UploadServer(ordered(), PartStore(ordered(), store), 0) as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.02,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def asked(server: UploadServer, method: str, path: str, content: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, path, content, {"authorization": f"Bearer {TOKEN}", **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_server_takes_parts_and_finishes(server: UploadServer, store: ObjectStore) -> None:
    assert (200, {"parts": [], "complete": False}) == asked(server, "GET", "/parts")
    for number, piece in enumerate(pieces()):
        assert 200 == asked(server, "PUT", f"/parts/{number}", piece, **{"x-tidemill-digest": sha256(piece)})[0]
    assert (200, {"uri": ordered().uri}) == asked(server, "POST", "/finish")

    assert CONTENT == store.get(f"team/{ordered().path}")
    assert (200, {"parts": [], "complete": True}) == asked(server, "GET", "/parts")


WRONG_REQUESTS: dict[str, tuple[str, str, bytes, dict[str, str], int]] = {
    "no token": ("GET", "/parts", b"", {"authorization": ""}, 401),
    "another token": ("GET", "/parts", b"", {"authorization": "Bearer x"}, 401),
    "another scheme": ("POST", "/finish", b"", {"authorization": f"Basic {TOKEN}"}, 401),
    "another path": ("GET", "/etc/passwd", b"", {}, 404),
    "a part without a number": ("PUT", "/parts/../../x", b"a", {}, 404),
    "a part without a digest": ("PUT", "/parts/0", CONTENT[:PART], {}, 422),
    "a part that is too large": ("PUT", "/parts/0", b"a", {"content-length": str(1 << 40)}, 413),
    "an unfinished file": ("POST", "/finish", b"", {}, 422),
}


@pytest.mark.parametrize("case", WRONG_REQUESTS)
def test_a_wrong_request_changes_nothing(case: str, server: UploadServer, store: ObjectStore) -> None:
    method, path, content, headers, status = WRONG_REQUESTS[case]

    assert status == asked(server, method, path, content, **headers)[0]
    assert [] == keys(store)


def test_the_server_listens_on_the_loopback_address_alone(server: UploadServer) -> None:
    assert "127.0.0.1" == server.server_address[0]


def test_the_server_is_idle_only_when_nothing_is_under_way(server: UploadServer) -> None:
    assert not server.is_idle(60)
    assert server.is_idle(-1)
    server.running = 1
    assert not server.is_idle(-1)
