"""Verification of calls: they must come from a holder of the secret, and must not be replays.

A bearer token proves the caller of this very connection. A signature travels with the bytes, so it covers the time at
which it was made (`<unix seconds>.<body>`), that time must be recent, and no signature is taken twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

FRESH_SECONDS: Final = 300
SIGNATURE: Final = "x-tidemill-signature-256"
TIMESTAMP: Final = "x-tidemill-timestamp"

Standing = Literal["Bearer", "Signed", "Refused", "Stale", "NoSecret"]


def standing(headers: Mapping[str, str], body: bytes, secret: Path, now: float) -> Standing:
    """Return how a call is authorized, or why it is not; `headers` have names in lower case, `secret` is the folder of the mounted Secret."""
    token, key = _read(secret / "token").strip(), _read(secret / "hmac-key").rstrip(b"\r\n")
    if not token and not key:
        return "NoSecret"
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token):
        return "Bearer"
    signature, timestamp = headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")
    if not key or not signature or not hmac.compare_digest(signature.encode(), sign(key, timestamp, body).encode()):
        return "Refused"
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - signed_at(headers)) > FRESH_SECONDS:
        return "Stale"
    return "Signed"


def signed_at(headers: Mapping[str, str]) -> int:
    """When a signature was made, in seconds since 1970; the header must be all digits.

    >>> signed_at({"x-tidemill-timestamp": "1767603600"})
    1767603600
    """
    return int(headers[TIMESTAMP][:12])


def sign(key: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature of a body at a time, in seconds since 1970.

    >>> sign(b"key", "1767603600", b"{}")[:15]
    'sha256=2fcafe85'
    """
    return "sha256=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
