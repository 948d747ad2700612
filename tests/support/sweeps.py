"""Sweeps of a store with a clock and a cluster that a test moves on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidemill.contract.references import References
from tidemill.runtime.retention.sweeper import Sweeper, Turn
from tidemill.runtime.store.objects import ObjectStore

DAY = timedelta(days=1)
GRACE = 7 * DAY
A, B = "a" * 64, "b" * 64


def references(**used: tuple[str, ...]) -> References:
    nothing: dict[str, tuple[str, ...]] = dict.fromkeys(("namespaces", "logs", "monitors", "folders", "digests"), ())
    return References.model_validate({"format": "tidemill.dev/references/v1", **nothing, **used})


class Watch:
    """A sweeper with a clock and a cluster that a test moves on."""

    def __init__(self, store: ObjectStore, *, grace: timedelta | None = GRACE, alone: bool = True) -> None:
        self.store, self.days, self.used = store, 0.0, references(namespaces=("shop",))
        self._grace, self._alone = grace, alone

    def turn(self, days: float = 0.0, **used: tuple[str, ...]) -> Turn:
        """Let days pass, and sweep; `used` is what objects use from now on."""
        self.days += days
        if used:
            self.used = references(**used)
        return Sweeper(
            self.store,
            lambda: self.used,
            release="tidemill-system/tidemill",
            is_only_user=self._alone,
            grace=self._grace,
            clock=lambda: datetime.now(UTC) + self.days * DAY,
        ).turn()


def keys(store: ObjectStore) -> list[str]:
    return [entry.key for entry in store.list() if not entry.key.startswith("_")]


WRITTEN = (
    f"shop/datasets/transactions/{A}/data-00000.parquet",
    f"shop/datasets/transactions/{A}/manifest.json",
    "shop/models/fraud/fraud-1a2b3c4d/model.onnx",
    "shop/models/fraud/fraud-1a2b3c4d/manifest.json",
    "shop/predictions/fraud/date=2026-01-02/hour=03/a.parquet",
    "shop/labels/fraud/date=2026-01-02/hour=03/a.parquet",
    "shop/counts/fraud/date=2026-01-02/hour=03/a.counts",
    "shop/monitors/fraud/2026-01-02T03-00-00Z/report.html",
    "shop/monitors/fraud/signals/alerts/20260102T030000.json",
)
OF_PEOPLE = ("shop/datasets/rows.csv", "shop/raw/2026/rows.csv", "rows.csv", "shop/models/readme.md")


def fill(store: ObjectStore, *names: str) -> None:
    for name in names:
        store.put(name, b"tide")
