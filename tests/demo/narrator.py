"""Tells what happens while it happens: one line for each thing that did, and one that moves for what is going on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

QUIET_SECONDS = 10.0
"""Where no terminal watches, how often the moving line is written."""


class Narrator:
    """Writes to a person, or to a log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status: Status | None = None
        self._last_pulse = 0.0

    def headline(self, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{text}", align="left")

    def say(self, text: str) -> None:
        """Something that happened."""
        self.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {text}")

    def event(self, about: str, reason: str, message: str, *, warning: bool) -> None:
        """A Kubernetes Event of the operator's."""
        colour = "yellow" if warning else "cyan"
        self.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/]   [{colour}]{about}[/] {reason}: ", end="")
        self.console.print(message, markup=False, highlight=False, overflow="ellipsis", no_wrap=True)

    def pulse(self, text: str) -> None:
        """How things stand at this moment."""
        if self._status is not None and self.console.is_terminal:
            self._status.update(text)
        elif time.monotonic() - self._last_pulse > QUIET_SECONDS:
            self._last_pulse = time.monotonic()
            self.console.print(f"           [dim]{text}[/]")

    @contextmanager
    def watching(self, text: str) -> Iterator[None]:
        """Something is awaited."""
        self._last_pulse = time.monotonic()
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(text) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None
