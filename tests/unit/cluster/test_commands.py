"""What is said when another program fails."""

import pytest

from cluster.commands import CommandFailed, answers, run, twice


def test_the_error_shows_what_the_program_said_last() -> None:
    with pytest.raises(CommandFailed, match="the reason"):
        run(["sh", "-c", "echo the reason >&2; exit 3"])


def test_a_missing_program_is_named() -> None:
    with pytest.raises(CommandFailed, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_a_program_that_hangs_does_not_answer() -> None:
    assert not answers(["sleep", "5"], timeout=0.05)


def test_what_fails_once_is_tried_once_more() -> None:
    calls = []

    def hiccup() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise CommandFailed("a hiccup")
        return "done"

    assert "done" == twice(hiccup)


def test_what_fails_twice_has_failed() -> None:
    calls = []

    def broken() -> None:
        calls.append(1)
        raise CommandFailed("broken")

    with pytest.raises(CommandFailed):
        twice(broken)
    assert 2 == len(calls)
