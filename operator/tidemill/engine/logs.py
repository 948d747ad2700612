"""Format log records as lines for people, or as JSON for machines."""

from __future__ import annotations

import logging
import time

import orjson


class JsonLines(logging.Formatter):
    """Format each record as one JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


class Lines(logging.Formatter):
    """Format each record as time, level, logger and message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime


def configure(level: str, style: str) -> None:
    """Log everything from `level` up to standard error, as `text` or as `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if style == "json" else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # kopf logs its own start and requests on DEBUG and INFO; only its warnings matter.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, root.level))
