"""Decide which requests go to the candidate."""

from __future__ import annotations

import zlib

HUNDRED = 100


class Split:
    """An exact share of requests, spread evenly; requests with the same key always go the same way.

    >>> split = Split(25)
    >>> [split.takes() for _ in range(8)]
    [False, False, False, True, False, False, False, True]
    """

    def __init__(self, percent: int = 0) -> None:
        self.percent = percent
        self._owed = 0

    def takes(self, key: str = "") -> bool:
        """Return whether the candidate gets this request.

        Without a key, exactly `percent` of every hundred. With a key, the key decides; keys that are taken at a small
        share are taken at a larger one too.
        """
        if self.percent <= 0:
            return False
        if key:
            return zlib.crc32(key.encode()) % HUNDRED < self.percent
        self._owed += self.percent
        if self._owed < HUNDRED:
            return False
        self._owed -= HUNDRED
        return True
