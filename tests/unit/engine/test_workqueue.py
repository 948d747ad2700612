"""Which object is visited next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.engine.workqueue import WorkQueue, backoff


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[WorkQueue[str], Clock]:
    clock = Clock()
    return WorkQueue(clock, lambda: 0.5), clock


def taken(queue: WorkQueue[str]) -> list[str]:
    """Everything there is to do now, each done at once."""
    results = []
    while (key := queue.take()) is not None:
        results.append(key)
        queue.done(key)
    return results


def test_a_key_waits_once_however_often_it_is_nudged() -> None:
    queue, _ = make()
    for _ in range(3):
        queue.add("a")

    assert taken(queue) == ["a"]


def test_keys_are_visited_in_the_order_in_which_they_came() -> None:
    queue, _ = make()
    for key in "bac":
        queue.add(key)

    assert taken(queue) == ["b", "a", "c"]


def test_no_key_is_visited_by_two_workers_at_a_time() -> None:
    queue, _ = make()
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")

    assert queue.take() is None


def test_a_key_nudged_during_its_visit_is_visited_again() -> None:
    queue, _ = make()
    queue.add("a")
    queue.take()
    queue.add("a")
    queue.done("a")

    assert taken(queue) == ["a"]


def test_a_change_does_not_stand_behind_routine_visits() -> None:
    queue, _ = make()
    for key in ("r1", "r2"):
        queue.add(key, urgent=False)
    queue.add("edit")
    queue.add("r2")

    assert taken(queue) == ["edit", "r2", "r1"]


def test_a_delayed_key_is_visited_when_its_time_has_come() -> None:
    queue, clock = make()
    queue.add_after("a", 10)
    clock.now = 9.9
    assert taken(queue) == []
    clock.now = 10.0

    assert taken(queue) == ["a"]


def test_only_the_newest_delay_of_a_key_counts() -> None:
    queue, clock = make()
    queue.add_after("a", 10)
    queue.add_after("a", 20)
    clock.now = 15.0
    assert taken(queue) == []
    clock.now = 20.0

    assert taken(queue) == ["a"]


def test_a_nudge_does_away_with_the_delay() -> None:
    queue, clock = make()
    queue.add_after("a", 10)
    queue.add("a")
    assert taken(queue) == ["a"]
    clock.now = 10.0

    assert taken(queue) == []


def test_failures_in_a_row_wait_longer_and_longer_until_one_goes_well() -> None:
    queue, clock = make()
    delays = []
    for _ in range(4):
        delays.append(queue.retry("a"))
        clock.now += delays[-1]
        taken(queue)
    queue.forget("a")

    assert delays == [0.5, 1.0, 2.0, 4.0]
    assert queue.retry("a") == 0.5


def test_a_refusal_waits_at_least_as_long_as_it_is_told() -> None:
    queue, _ = make()

    assert queue.retry("a", at_least=30.0) == 30.0


def test_the_queue_knows_how_long_to_sleep() -> None:
    queue, clock = make()
    assert queue.seconds_to_next() is None
    queue.add_after("a", 10)
    queue.add_after("b", 4)
    queue.add("b")
    clock.now = 3.0

    assert queue.seconds_to_next() == 7.0


def test_the_queue_knows_how_long_the_oldest_has_waited() -> None:
    queue, clock = make()
    queue.add("a")
    clock.now = 5.0
    queue.add("b")
    clock.now = 6.0

    assert queue.oldest_seconds() == 6.0


def test_nothing_is_due_for_a_key_that_is_gone() -> None:
    queue, clock = make()
    queue.retry("a")
    queue.drop("a")
    clock.now = 1000.0

    assert taken(queue) == []
    assert queue.failures("a") == 0


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_the_back_off_is_never_hot_and_hardly_longer_than_five_minutes(failures: int, jitter: float) -> None:
    assert 0.4 <= backoff(failures, jitter) <= 361.0


Step = tuple[str, str, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "routine", "later", "retry", "take", "done", "time"]),
        st.sampled_from("abc"),
        st.floats(0, 5),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_a_nudge_is_never_lost_and_a_key_never_visited_twice_at_once(steps: list[Step]) -> None:
    queue, clock = make()
    busy: list[str] = []
    owed: set[str] = set()
    for deed, key, seconds in steps:
        match deed:
            case "add" | "routine":
                queue.add(key, urgent=deed == "add")
                owed.add(key)
            case "later":
                queue.add_after(key, seconds)
            case "retry":
                queue.retry(key)
            case "take":
                result = queue.take()
                assert result not in busy
                if result is not None:
                    busy.append(result)
                    owed.discard(result)
            case "done" if busy:
                queue.done(busy.pop(0))
            case "time":
                clock.now += seconds
    for key in busy:
        queue.done(key)

    assert owed <= set(taken(queue))
