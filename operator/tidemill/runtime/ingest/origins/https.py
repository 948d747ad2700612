"""A file on a web server, fetched once: from the address that was judged, without redirects, within bounds of size and time."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urlsplit

from tidemill.runtime.failures import (
    AddressRefused,
    ReceiverUnreachable,
    RunFailed,
    SourceNotFound,
    SourceUnreachable,
    SourceUnreadable,
    StoreCredentialsMissing,
)
from tidemill.runtime.ingest.origins.origin import SourceFile
from tidemill.runtime.notify.addresses import Destination, Resolve, destination, resolve
from tidemill.runtime.notify.connecting import connected

MAX_BYTES: Final = 1 << 30
MAX_SECONDS: Final = 900.0
"""How long a download may take."""
SILENCE_SECONDS: Final = 30.0
"""How long the server may keep silent."""
SETTING: Final = "sources.allowPrivateAddresses"
"""The value of the chart that allows private addresses."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class WebAccess:
    """How a URL is called."""

    scratch: Path
    """A folder for the file."""
    allow_private: bool = False
    secret: Mapping[str, str] | None = None
    """The Secret that spec.credentials names: hosts, with token or username and password; ca.crt."""
    known: str = ""
    """The tag of the file that was read last; it is not sent again while the server says that it is unchanged."""
    resolver: Resolve = resolve


@dataclass(frozen=True, slots=True)
class WebFile:
    """The file at a URL."""

    uri: str
    access: WebAccess

    def files(self) -> list[SourceFile]:
        """Download the file, unless it is unchanged."""
        where = self._destination()
        headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "tidemill", **self._login(where.host)}
        if self.access.known:
            headers["if-none-match"] = self.access.known
        deadline = _Deadline(MAX_SECONDS)
        try:
            with connected(where, SILENCE_SECONDS, self._trusted()) as connection, deadline.over(connection):
                connection.putrequest("GET", where.target, skip_host=True, skip_accept_encoding=True)
                connection.putheader("host", where.authority)
                for name, value in headers.items():
                    connection.putheader(name, value)
                connection.endheaders()
                response = connection.getresponse()
                tag = self._received(response, where)
            if deadline.has_passed:
                raise TimeoutError
        except ssl.SSLCertVerificationError as error:
            raise SourceUnreachable(
                f"the certificate of {where.host!r} is not trusted ({error.verify_message}); correct it, or put the CA's certificate into the "
                "Secret of spec.credentials as ca.crt"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            if deadline.has_passed:
                raise SourceUnreachable(
                    f"{where.host!r} did not send the file within {MAX_SECONDS:g} seconds; copy it to a bucket"
                ) from error
            raise SourceUnreachable(
                f"{where.host!r} cannot be read: {type(error).__name__}: {error}; check that the server runs and is reachable"
            ) from error
        name = unquote(urlsplit(self.uri).path.rpartition("/")[2]) or where.host
        return [SourceFile(name, name, tag)]

    def content(self, file: SourceFile) -> bytes:
        """Return the bytes of the file."""
        return self._path.read_bytes()

    @property
    def _path(self) -> Path:
        return self.access.scratch / "source"

    def _destination(self) -> Destination:
        uri = urldefrag(self.uri).url
        try:
            where = destination(
                uri, allow_private=self.access.allow_private, resolver=self.access.resolver, setting=SETTING
            )
        except ReceiverUnreachable as error:
            raise SourceUnreachable(f"{error.message}; correct spec.source.uri") from error
        if where.scheme != "https":
            raise AddressRefused(f"scheme {where.scheme!r} is not read; use https")
        return where

    def _trusted(self) -> ssl.SSLContext:
        authority = (self.access.secret or {}).get("ca.crt")
        try:
            return ssl.create_default_context(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise SourceUnreachable(
                f"the key ca.crt of the Secret of spec.credentials is not a certificate ({error}); write it in PEM"
            ) from error

    def _login(self, host: str) -> dict[str, str]:
        """Return the header with the credentials; they are sent to the hosts that the Secret itself names, and to no other."""
        secret = self.access.secret
        if secret is None:
            return {}
        if not secret:
            raise StoreCredentialsMissing(
                "the Secret that spec.credentials names does not exist or is empty; create it with hosts, and token or username and password"
            )
        token, name = secret.get("token", ""), secret.get("username", "")
        if not token and not name:
            return {}
        hosts = re.split(r"[\s,]+", secret.get("hosts", ""))
        if host not in hosts:
            raise AddressRefused(
                f"the Secret of spec.credentials does not allow its use for {host!r}; add the host to its key 'hosts' (now {secret.get('hosts', '')!r})"
            )
        value = f"Bearer {token}"
        if not token:
            value = "Basic " + base64.b64encode(f"{name}:{secret.get('password', '')}".encode()).decode()
        if any(character < " " or character == "\x7f" for character in value):
            raise AddressRefused("the Secret of spec.credentials holds control characters; correct it")
        return {"authorization": value}

    def _received(self, response: http.client.HTTPResponse, where: Destination) -> str:
        """Write the body to the scratch folder, and return the tag."""
        if response.status == 304 and self.access.known:
            return self.access.known
        if response.status != 200:
            raise _refusal(response, where.host)
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise SourceUnreadable(f"{where.host!r} sends the file with content-encoding {coding!r}; turn that off")
        if response.length is None and not response.chunked:
            raise SourceUnreadable(f"{where.host!r} does not say how long the file is; correct the server")
        if response.length is not None and response.length > MAX_BYTES:
            raise _too_large(where.host)
        digest, size = hashlib.sha256(), 0
        with self._path.open("wb") as file:
            while chunk := response.read1(_CHUNK):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise _too_large(where.host)
                digest.update(chunk)
                file.write(chunk)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return response.headers.get("etag", "").strip() or f"sha256:{digest.hexdigest()}"


class _Deadline:
    """Ends a connection that takes too long, however little it sends at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.has_passed = False

    def over(self, connection: http.client.HTTPConnection) -> _Timer:
        sock = connection.sock

        def end() -> None:
            self.has_passed = True
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

        return _Timer(self._seconds, end)


class _Timer(threading.Timer):
    """A timer for the time of a block."""

    def __enter__(self) -> _Timer:
        self.daemon = True
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()


def _refusal(response: http.client.HTTPResponse, host: str) -> RunFailed:
    code = response.status
    if 300 <= code < 400:
        target = urlsplit(response.headers.get("location", ""))._replace(query="", fragment="").geturl()[:200]
        return SourceUnreachable(
            f"{host!r} redirects ({code}) to {target!r}, and redirects are not followed; set spec.source.uri to the final address"
        )
    if code in (404, 410):
        return SourceNotFound(f"{host!r} has no such file ({code}); upload it, or correct spec.source.uri")
    if code in (401, 403):
        return SourceUnreachable(f"{host!r} denies access ({code}); correct the Secret of spec.credentials")
    return SourceUnreachable(f"{host!r} answers {code}; check the server")


def _too_large(host: str) -> SourceUnreadable:
    return SourceUnreadable(f"{host!r} sends more than {MAX_BYTES >> 20:,} MiB; copy the file to a bucket")
