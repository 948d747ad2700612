"""Waiting for something to be true, with a bound and an answer."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooLate(AssertionError):
    """Something that was waited for did not happen in time."""


def until(
    what: str,
    question: Callable[[], T | None],
    *,
    seconds: float,
    poll: float = 0.5,
    explain: Callable[[], str] = lambda: "",
) -> T:
    """Ask until the answer is neither None nor False, for `seconds` at most; `explain` says how things stand instead."""
    deadline = time.monotonic() + seconds
    while True:
        result = question()
        if result is not None and result is not False:
            return result
        if time.monotonic() > deadline:
            raise TooLate(f"{what} did not happen within {seconds:g} s. {explain()}")
        time.sleep(poll)
