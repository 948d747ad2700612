"""What a sweeper remembers of a namespace, in the store itself: since when no object has used a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from tidemill.runtime.store.objects import ObjectStore

HOME: Final = "_tidemill/retention"
"""No namespace can be named so."""
FORMAT: Final = "tidemill.dev/retention/v1"
MAX_MARKS: Final = 50_000
"""Parts of one namespace that are remembered; others wait for their turn."""


@dataclass(frozen=True, slots=True)
class Record:
    """A namespace: which release looks after its data, and since when parts of it are unused."""

    release: str
    unused: Mapping[str, datetime] = field(default_factory=dict)
    """By folder, when it was first seen that no object uses it."""

    def to_json(self) -> bytes:
        """As it lies in the store."""
        unused = {folder: since.isoformat() for folder, since in sorted(self.unused.items())}
        return orjson.dumps({"format": FORMAT, "release": self.release, "unused": unused})


def read(store: ObjectStore, namespace: str) -> Record | None:
    """Return the record of a namespace; None where no release has one, or it cannot be read, so that every time begins again."""
    try:
        wire: Any = orjson.loads(store.get(f"{HOME}/{namespace}.json"))
        if wire["format"] != FORMAT:
            return None
        unused = {str(folder): _time(since) for folder, since in wire["unused"].items()}
        return Record(str(wire["release"]), unused)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(store: ObjectStore, namespace: str, record: Record) -> None:
    """Put the record of a namespace into the store."""
    store.put(f"{HOME}/{namespace}.json", record.to_json())


def delete(store: ObjectStore, namespace: str) -> None:
    """Remove the record of a namespace that has no data any more."""
    store.delete(f"{HOME}/{namespace}.json")


def _time(text: str) -> datetime:
    timestamp = datetime.fromisoformat(text)
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
