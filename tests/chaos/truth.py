"""What the operator did, by the API server's own account: the audit log, read on from where the last look ended."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, BinaryIO

from cluster.audit import Event, parse

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


class Truth:
    """The operator's writes by namespace."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._open: BinaryIO | None = None
        self._begun = b""
        """The first part of a line whose end was not written yet."""
        self._writes: dict[str, list[Event]] = defaultdict(list)

    def writes(self, namespace: str) -> list[Event]:
        """Every write of the operator in a namespace so far that the API server has answered."""
        if self._open is None:
            self._open = self._log.open("rb")
        self._read()
        if os.fstat(self._open.fileno()).st_ino != self._log.stat().st_ino:
            # The log was rotated, and what was written before that has been read from the file that we have kept open.
            self._read()
            self._open.close()
            self._open = self._log.open("rb")
            self._read()
        return self._writes[namespace]

    def _read(self) -> None:
        assert self._open is not None
        for line in self._open:
            whole, self._begun = self._begun + line, b""
            if not whole.endswith(b"\n"):
                self._begun = whole
            elif b'"userAgent":"tidemill/' in whole:
                event = parse(json.loads(whole))
                if event.verb in WRITES:
                    self._writes[event.namespace].append(event)

    def deeds(self, namespace: str) -> list[tuple[str, str, str]]:
        """What was created or deleted: verb, resource, name. Events and statuses are not things."""
        lines = []
        for event in self.writes(namespace):
            if event.resource == "events" or event.subresource:
                continue
            if event.code == 201:
                lines.append(("create", event.resource, event.name))
            elif event.verb == "delete" and event.code in (200, 202):
                lines.append(("delete", event.resource, event.name))
        return lines

    def statuses(self, namespace: str, resource: str) -> list[dict[str, Any]]:
        """What the operator made of the statuses of a resource, in order of time; of workloads that have one such object."""
        return [
            (event.response or {}).get("status") or {}
            for event in self.writes(namespace)
            if (event.resource, event.subresource) == (resource, "status") and event.code < 300
        ]

    def close(self) -> None:
        if self._open is not None:
            self._open.close()

    def forget(self, namespace: str) -> None:
        self._writes.pop(namespace, None)
