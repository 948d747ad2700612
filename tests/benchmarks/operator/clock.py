"""The audit log as the clock: when each object was created, changed and converged, and who wrote what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from benchmarks.operator.loads import DRIVER, RUNS

WRITES = frozenset({"create", "update", "patch", "apply", "delete", "deletecollection"})


@dataclass(slots=True)
class Progress:
    """What became of one change of one Dataset; moments in seconds, by the API server's clock."""

    asked: float
    generation: int
    child: float | None = None
    converged: float | None = None


@dataclass(slots=True)
class Timeline:
    """What happened in one namespace."""

    changes: dict[str, list[Progress]] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    last_write: float = 0.0

    @property
    def converged(self) -> int:
        """How many changes have converged."""
        return sum(progress.converged is not None for changes in self.changes.values() for progress in changes)

    @property
    def all_converged(self) -> bool:
        return all(changes[-1].converged is not None for changes in self.changes.values())

    def take(self, entry: dict[str, Any]) -> None:
        """Take in one entry of the log."""
        about, verb = entry.get("objectRef") or {}, entry["verb"]
        agent, code = entry.get("userAgent", ""), entry.get("responseStatus", {}).get("code", 0)
        resource = about.get("resource", "")
        if not agent.startswith((DRIVER, RUNS)):
            self._count(entry, verb, resource, about.get("subresource", ""), code)
        if code >= 300 or verb not in WRITES:
            return
        if resource == "jobs" and code == 201 and not about.get("subresource"):
            self._child(about["name"], _moment(entry["stageTimestamp"]))
        elif resource == "datasets":
            self._dataset(entry, agent)

    def _count(self, entry: dict[str, Any], verb: str, resource: str, subresource: str, code: int) -> None:
        if verb not in WRITES:
            self.reads[verb] += 1
            return
        what = f"{resource}/{subresource}" if subresource else resource
        self.writes[f"{verb} {what}" + (f" ({code})" if code >= 300 else "")] += 1
        self.last_write = max(self.last_write, _moment(entry["stageTimestamp"]))

    def _child(self, name: str, moment: float) -> None:
        # Job names say their Dataset's first, and this one is made for the newest change.
        for progress in self.changes.get(name.partition("-")[0], ()):
            if progress.child is None:
                progress.child = moment
                return

    def _dataset(self, entry: dict[str, Any], agent: str) -> None:
        result = entry.get("responseObject") or {}
        metadata, status = result.get("metadata") or {}, result.get("status") or {}
        if agent.startswith(DRIVER):
            progress = Progress(_moment(entry["requestReceivedTimestamp"]), metadata["generation"])
            self.changes.setdefault(metadata["name"], []).append(progress)
            return
        ready = next((condition for condition in status.get("conditions") or () if condition["type"] == "Ready"), {})
        generation = metadata.get("generation")
        if ready.get("status") == "True" and ready.get("observedGeneration") == generation:
            for progress in self.changes.get(metadata.get("name", ""), ()):
                # Ready of an edited object counts once its new child is there: an old word about it does not.
                if progress.generation <= generation and progress.converged is None and progress.child is not None:
                    progress.converged = _moment(entry["stageTimestamp"])


class AuditLog:
    """Reads on from where the last look ended, across the log's rotation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._inode = path.stat().st_ino
        self.timelines: dict[str, Timeline] = {}

    def look(self) -> None:
        """Take in what was written since."""
        self._read_on()
        if self._path.exists() and self._path.stat().st_ino != self._inode:
            self._read_on()
            self._file.close()
            self._file, self._inode = self._path.open("rb"), self._path.stat().st_ino
            self._read_on()

    def _read_on(self) -> None:
        while line := self._file.readline():
            if not line.endswith(b"\n"):
                self._file.seek(-len(line), 1)
                return
            entry = orjson.loads(line)
            timeline = self.timelines.get((entry.get("objectRef") or {}).get("namespace", ""))
            if timeline is not None:
                timeline.take(entry)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
