"""Errors that a client gets when a request cannot be answered."""

from __future__ import annotations


class HTTPError(Exception):
    """The request cannot be answered as it is; the message names the field and what would be right."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """`headers` go with the answer."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class RowsRefusedError(HTTPError):
    """The model has no answer to some of the rows, which is the fault of neither version."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


def bad(message: str) -> HTTPError:
    return HTTPError(400, message)


def wrong_method(what: str, given: str, *allowed: str) -> HTTPError:
    """Return the refusal of a method, with the methods that are allowed (RFC 9110, section 15.5.6)."""
    return HTTPError(
        405,
        f"method: {what} takes {' or '.join(allowed)}, not {given}",
        ((b"allow", ", ".join(allowed).encode()),),
    )


def shown(value: object, limit: int = 60) -> str:
    """A client's value, short enough to be repeated to them.

    >>> shown("a" * 100, limit=5)
    "'aaaa…"
    """
    text = repr(value[:limit]) if isinstance(value, (str, bytes, list, tuple)) else repr(value)
    return text if len(text) <= limit else text[:limit] + "…"
