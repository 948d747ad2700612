"""An iterator that runs in a thread of its own, a few values ahead of the reader."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Full, Queue
from typing import Final

_AHEAD: Final = 1
_POLL_SECONDS: Final = 0.1


@contextmanager
def from_thread(chunks: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Yield an iterator over what `chunks` gives, with its error at the end; the thread ends with the block."""
    ready: Queue[bytes | Exception | None] = Queue(_AHEAD)
    stopped = threading.Event()

    def put(value: bytes | Exception | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(value, timeout=_POLL_SECONDS)
            except Full:
                continue
            return

    def fill() -> None:
        try:
            for chunk in chunks:
                put(chunk)
                if stopped.is_set():
                    return
        except Exception as error:
            put(error)
        else:
            put(None)

    def drain() -> Iterator[bytes]:
        while (value := ready.get()) is not None:
            if isinstance(value, Exception):
                raise value
            yield value

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        yield drain()
    finally:
        stopped.set()
        thread.join()
