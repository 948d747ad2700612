"""A window from what serving pods have counted of it: the longest spans that fit, and which parts of the log they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidemill.api.checks import types_where
from tidemill.contract.layout import counts_folder
from tidemill.contract.orders import CheckOrder
from tidemill.runtime.log import layout, reader
from tidemill.runtime.log.counts import MAX_BYTES, Counts, short
from tidemill.runtime.log.layout import SLOT, CountsName
from tidemill.runtime.monitor.evidence.evidence import ReferenceData
from tidemill.runtime.profile import ProfileError
from tidemill.runtime.store.objects import TooLargeError

FROM_COUNTS: Final = frozenset(types_where(lambda kind: kind.from_counts))


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of rows that need not be read."""

    counts: Counts
    parts: tuple[str, ...]
    """The parts of the log whose rows are all counted, by their keys."""


def suffices(order: CheckOrder) -> bool:
    """Return whether counts on the version's bins can answer the order's checks; otherwise every row is read."""
    rules = {rule.metric for check in order.checks for rule in check.rules_}
    types = {check.type for check in order.checks}
    return (
        order.reference is None
        and order.count is None
        and "DuplicateRequestShare" not in rules
        and types <= FROM_COUNTS
    )


def read(order: CheckOrder, reference: ReferenceData, store: reader.PartSource, parts: Sequence[str]) -> Counted | None:
    """Return what pods have counted of the window on this version's bins; None where that is nothing.

    Counts that cannot be read are left out, and so are those of other bins: then the rows of their parts are read.
    """
    keys = {(named.writer, named.start, named.span): key for key, named in _listed(order, store)}
    chosen = [
        keys[named.writer, named.start, named.span]
        for named in fitting(map(_named, keys.values()), order.start, order.end)
    ]
    if not chosen:
        return None
    by_name = layout.by_name(parts)
    readable: list[Counts] = []
    held: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        for key, content in zip(chosen, pool.map(lambda key: _get(store, key), chosen), strict=True):
            try:
                counts = Counts.from_bytes(content, reference.features, reference.outputs)
            except ProfileError:
                continue
            names = [layout.part_name(_named(key).writer, number) for number in counts.parts]
            if all(name in by_name for name in names):
                readable.append(counts)
                held += [by_name[name] for name in names]
    return Counted(readable[0].merge(*readable[1:]), tuple(held)) if readable else None


def fitting(listed: Iterable[CountsName], start: datetime, end: datetime) -> list[CountsName]:
    """Return the longest spans of each writer that lie within the window, none of them within another."""
    first, last = start.timestamp(), end.timestamp()
    within = [named for named in listed if named.start >= first and named.end <= last]
    within.sort(key=lambda named: (named.writer, -named.span, named.start))
    taken: set[tuple[str, int]] = set()
    chosen = []
    for named in within:
        slots = {(named.writer, slot) for slot in range(named.start, named.end, SLOT)}
        if taken.isdisjoint(slots):
            taken |= slots
            chosen.append(named)
    return chosen


def _listed(order: CheckOrder, store: reader.PartSource) -> list[tuple[str, CountsName]]:
    folder = counts_folder(order.namespace, order.service)
    first, last = layout.hours_between(folder, order.start, order.end)
    listed = []
    for entry in store.list(folder, after=first):
        if last is not None and entry.key >= last:
            break
        named = CountsName.parse(entry.key)
        if named is not None and named.version == short(order.version.digest):
            listed.append((entry.key, named))
    return listed


def _named(key: str) -> CountsName:
    named = CountsName.parse(key)
    assert named is not None, "only keys that parse are listed"
    return named


def _get(store: reader.PartSource, key: str) -> bytes:
    try:
        return store.get(key, most=MAX_BYTES)
    except (FileNotFoundError, TooLargeError):
        return b""
