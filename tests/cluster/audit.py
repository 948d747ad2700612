"""The API server's audit log, as ground truth for tests: who asked for what, and what came of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One request and its answer."""

    verb: str
    user: str
    agent: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    # When it arrived, and the bodies: these only for Tidemill's own kinds.
    received: str
    request: dict[str, Any] | None
    response: dict[str, Any] | None


def read(path: Path) -> list[Event]:
    """The events of an audit log; empty while there is none. A last line still being written is left out."""
    if not path.exists():
        return []
    return [parse(json.loads(line)) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def parse(entry: dict[str, Any]) -> Event:
    """One entry of the log."""
    about = entry.get("objectRef") or {}
    return Event(
        verb=entry["verb"],
        user=entry.get("user", {}).get("username", ""),
        agent=entry.get("userAgent", ""),
        group=about.get("apiGroup", ""),
        resource=about.get("resource", ""),
        subresource=about.get("subresource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=entry.get("responseStatus", {}).get("code", 0),
        received=entry.get("requestReceivedTimestamp", ""),
        request=entry.get("requestObject"),
        response=entry.get("responseObject"),
    )
