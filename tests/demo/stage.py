"""A stage of the story: something that has to happen, within a bound, and what was seen when it did."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.waiting import TooLate

if TYPE_CHECKING:
    from demo.story import Story


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that has to happen."""

    title: str
    about: str
    """The object that shows it, as kubectl names it."""
    seconds: float
    """Within which it has to happen."""
    play: "Callable[[Story, float], str]"
    """Makes or awaits it, within so many seconds; returns a figure for the table."""


@dataclass(frozen=True, slots=True)
class Played:
    """A stage that happened."""

    stage: Stage
    seconds: float
    figure: str


class NotPlayed(RuntimeError):
    """A stage did not happen; what did is kept."""

    def __init__(self, stage: Stage, why: str, played: Sequence[Played]) -> None:
        super().__init__(f"{stage.title}: {why}")
        self.played = tuple(played)


def play(story: "Story", stages: Sequence[Stage]) -> list[Played]:
    """Play the stages in order; raises NotPlayed at the first that does not happen."""
    played: list[Played] = []
    for stage in stages:
        story.narrator.headline(stage.title)
        began = time.monotonic()
        try:
            with story.narrator.watching(stage.title):
                figure = stage.play(story, stage.seconds)
        except TooLate as late:
            raise NotPlayed(stage, str(late), played) from late
        except AssertionError as wrong:
            raise NotPlayed(stage, str(wrong), played) from wrong
        played.append(Played(stage, time.monotonic() - began, figure))
        story.narrator.say(f"[green]✓[/] {stage.title} [dim]({played[-1].seconds:.0f} s)[/] {figure}")
    return played
