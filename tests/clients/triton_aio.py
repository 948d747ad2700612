"""What the asynchronous client for Triton gets from a server: `python triton_aio.py HOST:PORT MODEL`; prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as aio


async def answers(url: str, model: str) -> dict[str, Any]:
    """Return what two rows are answered, sent as JSON (which aiohttp declares as octets) and as bytes, plain and compressed."""
    rows = np.array([[2.0, 1.0], [-2.0, 1.0]])
    results: dict[str, Any] = {}
    async with aio.InferenceServerClient(url) as client:
        for binary in (True, False):
            for coding in (None, "gzip", "deflate"):
                tensor = triton.InferInput("input", [2, 2], "FP64")
                tensor.set_data_from_numpy(rows, binary_data=binary)
                result = await client.infer(model, [tensor], request_compression_algorithm=coding)
                results[f"{'binary' if binary else 'json'}, {coding}"] = result.as_numpy("predict").tolist()
        many = [client.infer(model, [tensor], request_id=f"r-{number}") for number in range(50)]
        results["ids"] = [result.get_response()["id"] for result in await asyncio.gather(*many)]
    return results


print(json.dumps(asyncio.run(answers(*sys.argv[1:]))))
