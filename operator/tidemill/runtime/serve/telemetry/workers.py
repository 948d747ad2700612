"""One count for several serving processes behind one address: whichever is scraped asks the others for their samples.

    scrape ─▶ this process ─┬─ its own samples ─────────────────┐
                            └─ a socket for each other process ─┴─ added up

Each process answers on a socket in a folder that all of them share, and writes its samples there once a second, so that one which is
started again goes on from where the one before it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from tidemill.runtime.serve.telemetry.exposition import ExposedSample, merged

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 1.0
SAVE_INTERVAL_SECONDS: Final = 1.0
MAX_BYTES: Final = 16 * 1024 * 1024


class WorkerSamples:
    """The samples of this process and of those that it shares an address with."""

    def __init__(self, folder: Path, index: int, count: int, own: Callable[[], list[ExposedSample]]) -> None:
        """`index` is this process among `count`; `own` returns what it has counted since it was started."""
        self._folder = folder
        self._index = index
        self._others = [other for other in range(count) if other != index]
        self._own = own
        self._earlier = self._saved(index, only_counters=True)
        self._server: asyncio.Server | None = None

    def total(self) -> list[ExposedSample]:
        """Return this process's samples, with what earlier ones in its place counted."""
        return merged([self._earlier, self._own()])

    async def of_all(self) -> list[ExposedSample]:
        """Return the samples of all processes; those of one that does not answer are the last ones that it saved."""
        others = await asyncio.gather(*(self._ask(other) for other in self._others))
        return merged([self.total(), *others])

    async def run(self) -> None:
        """Answer the others and save the samples, until cancelled."""
        path = self._socket(self._index)
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, path)
        try:
            while True:
                self._save()
                await asyncio.sleep(SAVE_INTERVAL_SECONDS)
        finally:
            self._server.close()
            self._save()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(_packed(self.total()))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _ask(self, other: int) -> list[ExposedSample]:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._socket(other), limit=MAX_BYTES)
                try:
                    return _unpacked(await reader.read())
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError) as error:
            logger.info("process %d does not answer with its counts: %s", other, error)
            return self._saved(other)

    def _save(self) -> None:
        path = self._file(self._index)
        written = path.with_suffix(".new")
        try:
            written.write_bytes(_packed(self.total()))
            written.replace(path)
        except OSError as error:
            logger.warning("the counts of this process cannot be saved: %s", error)

    def _saved(self, index: int, *, only_counters: bool = False) -> list[ExposedSample]:
        try:
            samples = _unpacked(self._file(index).read_bytes())
        except (OSError, ValueError):
            return []
        return [sample for sample in samples if not only_counters or sample.suffix or sample.metric.endswith("_total")]

    def _socket(self, index: int) -> Path:
        return self._folder / f"{index}.sock"

    def _file(self, index: int) -> Path:
        return self._folder / f"{index}.json"


def _packed(samples: list[ExposedSample]) -> bytes:
    return orjson.dumps([sample.to_wire() for sample in samples])


def _unpacked(content: bytes) -> list[ExposedSample]:
    try:
        return [ExposedSample(*wire) for wire in orjson.loads(content)]
    except TypeError as error:
        raise ValueError(f"not samples: {error}") from None
