"""What the API server itself can do, measured in the same run: status patches (L6), and a list of everything (L7)."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import orjson

from benchmarks.operator.loads import DATASETS, Hands, name_of


async def status_patches(
    hands: Hands, namespace: str, objects: int, *, connections: int, seconds: float
) -> dict[str, float]:
    """Status patches a second, one after the other on each of so many connections, and the median's milliseconds."""
    took: list[float] = []
    end = time.monotonic() + seconds

    async def work(lane: int) -> None:
        turn = 0
        while time.monotonic() < end:
            number = (lane + turn * connections) % objects
            turn += 1
            path = f"{DATASETS}/namespaces/{namespace}/datasets/{name_of(number)}/status"
            began = time.perf_counter()
            await hands.merge(path, {"status": {"warnings": [f"{lane}-{turn}-{end}"]}})
            took.append(time.perf_counter() - began)

    began = time.monotonic()
    await asyncio.gather(*(work(lane) for lane in range(connections)))
    return {
        "connections": connections,
        "a_second": len(took) / (time.monotonic() - began),
        "median_ms": statistics.median(took) * 1000,
    }


async def list_and_parse(hands: Hands, namespace: str) -> dict[str, Any]:
    """Seconds for one list of all Datasets of the namespace in one answer, and for parsing it."""
    began = time.perf_counter()
    text = await hands.text("GET", f"{DATASETS}/namespaces/{namespace}/datasets")
    listed = time.perf_counter()
    document = orjson.loads(text)
    parsed = time.perf_counter()
    return {
        "objects": len(document["items"]),
        "megabytes": len(text) / 1e6,
        "list_seconds": listed - began,
        "parse_seconds": parsed - listed,
    }
