from __future__ import annotations

from tidemill.runtime.serve.rollout.circuit_breaker import Breaker


def test_a_few_failures_change_nothing() -> None:
    breaker = Breaker(after=3)
    for now in (0.0, 0.1):
        breaker.failed(now)

    assert breaker.lets_through(0.2)


def test_after_many_failures_one_request_in_a_while_is_risked() -> None:
    breaker = Breaker(after=3, pause=1.0)
    for now in (0.0, 0.1, 0.2):
        breaker.failed(now)

    assert [False, True, False, True] == [breaker.lets_through(now) for now in (1.1, 1.3, 1.4, 2.4)]


def test_one_success_closes_it() -> None:
    breaker = Breaker(after=1)
    breaker.failed(0.0)
    breaker.succeeded()

    assert breaker.lets_through(0.1)
    assert not breaker.open
