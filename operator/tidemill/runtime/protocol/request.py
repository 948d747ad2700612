"""What a request of either protocol may hold: a JSON object, its id, keys of rows, a routing key."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from tidemill.runtime.protocol.errors import bad, shown
from tidemill.runtime.protocol.features import Rows

MAX_ID_LENGTH: Final = 128


class Asked(NamedTuple):
    """An inference request that was understood."""

    id: str
    """The client's own, or empty."""
    rows: Rows
    outputs: tuple[tuple[str, bool], ...] = ()
    """Names of the outputs asked for and whether as bytes; empty for all of them as JSON."""
    positional: bool = False
    """Whether values came in the order of the signature, without their features' names."""
    keys: tuple[str, ...] = ()
    """The client's own name for each row, by which a label may come later; empty where rows go by the request and their place."""
    routing_key: str = ""
    """Requests with the same one go to the same version; empty where it does not matter."""


def parse(body: bytes | memoryview) -> dict[str, Any]:
    """A body's JSON object; depth is bounded by the parser."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad(f"body: is not JSON: {error}") from None
    if type(document) is not dict:
        raise bad("body: must be a JSON object")
    return document


def client_id(document: dict[str, Any]) -> str:
    """The `id` a client gave its request, or nothing."""
    given = document.get("id")
    if given is None or given == "":
        return ""
    if not isinstance(given, str):
        raise bad(f"id: must be a string, not {shown(given)}")
    return checked_id(given, "id")


def is_valid_id(given: str) -> bool:
    """Return whether an id may stand in a header and in the log."""
    return len(given) <= MAX_ID_LENGTH and given.isascii() and given.isprintable()


def checked_id(given: str, where: str) -> str:
    """Return a valid id; raise HTTPError for another."""
    if not is_valid_id(given):
        raise bad(f"{where}: must be at most {MAX_ID_LENGTH} printable ASCII characters")
    return given


def row_keys(given: Any, rows: int, where: str) -> tuple[str, ...]:
    """The keys a client gave its rows."""
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) != rows:
        raise bad(f"{where}: must be a list of {rows} keys, one for each row, not {shown(given)}")
    for index, key in enumerate(given):
        if not isinstance(key, str) or not key:
            raise bad(f"{where}[{index}]: must be a string, not {shown(key)}")
    return tuple(checked_id(key, f"{where}[{index}]") for index, key in enumerate(given))


def routing_key(given: Any, where: str) -> str:
    """Return the key by which a client keeps its requests together; empty where there is none."""
    if given is None:
        return ""
    if not isinstance(given, str):
        raise bad(f"{where}: must be a string, not {shown(given)}")
    return checked_id(given, where)
