"""An HTTP connection to the very address that was judged."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.runtime.notify.addresses import Destination


@contextmanager
def connected(
    where: Destination, seconds: float, trusted: ssl.SSLContext | None = None
) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection whose every step may take `seconds`; the certificate is checked against the name."""
    raw = socket.create_connection((where.address, where.port), timeout=seconds)
    try:
        raw.settimeout(seconds)
        if where.scheme == "https":
            raw = (trusted or ssl.create_default_context()).wrap_socket(raw, server_hostname=where.host)
        connection = http.client.HTTPConnection(where.host, where.port, timeout=seconds)
        connection.sock = raw
        yield connection
    finally:
        raw.close()
