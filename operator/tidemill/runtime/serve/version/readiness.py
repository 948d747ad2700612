"""The readiness of this process for requests, with the reason where it is not ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from tidemill.runtime.protocol.errors import HTTPError


@dataclass(slots=True)
class State:
    """Unready until a version is loaded and has given its golden answers, while a loop that it needs stands still, and again when
    the process is told to stop."""

    loaded: bool = False
    draining: bool = False
    reason: str = "Loading"
    """A stable word."""
    message: str = "the model is being loaded"
    """A sentence for a person: what is missing and what to do."""
    attempts: int = 0
    stopped: Callable[[], str] = str
    """Returns why a background loop stands still; empty while all of them turn."""

    def readiness(self, model: str = "") -> tuple[bool, bytes]:
        """Return whether to send requests, and a body that says why not; it names the `model` if one is given."""
        body: dict[str, Any] = {"name": model} if model else {}
        if self.draining:
            return False, orjson.dumps(
                {**body, "ready": False, "reason": "Draining", "error": "this process was told to stop"}
            )
        if not self.loaded:
            return False, orjson.dumps({**body, "ready": False, "reason": self.reason, "error": self.message})
        if stopped := self.stopped():
            message = f"{stopped}; see the log of this pod, and delete the pod if this does not end"
            return False, orjson.dumps({**body, "ready": False, "reason": "LoopStopped", "error": message})
        return True, orjson.dumps({**body, "ready": True})

    def refusal(self) -> HTTPError:
        """Return the error for a request that needs the model before it is there."""
        return HTTPError(503, f"the model is not ready: {self.message}")

    def waits(self, reason: str, message: str) -> None:
        """An attempt to load failed."""
        self.attempts += 1
        self.reason, self.message = reason, message

    def report(self) -> dict[str, Any]:
        stopped = self.stopped() if self.loaded else ""
        return {
            "ready": self.loaded and not self.draining and not stopped,
            "draining": self.draining,
            "reason": ("LoopStopped" if stopped else "") if self.loaded else self.reason,
            "message": stopped if self.loaded else self.message,
            "attempts": self.attempts,
        }
