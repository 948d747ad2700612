"""One call of one webhook: a few tries with a growing pause, to the very address that was judged, and no redirects."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tidemill.contract.orders import NotifyOrder
from tidemill.contract.reports import Notified
from tidemill.runtime.failures import AddressRefused, ReceiverRefused, ReceiverUnreachable, SecretMissing
from tidemill.runtime.notify.addresses import Destination, Resolve, destination, resolve
from tidemill.runtime.notify.bodies import Message, message
from tidemill.runtime.notify.connecting import connected

REQUEST_TIMEOUT_SECONDS: Final = 10.0
"""Seconds for connecting, and for each part of the answer."""
TRIES: Final = 3
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def notify(
    order: NotifyOrder,
    credentials: Path,
    *,
    pause: Callable[[float], None] = time.sleep,
    resolver: Resolve = resolve,
    trusted: ssl.SSLContext | None = None,
) -> Notified:
    """Call the order's webhook with what lies in `credentials`; raises RunFailed.

    The operator repeats the run later where the receiver does not answer; here it is tried three times within seconds.
    """
    token, key = _secrets(order, credentials)
    request = message(order, token=token, key=key)
    trouble = ""
    for attempt in range(TRIES):
        if attempt:
            pause(2.0**attempt)
        where = destination(request.url, allow_private=order.allow_private, resolver=resolver)
        try:
            code = post(where, request, trusted)
        except (OSError, http.client.HTTPException) as error:
            trouble = f"{type(error).__name__}: {error}"
            continue
        if 200 <= code < 300:
            return Notified(code=code, tries=attempt + 1)
        if code not in _AGAIN:
            hint = "; redirects are not followed, name the final address" if 300 <= code < 400 else ""
            raise ReceiverRefused(f"{where.host} answers {code}{hint}")
        trouble = f"it answers {code}"
    raise ReceiverUnreachable(
        f"{where.host} did not accept the notification in {TRIES} attempts: {trouble}; check that the receiver is running and reachable"
    )


def post(where: Destination, request: Message, trusted: ssl.SSLContext | None = None) -> int:
    """The status code that the receiver at `where` answers with; what else it says is not read."""
    with connected(where, REQUEST_TIMEOUT_SECONDS, trusted) as connection:
        connection.putrequest("POST", where.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", where.authority)
        connection.putheader("content-length", str(len(request.body)))
        connection.putheader("connection", "close")
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(request.body)
        return connection.getresponse().status


def _secrets(order: NotifyOrder, folder: Path) -> tuple[str, bytes]:
    """The token and the signing key of the Secret that the webhook names."""
    reference = order.webhook.secret_ref
    if reference is None:
        return "", b""
    token, key = _file(folder / "token"), _file(folder / "hmac-key")
    if not token and not key:
        raise SecretMissing(
            f"Secret {reference.name!r} is not in namespace {order.namespace!r}, or holds neither token nor hmac-key; create it"
        )
    text = token.decode("utf-8", errors="replace").strip()
    if any(character < " " or character == "\x7f" for character in text):
        raise AddressRefused(f"the token in Secret {reference.name!r} holds control characters")
    return text, key.rstrip(b"\r\n")


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
