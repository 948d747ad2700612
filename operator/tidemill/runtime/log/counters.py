"""Drift counters: each row that is logged is counted on the bins of the version's profile, so that a monitor adds up
counts instead of reading rows.

Counting is done by the log's thread, part by part, on the very table that the part holds; requests know nothing of it.
The counts of the current slot of time are written over themselves with every flush of the log, so a crash loses what the
log loses, one flush, and nothing can be counted twice. A part that is not counted, whatever the reason, is not named by
any counts, and a monitor reads its rows.

    part sealed ─▶ counters of the slot ── slot over ─▶ sums of 300 s ── over ─▶ sums of 3600 s
    parts put   ─▶ slot written                         written once            written once
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from tidemill.runtime.log.layout import SLOT, SPANS, CountsName
from tidemill.runtime.log.records import to_parquet
from tidemill.runtime.model.predictor import SIGNATURE_FILE
from tidemill.runtime.model.signature import Signature

if TYPE_CHECKING:
    from tidemill.runtime.log.counts import Counts
    from tidemill.runtime.log.records import Logged, PredictionFile
    from tidemill.runtime.profile import Counter, Profile
    from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

WRITE_INTERVAL_SECONDS: Final = 15.0
"""Seconds between attempts to get the version's profile."""
MAX_COLUMNS: Final = 1_000
"""Wider versions are not counted: each column takes some 50 KB here."""
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""Bytes of finished counts that wait for the store; the oldest go first."""


class Counters:
    """Counts of the log of one process, by slots of time."""

    def __init__(
        self, folder: str, writer: str, version: str, file: PredictionFile, *, clock: Callable[[], float]
    ) -> None:
        """Files go below `folder` under the writer's name; only answers of `version`, a digest, count as answers."""
        self.dropped = 0
        self._folder = folder
        self._writer = writer
        self._version = version
        self._file = file
        self._clock = clock
        self._bins: tuple[Profile, Profile] | None = None
        self._table: Any = None
        self._slot: _Slot | None = None
        self._over = 0
        """Slots that begin earlier are closed."""
        self._sums: dict[int, tuple[int, Counts]] = {}
        """By span: when it began, and the sum of its slots so far."""
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._failing = False

    def load(self, store: ObjectStore, uri: str) -> None:
        """Take the bins from the version's profile; parts that are sealed earlier are not counted."""
        from tidemill.runtime.log.counts import as_logged

        stored = read_profile(store, uri, self._version)
        if stored is None:
            logger.info("the version carries no profile: monitors read its rows")
            return
        profile, signature = stored
        if len(profile.columns) > MAX_COLUMNS:
            logger.info("%d columns are too many to count here: monitors read rows", len(profile.columns))
            return
        self._bins = as_logged(profile, [feature.name for feature in signature.features])

    async def bring_up(self, store: ObjectStore, uri: str) -> None:
        """`load`, off the event loop, until the store has answered."""
        while True:
            try:
                return await asyncio.to_thread(self.load, store, uri)
            except Exception as error:  # whatever it is, answers and the log go on without counts
                logger.warning("rows are not counted yet: %s", error)
            await asyncio.sleep(WRITE_INTERVAL_SECONDS)

    def slot(self, timestamp: float) -> int:
        """When the slot of a timestamp begins, in seconds since 1970."""
        return int(timestamp // SLOT) * SLOT

    def __call__(self, records: Sequence[Logged]) -> bytes:
        """Predictions as a Parquet file, whose rows are at hand for `sealed`."""
        self._table = self._file.table(records)
        return to_parquet(self._table)

    def sealed(self, number: int, slot: int) -> None:
        """Count the rows that were made a file last; of a slot that is over already nothing is counted any more."""
        table, self._table = self._table, None
        if self._bins is None or slot < self._over:
            return
        if self._slot is None or slot > self._slot.start:
            self._close()
            self._slot = _Slot(slot, self._bins)
        if slot == self._slot.start:
            self._slot.count(number, table, self._version)

    def put(self, store: ObjectStore) -> None:
        """Write what the parts in the store add up to; what the store does not take is tried again with the next flush."""
        if self._bins is None:
            return
        now = self._clock()
        if self._slot is not None and now >= self._slot.start + 2 * SLOT:
            self._close()
        self._close_sums(now)
        try:
            while self._waiting:
                key, content = self._waiting[0]
                store.put(key, content)
                self._waiting.popleft()
                self._waiting_bytes -= len(content)
            if self._slot is not None and self._slot.changed:
                store.put(*self._named(self._slot.start, SLOT, self._slot.counts()))
                self._slot.changed = False
            self._failing = False
        except Exception as error:  # whatever is wrong with the store, answers and the log go on
            if not self._failing:
                logger.warning("counts cannot be written and wait: %s", error)
            self._failing = True

    def _close(self) -> None:
        """The slot is over: write it for the last time, and add it to the longer spans."""

        slot, self._slot = self._slot, None
        if slot is None:
            return
        counts = slot.counts()
        self._over = slot.start + SLOT
        if slot.changed:
            self._wait(SLOT, slot.start, counts)
        self._close_sums(slot.start)
        for span in SPANS[1:]:
            held = self._sums.get(span)
            self._sums[span] = (slot.start // span * span, counts if held is None else held[1].merge(counts))

    def _close_sums(self, now: float) -> None:
        """Longer spans that are over, and in which no slot is open, are finished."""
        earliest = now if self._slot is None else min(now, self._slot.start)
        for span, (start, counts) in list(self._sums.items()):
            if earliest >= start + span:
                del self._sums[span]
                self._over = max(self._over, start + span)
                self._wait(span, start, counts)

    def _wait(self, span: int, start: int, counts: Counts) -> None:
        key, content = self._named(start, span, counts)
        self._waiting.append((key, content))
        self._waiting_bytes += len(content)
        while self._waiting_bytes > MAX_WAITING_BYTES:
            _, gone = self._waiting.popleft()
            self._waiting_bytes -= len(gone)
            self.dropped += 1

    def _named(self, start: int, span: int, counts: Counts) -> tuple[str, bytes]:
        from tidemill.runtime.log.counts import short

        name = CountsName(start, span, short(self._version), self._writer)
        return f"{self._folder}/{name}", counts.to_bytes()


class _Slot:
    """The counters of the slot that is now."""

    def __init__(self, start: int, bins: tuple[Profile, Profile]) -> None:
        from tidemill.runtime.profile import Counter

        self.start = start
        self.changed = False
        self._parts: list[int] = []
        self._rows = 0
        self._newest = 0
        self._features: Counter = Counter(bins[0])
        self._outputs: Counter = Counter(bins[1])

    def count(self, number: int, table: Any, version: str) -> None:
        """Count the rows of the part of this number."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from tidemill.contract.layout import LogColumn

        self._features.add(table)
        self._outputs.add(table.filter(pc.equal(table.column(LogColumn.DIGEST), version)))
        self._parts.append(number)
        self._rows += table.num_rows
        self._newest = max(self._newest, pc.max(table.column(LogColumn.TIME).cast(pa.int64())).as_py())
        self.changed = True

    def counts(self) -> Counts:
        """Return the counts so far."""
        from tidemill.runtime.log.counts import Counts

        rows = {self.start: self._rows}
        return Counts(self._features.profile(), self._outputs.profile(), tuple(self._parts), rows, self._newest)


def read_profile(store: ObjectStore, uri: str, digest: str) -> tuple[Profile, Signature] | None:
    """A version's profile and signature, checked; None where it carries no profile, or one that cannot be read.

    Raises RunFailed where the store does not answer, or the files are not what the digest says.
    """
    from tidemill.runtime.model.artifact import PROFILE_FILE
    from tidemill.runtime.model.files import VersionFiles
    from tidemill.runtime.profile import Profile, ProfileError

    files = VersionFiles(uri, digest, store)
    if PROFILE_FILE not in files:
        return None
    profile, signature = files.read(PROFILE_FILE), files.read(SIGNATURE_FILE)
    try:
        return Profile.from_json(profile), Signature.from_json(signature)
    except (ProfileError, ValueError):
        logger.warning("the version's profile cannot be read; monitors read its rows", exc_info=True)
        return None
