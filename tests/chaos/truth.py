"""What the operator did, by the API server's own account: the audit log, read on from where the last look ended."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from cluster.audit import Event, parse

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


class Truth:
    """The operator's writes by namespace."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._writes: dict[str, list[Event]] = defaultdict(list)

    def writes(self, namespace: str) -> list[Event]:
        """Every write of the operator in a namespace so far that the API server has answered."""
        if self._log.stat().st_size < self._offset:
            self._offset = 0  # the log was rotated
        with self._log.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                if b'"userAgent":"tidemill/' in line:
                    event = parse(json.loads(line))
                    if event.verb in WRITES:
                        self._writes[event.namespace].append(event)
        return self._writes[namespace]

    def deeds(self, namespace: str) -> list[tuple[str, str, str]]:
        """What was created or deleted: verb, resource, name. Events and statuses are not things."""
        said = []
        for event in self.writes(namespace):
            if event.resource == "events" or event.subresource:
                continue
            if event.code == 201:
                said.append(("create", event.resource, event.name))
            elif event.verb == "delete" and event.code in (200, 202):
                said.append(("delete", event.resource, event.name))
        return said

    def forget(self, namespace: str) -> None:
        self._writes.pop(namespace, None)
