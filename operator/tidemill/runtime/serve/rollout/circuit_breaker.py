"""When not to ask a candidate that does not answer."""

from __future__ import annotations


class Breaker:
    """Open after many failures in a row; then one request in a while is let through, to see.

    Clients wait for a candidate that hangs. After `after` failures enough is known to judge it by, and only one request
    per `pause` seconds is risked until one succeeds.
    """

    def __init__(self, after: int = 20, pause: float = 1.0) -> None:
        self._after = after
        self._pause = pause
        self._failures = 0
        self._next = 0.0

    def lets_through(self, now: float) -> bool:
        """Return whether to ask, at `now` in seconds of a clock that only goes forward."""
        if self._failures < self._after:
            return True
        if now < self._next:
            return False
        self._next = now + self._pause
        return True

    def succeeded(self) -> None:
        """An answer came."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """None came."""
        self._failures += 1
        self._next = now + self._pause

    @property
    def open(self) -> bool:
        return self._failures >= self._after
