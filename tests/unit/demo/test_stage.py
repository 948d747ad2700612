from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from demo import stage
from demo.narrator import Narrator
from demo.stage import NotPlayed, Stage
from support.waiting import TooLate


def story() -> SimpleNamespace:
    return SimpleNamespace(narrator=Narrator(Console(file=StringIO())))


def fails(error: Exception) -> Stage:
    def play(*_: object) -> str:
        raise error

    return Stage("it breaks", "thing/a", 1, play)


FINE = Stage("it works", "thing/a", 1, lambda *_: "42")


def test_stages_are_played_in_order_and_keep_their_figures() -> None:
    played = stage.play(story(), [FINE, FINE])

    assert [(each.stage.title, each.figure) for each in played] == [("it works", "42")] * 2


@pytest.mark.parametrize("error", [TooLate("not within 1 s"), AssertionError("another outcome")])
def test_the_first_stage_that_does_not_happen_ends_the_story_and_keeps_what_did(error: Exception) -> None:
    with pytest.raises(NotPlayed, match=f"it breaks: {error}") as caught:
        stage.play(story(), [FINE, fails(error), FINE])

    assert [each.stage.title for each in caught.value.played] == ["it works"]
