"""What came of the requests: counted by version, with every failure and when it happened."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_FAILURES_KEPT = 50
RECENT = 200


@dataclass(slots=True)
class Version:
    """What one version answered."""

    answered: int = 0
    labelled: int = 0
    right: int = 0
    digests: set[str] = field(default_factory=set)

    @property
    def accuracy(self) -> float | None:
        return self.right / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that was not answered as it should have been."""

    at: float
    what: str


class Ledger:
    """Counts; times are seconds since 1970."""

    def __init__(self) -> None:
        self.sent = 0
        self.answered = 0
        self.failed = 0
        self.labels_sent = 0
        self.labels_failed = 0
        self.versions: dict[str, Version] = {}
        self.failures: deque[Failed] = deque(maxlen=MAX_FAILURES_KEPT)
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._latencies: deque[float] = deque(maxlen=2000)
        self.slowest = 0.0

    def note_answer(self, version: str, digest: str, seconds: float) -> None:
        self.answered += 1
        known = self.versions.setdefault(version, Version())
        known.answered += 1
        known.digests.add(digest)
        self._latencies.append(seconds)
        self.slowest = max(self.slowest, seconds)

    def note_failure(self, at: float, what: str) -> None:
        self.failed += 1
        self.failures.append(Failed(at, what))

    def note_label(self, version: str, right: bool) -> None:
        known = self.versions.setdefault(version, Version())
        known.labelled += 1
        known.right += right
        self._recent.append(right)

    def forget_recent(self) -> None:
        """Start the running accuracy again: what was before belongs to other shift."""
        self._recent.clear()

    def report(self) -> dict[str, Any]:
        """Everything counted so far, as JSON types."""
        ordered = sorted(self._latencies)
        return {
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "labelsSent": self.labels_sent,
            "labelsFailed": self.labels_failed,
            "versions": {
                name: {
                    "answered": version.answered,
                    "labelled": version.labelled,
                    "right": version.right,
                    "digests": sorted(version.digests),
                }
                for name, version in self.versions.items()
            },
            "failures": [asdict(failure) for failure in self.failures],
            "recent": {
                "labelled": len(self._recent),
                "accuracy": sum(self._recent) / len(self._recent) if self._recent else None,
            },
            "seconds": {
                "median": ordered[len(ordered) // 2] if ordered else None,
                "p95": ordered[int(len(ordered) * 0.95)] if ordered else None,
                "slowest": self.slowest,
            },
        }
