"""The layout of the object store: where logs, labels, counts and signals lie, and the columns of the prediction log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

PAYLOADS: Final = "_payloads"
"""The folder of the Secret for events, among those of checks, none of which can be named so."""


def signal_folder(namespace: str, monitor: str, check: str) -> str:
    """Where signals for an External check lie below the store's URI.

    >>> signal_folder("shop", "fraud", "alerts")
    'shop/monitors/fraud/signals/alerts'
    """
    return f"{namespace}/monitors/{monitor}/signals/{check}"


def check_folder(namespace: str, monitor: str) -> str:
    """Where a monitor's results and reports lie below the store's URI, a folder for each window.

    >>> check_folder("shop", "fraud")
    'shop/monitors/fraud'
    """
    return f"{namespace}/monitors/{monitor}"


def window_name(end: datetime) -> str:
    """Return the name of a window's folder; names sort by time.

    >>> window_name(datetime(2026, 3, 1, 10, 10, tzinfo=UTC))
    '2026-03-01T10-10-00Z'
    """
    return f"{end.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}"


def window_end(name: str) -> datetime | None:
    """Return the end of the window that a folder is named by; None for any other name.

    >>> window_end("2026-03-01T10-10-00Z")
    datetime.datetime(2026, 3, 1, 10, 10, tzinfo=datetime.timezone.utc)
    >>> window_end("signals")
    """
    try:
        return datetime.strptime(name, "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


class LogColumn:
    """Columns of the prediction log (Parquet), next to one per feature under its own name with this prefix."""

    REQUEST: Final = "request_id"
    ROW: Final = "row"
    TIME: Final = "time"
    VERSION: Final = "model_version"
    DIGEST: Final = "model_digest"
    ROLE: Final = "role"
    PREDICTION: Final = "prediction"
    SCORE: Final = "score"
    """Probability of the predicted class; missing for regression."""
    PROBABILITIES: Final = "probabilities"
    """Lists of one float32 per class, in the order of the version's classes; null for two classes, of which the score tells
    all, for more than MAX_CLASSES, and where the version gives none. Not there for regression, nor in older parts."""
    MAX_CLASSES: Final = 32
    FEATURE: Final = "feature:"
    """Prefix of feature columns."""
    LABEL: Final = "label"


def prediction_folder(namespace: str, service: str) -> str:
    """Where a service's prediction log lies below the store's URI, in partitions `date=YYYY-MM-DD/hour=HH/`."""
    return f"{namespace}/predictions/{service}"


def label_folder(namespace: str, service: str) -> str:
    """Where a service's labels lie below the store's URI, in the same partitions."""
    return f"{namespace}/labels/{service}"


def counts_folder(namespace: str, service: str) -> str:
    """Where serving pods put what they count of the log's rows below the store's URI, in the same partitions."""
    return f"{namespace}/counts/{service}"
