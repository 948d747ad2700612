"""One demo or test session at a time: they share a cluster and an installation."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster import paths


@contextmanager
def my_turn(say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other demo or test session of this user is under way, saying so where that takes time."""
    lock = paths.cache() / "try-out.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another demo or test session is under way on this machine; waiting for it to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
