"""HTML pages from Jinja2 templates: self-contained, without scripts, readable by eye, by ear, on a phone and in the dark.

Templates escape every value that they are given, so what comes from outside stays text. Pages are made of the parts that
are declared here: plain values, which `parts.html.j2` draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tidemill.runtime.html.charts import Chart

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).parent / "templates"

Tone = Literal["good", "warning", "bad", "quiet"]
_SYMBOLS: Final[dict[Tone, str]] = {"good": "✓", "warning": "▲", "bad": "✕", "quiet": "–"}


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in its colour, with a sign for readers who do not see colours."""

    tone: Tone
    word: str


Cell = str | Badge


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a page says: first of all, and in a sentence, with its reasons beneath."""

    tone: Tone
    sentence: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A name with its value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading each; the first cell names its row, and columns in `numbers` are set right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its caption and, folded away, its numbers."""

    heading: str
    caption: str
    chart: Chart
    numbers: Table
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    """A list."""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Cell]], *, numbers: Iterable[int] = ()) -> Table:
    """Return a table of any sequences."""
    return Table(caption, tuple(head), tuple(tuple(row) for row in rows), frozenset(numbers))


def page(
    title: str,
    verdict: Verdict,
    facts: Iterable[Fact | tuple[str, str]],
    sections: Iterable[Section | None],
    *,
    footer: str = "",
) -> str:
    """Return a whole HTML document; sections that are None are left out."""
    return render(
        "page.html.j2",
        title,
        verdict,
        facts,
        sections=[section for section in sections if section is not None],
        footer=footer,
    )


def render(
    template: str,
    title: str,
    verdict: Verdict,
    facts: Iterable[Fact | tuple[str, str]],
    *,
    footer: str = "",
    **values: object,
) -> str:
    """Return a whole HTML document from a template that extends the page's, with `values` of its own."""
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            verdict=verdict,
            facts=[Fact(*fact) if isinstance(fact, tuple) else fact for fact in facts],
            footer=footer or "Made by Tidemill.",
            **values,
        )
    )


@cache
def _environment() -> Environment:
    # Imported here: comparing two tables needs it only where a page is asked for.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["symbols"] = _SYMBOLS
    environment.tests["badge"] = lambda cell: isinstance(cell, Badge)
    return environment


def style() -> str:
    """Return the style sheet of all pages."""
    return (TEMPLATES / "style.css").read_text("utf-8")
