"""Waiting for something to be true, with a bound and an answer."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


class TooLate(AssertionError):
    """Something that was waited for did not happen in time."""


def until(
    what: str,
    question: Callable[[], Found | None],
    *,
    seconds: float,
    poll: float = 0.5,
    explain: Callable[[], str] = lambda: "",
) -> Found:
    """Ask until the answer is neither None nor False, for `seconds` at most; `explain` says how things stand instead."""
    deadline = time.monotonic() + seconds
    while True:
        found = question()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise TooLate(f"{what} did not happen within {seconds:g} s. {explain()}")
        time.sleep(poll)
