"""What a serving process and the one that explains say to each other: messages with their length in front.

rows    as numpy writes an array       ──▶
        ◀──  {"expected", "attributions", "method", "orders"}, or {"refused"} where the model cannot answer such rows
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import numpy as np
import orjson

from tidemill.runtime.explain.values import Explained
from tidemill.runtime.model.answer import Matrix, Unanswerable

LENGTH: Final = struct.Struct("<Q")
READY: Final = b"ready"
"""What the explaining process says first."""


def framed(message: bytes) -> bytes:
    """A message as it is sent."""
    return LENGTH.pack(len(message)) + message


def rows_to_bytes(rows: Matrix) -> bytes:
    """Rows to be explained."""
    file = io.BytesIO()
    np.save(file, np.asarray(rows, np.float64), allow_pickle=False)
    return file.getvalue()


def rows_from_bytes(message: bytes) -> Matrix:
    """What `rows_to_bytes` wrote."""
    rows: Matrix = np.load(io.BytesIO(message), allow_pickle=False)
    return rows


def to_bytes(said: Explained | Unanswerable) -> bytes:
    """An explanation, or why there is none."""
    if isinstance(said, Unanswerable):
        return orjson.dumps({"refused": str(said)})
    found = {**said._asdict(), "shape": said.attributions.shape, "attributions": said.attributions.ravel()}
    return orjson.dumps(
        {
            name: np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
            for name, value in found.items()
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def from_bytes(message: bytes) -> Explained:
    """What `to_bytes` wrote; raises Unanswerable where it says why there is no explanation."""
    said: dict[str, Any] = orjson.loads(message)
    if "refused" in said:
        raise Unanswerable(said["refused"])
    attributions = np.array(said["attributions"], np.float64).reshape(said["shape"])
    return Explained(np.array(said["expected"], np.float64), attributions, said["method"], said["orders"])
