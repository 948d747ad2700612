"""What a revision was read from, kept next to it: a source that has not changed since is not read again.

The record is part of no digest. It counts only for the same order and the same release of Tidemill, which could read the same
bytes otherwise.
"""

from __future__ import annotations

from typing import Final

import tidemill
from tidemill.api.base import WireModel
from tidemill.contract.orders import IngestOrder, digest_of
from tidemill.contract.reports import Ingested
from tidemill.runtime.store import manifest
from tidemill.runtime.store.objects import ObjectStore, TooLargeError

FILE: Final = "source.json"
_MAX_BYTES: Final = 1 << 20


class SourceRecord(WireModel):
    """What was read, with which order, and what came of it."""

    order: str
    fingerprint: str
    tag: str = ""
    """The tag of the file, where there was only one."""
    ingested: Ingested
    warnings: tuple[str, ...] = ()


def identity(order: IngestOrder) -> str:
    """Return a digest of everything but the source that decides what a revision is."""
    return f"{tidemill.__version__}/{digest_of(order.model_copy(update={'previous': '', 'tick': 0}))}"


def recorded(order: IngestOrder, store: ObjectStore) -> SourceRecord | None:
    """Return the record of the current revision if it was made by the same order and is still there; raise StoreUnreachable."""
    if not order.previous:
        return None
    folder = store.key_of(order.previous)
    try:
        record = SourceRecord.model_validate_json(store.get(f"{folder}/{FILE}", most=_MAX_BYTES))
    except (FileNotFoundError, ValueError, TooLargeError):
        return None
    if record.order != identity(order) or record.ingested.uri != order.previous:
        return None
    is_there = (
        store.head(f"{folder}/{manifest.FILE}") is not None and store.head(f"{folder}/{manifest.DELETING}") is None
    )
    return record if is_there else None


def write(record: SourceRecord, store: ObjectStore) -> None:
    """Keep the record next to its revision; raise StoreUnreachable."""
    store.put(f"{store.key_of(record.ingested.uri)}/{FILE}", record.model_dump_json(by_alias=True).encode())
