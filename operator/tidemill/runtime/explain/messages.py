"""Messages between a serving process and the one that explains, with their length in front.

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
"""The first message of the explaining process."""


def framed(message: bytes) -> bytes:
    """A message as it is sent."""
    return LENGTH.pack(len(message)) + message


def rows_to_bytes(rows: Matrix) -> bytes:
    """Rows to be explained."""
    file = io.BytesIO()
    np.save(file, np.asarray(rows, np.float64), allow_pickle=False)
    return file.getvalue()


def rows_from_bytes(message: bytes) -> Matrix:
    """Return what `rows_to_bytes` wrote."""
    rows: Matrix = np.load(io.BytesIO(message), allow_pickle=False)
    return rows


def to_bytes(outcome: Explained | Unanswerable) -> bytes:
    """An explanation, or why there is none."""
    if isinstance(outcome, Unanswerable):
        return orjson.dumps({"refused": str(outcome)})
    fields = {**outcome._asdict(), "shape": outcome.attributions.shape, "attributions": outcome.attributions.ravel()}
    return orjson.dumps(
        {
            name: np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
            for name, value in fields.items()
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def from_bytes(message: bytes) -> Explained:
    """Return what `to_bytes` wrote; raises Unanswerable where it says why there is no explanation."""
    parsed: dict[str, Any] = orjson.loads(message)
    if "refused" in parsed:
        raise Unanswerable(parsed["refused"])
    attributions = np.array(parsed["attributions"], np.float64).reshape(parsed["shape"])
    return Explained(np.array(parsed["expected"], np.float64), attributions, parsed["method"], parsed["orders"])
