"""Files on a real HTTPS server on this machine, with a certificate of a test CA."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster.authority import Authority
from tidemill.runtime.failures import AddressRefused, RunFailed, SourceNotFound, SourceUnreachable, SourceUnreadable
from tidemill.runtime.ingest.origins import https
from tidemill.runtime.ingest.origins.https import WebAccess, WebFile

CONTENT = b"a,target\n1,x\n"
HOST = "data.test"


@dataclass
class WebServer:
    """A server whose answer a test writes, and what it was asked."""

    port: int = 0
    authority: str = ""
    """The certificate of its CA."""
    answer: Callable[[Any], None] = lambda handler: send(handler, 200, CONTENT)
    requests: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str = "/raw/rows.csv?part=1") -> str:
        return f"https://{HOST}:{self.port}{path}"


def send(handler: Any, status: int, content: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content-length": str(len(content)), **headers}.items():
        if value:
            handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.create()
    return made


@pytest.fixture
def server(authority: Authority) -> Iterator[WebServer]:
    known = WebServer(authority=authority.certificate.read_text())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known.requests.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            self.close_connection = True
            known.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    issued = authority.issue(HOST, hosts=[HOST])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as started:
        started.handle_error = lambda *_: None  # type: ignore[method-assign]
        started.socket = context.wrap_socket(started.socket, server_side=True)
        known.port = started.server_port
        thread = threading.Thread(target=started.serve_forever, args=(0.02,))
        thread.start()
        yield known
        started.shutdown()
        thread.join()


def access(server: WebServer, folder: Path, **changes: Any) -> WebAccess:
    secret = {"ca.crt": server.authority, **changes.pop("secret", {})}
    secret = {key: text for key, text in secret.items() if text}
    return replace(WebAccess(folder, True, secret, resolver=lambda *_: ["127.0.0.1"]), **changes)


def fetched(server: WebServer, folder: Path, **changes: Any) -> tuple[str, str, bytes]:
    file = WebFile(server.url(), access(server, folder, **changes))
    [listed] = file.files()
    return listed.name, listed.tag, file.content(listed)


def test_a_file_is_read_with_its_etag(server: WebServer, tmp_path: Path) -> None:
    server.answer = lambda handler: send(handler, 200, CONTENT, etag='"v1"')

    assert ("rows.csv", '"v1"', CONTENT) == fetched(server, tmp_path)
    [request] = server.requests
    assert ("/raw/rows.csv?part=1", f"{HOST}:{server.port}") == (request["path"], request["host"])
    assert "authorization" not in request
    assert "if-none-match" not in request


def test_a_file_without_etag_is_known_by_its_digest(server: WebServer, tmp_path: Path) -> None:
    assert fetched(server, tmp_path)[1] == fetched(server, tmp_path)[1]
    server.answer = lambda handler: send(handler, 200, b"a\n1\n")
    assert fetched(server, tmp_path)[1].startswith("sha256:")


def test_an_unchanged_file_is_not_sent_again(server: WebServer, tmp_path: Path) -> None:
    server.answer = lambda handler: send(handler, 304 if handler.headers["if-none-match"] == '"v1"' else 200)

    [file] = WebFile(server.url(), access(server, tmp_path, known='"v1"')).files()

    assert '"v1"' == file.tag
    assert not list(tmp_path.iterdir())


def test_chunks_are_read_to_their_end(server: WebServer, tmp_path: Path) -> None:
    def answer(handler: Any) -> None:
        send(handler, 200, content_length="", transfer_encoding="chunked", **{"content-length": ""})
        for byte in CONTENT:
            handler.wfile.write(b"1\r\n" + bytes([byte]) + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    server.answer = answer

    assert CONTENT == fetched(server, tmp_path)[2]


def cut(handler: Any) -> None:
    send(handler, 200, CONTENT, **{"content-length": "1000"})


def endless(handler: Any) -> None:
    send(handler, 200, **{"content-length": "", "transfer-encoding": "chunked"})
    while True:
        handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def drip(handler: Any) -> None:
    send(handler, 200, **{"content-length": "100000"})
    while True:
        handler.wfile.write(b"x")
        threading.Event().wait(0.02)


WRONG: dict[str, tuple[Callable[[Any], None], type[RunFailed], str]] = {
    "a redirect": (
        lambda handler: send(handler, 302, location="https://169.254.169.254/latest?token=secret"),
        SourceUnreachable,
        r"redirects \(302\) to 'https://169.254.169.254/latest', and redirects are not followed",
    ),
    "no such file": (lambda handler: send(handler, 404), SourceNotFound, r"has no such file \(404\)"),
    "a refusal": (lambda handler: send(handler, 403), SourceUnreachable, r"denies access \(403\); correct the Secret"),
    "a fault": (lambda handler: send(handler, 503), SourceUnreachable, "answers 503"),
    "part of a file": (lambda handler: send(handler, 206, CONTENT), SourceUnreachable, "answers 206"),
    "304 to a first request": (lambda handler: send(handler, 304), SourceUnreachable, r"redirects|answers 304"),
    "fewer bytes than announced": (cut, SourceUnreachable, "IncompleteRead"),
    "no length": (lambda handler: send(handler, 200, CONTENT, **{"content-length": ""}), SourceUnreadable, "does not say how long"),
    "a compressed answer": (lambda handler: send(handler, 200, CONTENT, content_encoding="gzip"), SourceUnreadable, "content-encoding 'gzip'"),
    "a length beyond the bound": (lambda handler: send(handler, 200, **{"content-length": "5000000"}), SourceUnreadable, "more than 1 MiB"),
    "a body beyond the bound": (endless, SourceUnreadable, "more than 1 MiB"),
    "a drip": (drip, SourceUnreachable, r"within 0.3 seconds; copy it to a bucket"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_told(case: str, server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "MAX_BYTES", 1 << 20)
    if case == "a drip":
        monkeypatch.setattr(https, "MAX_SECONDS", 0.3)
    server.answer, kind, message = WRONG[case]

    with pytest.raises(kind, match=message):
        fetched(server, tmp_path)
    assert 1 == len(server.requests)


def test_a_certificate_of_another_authority_is_refused(server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match=r"is not trusted .*ca\.crt"):
        WebFile(server.url(), replace(access(server, tmp_path), secret=None)).files()
    with pytest.raises(SourceUnreachable, match=r"ca\.crt .* is not a certificate"):
        fetched(server, tmp_path, secret={"ca.crt": "no certificate"})


def test_a_certificate_of_another_name_is_refused(server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match="is not trusted"):
        WebFile(server.url().replace(HOST, "other.test"), access(server, tmp_path)).files()


def test_credentials_go_to_the_hosts_that_their_secret_names(server: WebServer, tmp_path: Path) -> None:
    fetched(server, tmp_path, secret={"token": "t0", "hosts": f"mirror.test, {HOST}"})
    fetched(server, tmp_path, secret={"username": "ann", "password": "p:w", "hosts": HOST})

    encoded = base64.b64encode(b"ann:p:w").decode()
    assert ["Bearer t0", f"Basic {encoded}"] == [request["authorization"] for request in server.requests]


@pytest.mark.parametrize("hosts", ["", "mirror.test", f"sub.{HOST}", "*"])
def test_credentials_go_to_no_other_host(hosts: str, server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(AddressRefused, match=f"does not allow its use for '{HOST}'"):
        fetched(server, tmp_path, secret={"token": "t0", "hosts": hosts})
    assert [] == server.requests


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "::1",
    "::ffff:10.0.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "100.64.0.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_a_private_address_is_not_called(address: str, server: WebServer, tmp_path: Path) -> None:
    judged = access(server, tmp_path, allow_private=False, resolver=lambda *_: ["93.184.216.34", address])

    with pytest.raises(AddressRefused, match=r"the installation must allow that: sources\.allowPrivateAddresses"):
        WebFile(server.url(), judged).files()
    assert [] == server.requests


def test_the_address_that_was_judged_is_the_one_that_is_called(server: WebServer, tmp_path: Path) -> None:
    """A name that changes its address between the judgement and the call is asked only once."""
    asked: list[str] = []

    def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    fetched_file = WebFile(server.url(), access(server, tmp_path, resolver=rebinding))
    assert fetched_file.files()
    assert [HOST] == asked


@pytest.mark.parametrize(
    "uri",
    ["https://ann:pw@data.test/a", "https://2130706433/a", "https://0x7f.1/a", "https:///a", "http://data.test/a"],
)
def test_an_odd_address_is_refused(uri: str, server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(AddressRefused):
        WebFile(uri, access(server, tmp_path)).files()


def test_nothing_that_listens_is_told(server: WebServer, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"https://{HOST}:{free.getsockname()[1]}/a.csv"
        with pytest.raises(SourceUnreachable, match="cannot be read: ConnectionRefusedError"):
            WebFile(uri, access(server, tmp_path)).files()
