"""What is being done and how long it took, one line each, on standard error."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(stderr=True, highlight=False)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce `text`, run the body, and say how long it took; in a terminal a spinner shows that it is alive."""
    began = time.monotonic()
    mark = "[red]✗[/]"
    if not sys.stderr.isatty():
        console.print(f"  {text} …")
    try:
        if sys.stderr.isatty():
            with console.status(text):
                yield
        else:
            yield
        mark = "[green]✓[/]"
    finally:
        console.print(f"{mark} {text} [dim]({_duration(time.monotonic() - began)})[/]")


def note(text: str) -> None:
    """Say something that takes no time."""
    console.print(f"  {text}")


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
