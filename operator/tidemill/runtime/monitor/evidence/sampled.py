"""Rows of a window that are kept as they are, for what cannot be added up."""

from __future__ import annotations

from typing import Final

from tidemill.contract.layout import LogColumn
from tidemill.runtime.model.signature import Signature

SAMPLED: Final = 5_000
"""Rows of the window that a classifier or an estimate of performance uses."""


def feature_columns(signature: Signature) -> list[str]:
    """Return the columns of the features, named as in the log."""
    return [LogColumn.FEATURE + feature.name for feature in signature.features]
