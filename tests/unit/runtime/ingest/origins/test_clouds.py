"""Buckets of other clouds. The servers here are stand-ins on this machine that speak the protocol of Google's and Azure's as far as
obstore's own client needs it, and check what it signs; S3 is the real gateway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from support import gateway
from tidemill.api.dataset import Source
from tidemill.runtime.failures import RunFailed, SourceUnreachable, StoreCredentialsMissing
from tidemill.runtime.ingest import sources
from tidemill.runtime.ingest.origins import clouds
from tidemill.runtime.store.objects import ObjectStore

FILES = {"tx/day=1/a.csv": b"a\n1\n", "tx/day=2/b.csv": b"a\n2\n", "other.csv": b"a\n9\n"}
ACCOUNT_KEY = base64.b64encode(b"an account key of sixteen bytes or more").decode()
MODIFIED = "Mon, 05 Jan 2026 09:00:00 GMT"


@dataclass
class Cloud:
    """A stand-in for a cloud, and what it was asked."""

    kind: str
    url: str = ""
    refuse: int = 0
    """The status that every request is answered with, if not 0."""
    authorizations: list[str] = field(default_factory=list)
    wrong_signatures: list[str] = field(default_factory=list)


def azure_signature(handler: BaseHTTPRequestHandler) -> str:
    """Return what a request must have as its authorization header by Azure's rules for shared keys."""
    parts = urlsplit(handler.path)
    headers = {name.lower(): value for name, value in handler.headers.items()}
    names = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
             "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")  # fmt: skip
    lines = [handler.command, *("" if headers.get(name) == "0" else headers.get(name, "") for name in names)]
    lines += [f"{name}:{value.strip()}" for name, value in sorted(headers.items()) if name.startswith("x-ms-")]
    lines.append(f"/lake-account{parts.path}")
    lines += [f"{name}:{value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))]
    digest = hmac.new(base64.b64decode(ACCOUNT_KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return f"SharedKey lake-account:{base64.b64encode(digest).decode()}"


def listing(kind: str, prefix: str) -> bytes:
    items = [(key, content) for key, content in sorted(FILES.items()) if key.startswith(prefix)]
    if kind == "gs":
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-05T09:00:00.000Z</LastModified>"
            f'<ETag>"{hashlib.md5(content).hexdigest()}"</ETag><Size>{len(content)}</Size></Contents>'
            for key, content in items
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()
    entries = "".join(
        f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{MODIFIED}</Last-Modified>"
        f"<Content-Length>{len(content)}</Content-Length><Content-Type>text/csv</Content-Type>"
        f"<Etag>{hashlib.md5(content).hexdigest()}</Etag></Properties></Blob>"
        for key, content in items
    )
    return f"<EnumerationResults><Blobs>{entries}</Blobs><NextMarker/></EnumerationResults>".encode()


@pytest.fixture(params=["gs", "az"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    known = Cloud(request.param)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            authorization = self.headers.get("authorization", "")
            known.authorizations.append(authorization)
            if authorization.startswith("SharedKey") and authorization != azure_signature(self):
                known.wrong_signatures.append(self.path)
            parts = urlsplit(self.path)
            bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
            query = dict(parse_qsl(parts.query))
            if known.refuse or bucket != "lake":
                self.say(known.refuse or 404, b"<Error><Code>NoSuchBucket</Code></Error>")
            elif not key:
                self.say(200, listing(known.kind, query.get("prefix", "")))
            elif key in FILES:
                self.say(200, FILES[key])
            else:
                self.say(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def do_HEAD(self) -> None:
            self.do_GET()

        def say(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.send_header("last-modified", MODIFIED)
            self.send_header("etag", f'"{hashlib.md5(content).hexdigest()}"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield known
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def private_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return path


def secret(cloud: Cloud, private_key: Path, folder: Path, **changes: str) -> Path:
    entries = {"endpoint": cloud.url}
    if cloud.kind == "gs":
        account = {
            "type": "service_account",
            "client_email": "ann@project.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": private_key.read_text(),
        }
        entries["service-account-key"] = json.dumps(account)
    else:
        entries |= {"account": "lake-account", "access-key": ACCOUNT_KEY}
    folder.mkdir()
    for name, text in {**entries, **changes}.items():
        if text:
            (folder / name).write_text(text)
    return folder


def read(uri: str, credentials: Path | None, folder: Path) -> sources.Read:
    source = Source(uri=uri)
    access = sources.Access(ObjectStore.open(f"file://{folder}/home"), "team", folder, credentials)
    return sources.read(source, "Auto", (), sources.locate(source, access))


def test_files_are_listed_and_read_with_keys(cloud: Cloud, private_key: Path, tmp_path: Path) -> None:
    folder = secret(cloud, private_key, tmp_path / "secret")

    result = read(f"{cloud.kind}://lake/tx/", folder, tmp_path)

    assert {"a": [1, 2], "day": [1, 2]} == result.table.to_pydict()
    assert result.revision.endswith("of 2 files")
    assert {"a": [9]} == read(f"{cloud.kind}://lake/other.csv", folder, tmp_path).table.to_pydict()
    assert [] == cloud.wrong_signatures
    if cloud.kind == "az":
        assert all(authorization.startswith("SharedKey lake-account:") for authorization in cloud.authorizations)
    else:
        check_token(cloud.authorizations[-1], private_key, tmp_path)


def check_token(authorization: str, private_key: Path, folder: Path) -> None:
    """Check a token that the service account signed itself, as Google does."""
    head, claims, signature = authorization.removeprefix("Bearer ").split(".")
    (folder / "signed").write_text(f"{head}.{claims}")
    (folder / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
    public = subprocess.run(["openssl", "rsa", "-in", private_key, "-pubout"], check=True, capture_output=True).stdout
    (folder / "public.pem").write_bytes(public)
    command = ["openssl", "dgst", "-sha256", "-verify", folder / "public.pem", "-signature", folder / "signature"]
    subprocess.run([*command, folder / "signed"], check=True, capture_output=True)
    assert "ann@project.iam.gserviceaccount.com" == json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"]


def test_what_is_public_is_read_without_a_signature(cloud: Cloud, private_key: Path, tmp_path: Path) -> None:
    anonymous = {"identity": "anonymous", "service-account-key": "", "access-key": ""}
    folder = secret(cloud, private_key, tmp_path / "secret", **anonymous)

    assert {"a": [9]} == read(f"{cloud.kind}://lake/other.csv", folder, tmp_path).table.to_pydict()
    assert {""} == set(cloud.authorizations)


def test_a_shared_access_signature_is_enough_for_azure(cloud: Cloud, private_key: Path, tmp_path: Path) -> None:
    if cloud.kind != "az":
        pytest.skip("only Azure has them")
    folder = secret(cloud, private_key, tmp_path / "secret", **{"access-key": "", "sas-token": "sv=2024&sig=abc"})

    assert {"a": [9]} == read("az://lake/other.csv", folder, tmp_path).table.to_pydict()
    assert {""} == set(cloud.authorizations)


def test_revoked_credentials_and_an_absent_bucket_are_told(cloud: Cloud, private_key: Path, tmp_path: Path) -> None:
    folder = secret(cloud, private_key, tmp_path / "secret")

    with pytest.raises(RunFailed, match="there is no such bucket"):
        read(f"{cloud.kind}://elsewhere/tx/", folder, tmp_path)
    cloud.refuse = 403
    with pytest.raises(SourceUnreachable, match="denies access") as refused:
        read(f"{cloud.kind}://lake/other.csv", folder, tmp_path)
    assert refused.value.retryable


def test_an_unusable_secret_is_told(tmp_path: Path) -> None:
    for scheme in clouds.SCHEMES:
        with pytest.raises(StoreCredentialsMissing, match=r"the Secret that spec\.credentials names does not exist or"):
            clouds.opened(scheme, "lake", {})
    with pytest.raises(SourceUnreachable, match="set it to workload or anonymous"):
        clouds.opened("gs", "lake", {"identity": "root"})
    with pytest.raises(StoreCredentialsMissing, match="has no key 'account'"):
        clouds.opened("az", "lake", {"identity": "workload"})
    for text in ("{", json.dumps({"type": "external_account", "credential_source": {"file": "/etc/passwd"}})):
        with pytest.raises(SourceUnreachable, match="correct its keys"):
            clouds.opened("gs", "lake", {"service-account-key": text})


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_the_identity_of_the_pod_is_not_used_unless_a_secret_says_so(scheme: str, tmp_path: Path) -> None:
    with pytest.raises(StoreCredentialsMissing, match="or with identity: workload"):
        read(f"{scheme}://lake/other.csv", None, tmp_path)


def test_the_identity_of_a_pod_reads_s3(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the keys are in the environment, as a cloud's webhook puts a role or a token there."""
    gateway.open_store(endpoint).put("public/a.csv", b"a\n5\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "identity").write_text("workload")
    (tmp_path / "secret" / "endpoint").write_text(endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", gateway.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", gateway.SECRET)

    result = read(f"s3://{gateway.BUCKET}/public/*.csv", tmp_path / "secret", tmp_path)

    assert {"a": [5]} == result.table.to_pydict()
