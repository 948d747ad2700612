"""Which part of the object store belongs to which object, read from the keys."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tidemill.contract.references import References

DEPTHS: Final = {"datasets": 4, "models": 4, "predictions": 3, "labels": 3, "counts": 3, "monitors": 3}
"""The folders of a namespace that runs and services write, and how many parts of a key name what is kept or deleted as one."""
PUBLISHED: Final = frozenset({"datasets", "models"})
"""Those that appear whole, with a manifest."""
OTHER: Final = "other"
"""Everything else, which is measured and never deleted: files that people put there."""
_DIGEST: Final = re.compile("[0-9a-f]{64}")


class Subject(NamedTuple):
    """A part of the store that is kept or deleted as one."""

    folder: str
    """Such as `shop/predictions/fraud` or `shop/models/fraud/fraud-1a2b3c4d`."""
    kind: str
    """One of DEPTHS."""


def subject_of(key: str) -> Subject | None:
    """Return what a key belongs to; None for what runs and services do not write.

    >>> subject_of("shop/predictions/fraud/date=2026-01-02/hour=03/a.parquet")
    Subject(folder='shop/predictions/fraud', kind='predictions')
    >>> subject_of("shop/datasets/rows.csv")
    >>> subject_of("shop/datasets/transactions/march/rows.csv")
    """
    parts = key.split("/")
    kind = parts[1] if len(parts) > 1 else ""
    depth = DEPTHS.get(kind)
    if depth is None or len(parts) <= depth:
        return None
    if kind == "datasets" and not _DIGEST.fullmatch(parts[3]):
        return None
    return Subject("/".join(parts[:depth]), kind)


class Used:
    """What the objects of the cluster use, to look subjects up in."""

    def __init__(self, references: References) -> None:
        self.namespaces = frozenset(references.namespaces)
        self._folders = frozenset(references.folders)
        self._digests = frozenset(references.digests)
        self._logs = frozenset(references.logs)
        self._monitors = frozenset(references.monitors)

    def __contains__(self, subject: Subject) -> bool:
        namespace, _, name = subject.folder.split("/", 2)
        match subject.kind:
            case "datasets":
                return subject.folder in self._folders or name.rpartition("/")[2] in self._digests
            case "models":
                return subject.folder in self._folders
            case "monitors":
                return f"{namespace}/{name}" in self._monitors
            case _:
                return f"{namespace}/{name}" in self._logs
