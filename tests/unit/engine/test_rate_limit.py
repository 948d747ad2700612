"""How fast we may ask."""

from __future__ import annotations

from tidemill.engine.rate_limit import RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_free_and_what_follows_keeps_the_rate() -> None:
    budget = RateLimiter(rate=10, burst=3, clock=Clock())

    assert [round(budget.reserve(), 6) for _ in range(5)] == [0.0, 0.0, 0.0, 0.1, 0.2]


def test_a_quiet_time_fills_the_reserve_but_no_further() -> None:
    clock = Clock()
    budget = RateLimiter(rate=10, burst=2, clock=clock)
    for _ in range(2):
        budget.reserve()
    clock.now = 100.0

    assert [round(budget.reserve(), 6) for _ in range(3)] == [0.0, 0.0, 0.1]


def test_everyone_waits_while_the_server_wants_to_be_left_alone() -> None:
    clock = Clock()
    budget = RateLimiter(rate=10, burst=3, clock=clock)
    budget.pause(5)
    assert budget.reserve() == 5.0
    clock.now = 5.0

    assert budget.reserve() == 0.0
