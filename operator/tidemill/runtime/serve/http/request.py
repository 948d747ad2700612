"""A client's request as the parts of a server hand it on."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.runtime.protocol.features import Rows


@dataclass(frozen=True, slots=True)
class Request:
    """A request for predictions that was understood."""

    path: str
    body: bytes
    headers: dict[bytes, bytes]
    """The headers as the client sent them."""
    id: str
    """The client's own, or one that was made for it."""
    rows: Rows
    keys: tuple[str, ...] = ()
    """The client's names for the rows, by which labels may come later."""
    received_at: float = 0.0
    """In seconds since 1970."""

    def header(self, name: bytes, otherwise: str = "") -> str:
        """Return a header's value as text."""
        value = self.headers.get(name)
        return otherwise if value is None else value.decode("latin-1")
