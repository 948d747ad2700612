"""Pages hold what they are given as text, and load nothing."""

from __future__ import annotations

import doctest
import tomllib
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

import tidemill
from tidemill.runtime.html import charts, page
from tidemill.runtime.html.charts import AxisTexts, Distribution, PlottedPoint, Position
from tidemill.runtime.html.page import Badge, Fact, Figure, Section, Verdict

EVIL = "<script>alert('\"1\"')</script>&amp;"


def everything(text: str) -> str:
    """A page all of whose texts are `text`."""
    table = page.table(text, (text, text), ((text, Badge("bad", text)),), numbers=(1,))
    chart = charts.bars(
        text, text, Distribution((text,), (0.5,), (0.25,), AxisTexts((Position(0.5, text),), text), text), percent=True
    )
    line = charts.timeline(text, text, [PlottedPoint(1.0, "dot", "good")], limit=0.5, ends=[text])
    section = Section(
        text, (text,), (text,), (table,), (Figure(text, text, chart, table, text), Figure(text, text, line, table))
    )
    return page.page(text, Verdict("bad", text, (text,)), (Fact(text, text),), (section, None), footer=text)


def test_what_comes_from_outside_is_text_wherever_it_stands() -> None:
    paths = everything("§").count("§")

    written = everything(EVIL)

    assert paths > 20
    assert paths == written.count(str(escape(EVIL)))
    assert "<script" not in written


def test_a_page_needs_nothing_else_and_runs_nothing() -> None:
    written = everything("x")

    assert "default-src 'none'" in written
    assert not any(word in written for word in ("<script", "<link", "<img", "http:", "https:", "url("))
    assert "prefers-color-scheme: dark" in written and "width=device-width" in written


def test_the_templates_are_part_of_the_package() -> None:
    data = tomllib.loads((Path(tidemill.__file__).parents[2] / "pyproject.toml").read_text())
    [*_, pattern] = data["tool"]["setuptools"]["package-data"]["tidemill"]

    packed = set(Path(tidemill.__file__).parent.glob(pattern))

    assert {"page.html.j2", "parts.html.j2", "style.css"} <= {path.name for path in packed}
    assert page.TEMPLATES in {path.parent for path in packed}


SCALES = {
    "shares": (0.0, 0.33, [0.0, 0.1, 0.2, 0.3, 0.4]),
    "counts": (0.0, 1234.0, [0.0, 500.0, 1000.0, 1500.0]),
    "below zero": (-3.0, -1.0, [-3.0, -2.5, -2.0, -1.5, -1.0]),
    "large": (0.0, 8.64e7, [0.0, 5e7, 1e8]),
    "nothing": (0.0, 0.0, [0.0, 1.0]),
}


@pytest.mark.parametrize(("low", "high", "levels"), SCALES.values(), ids=SCALES.keys())
def test_a_scale_has_round_steps_and_holds_both_ends(low: float, high: float, levels: list[float]) -> None:
    assert levels == charts._levels(low, high)


def test_every_picture_has_a_scale_and_stays_within_its_frame() -> None:
    shown = Distribution(("a", "b"), (3.0, 1e9), axis=charts.named(("a", "b")))

    chart = charts.bars("t", "d", shown)

    assert len(chart.levels) >= 2 and "0" == chart.levels[0].text
    assert all(0 <= bar.y <= chart.floor and bar.y + bar.height <= chart.floor + 0.1 for bar in chart.bars)
    assert all(len(level.text) * 7 < chart.left for level in chart.levels)


def axis_of(values: list[float]) -> list[str]:
    return [text for _, text in charts.axis(values).positions]


LARGE: dict[str, list[float]] = {
    "epoch seconds": [1.7e9 + 21_600.0 * step for step in range(5)],
    "a billion and a little": [1e9 + 0.01 * step for step in range(5)],
    "a billion and nearly nothing": [1e9 + 1e-6 * step for step in range(5)],
    "identifiers": [float(2**53 - 10 + step) for step in range(5)],
    "tiny": [1e-12 * step for step in range(5)],
    "huge": [1e300 * step for step in range(5)],
    "hundreds of trillions of millions": [1e20 + 2.5e18 * step for step in range(5)],
    "the largest whole numbers that floats tell apart": [2.0**53 + 2 * step for step in range(5)],
    "snowflake ids": [2**60 + step for step in range(5)],
    "millions with cents": [1_234_567.25 + 0.01 * step for step in range(5)],
    "below zero": [-1.7e9 + 3600.0 * step for step in range(5)],
    "a distance of 1e-12 at a hundredth": [0.01 + 1e-12 * step for step in range(5)],
    "subnormal": [1e-310 * step for step in range(5)],
    "from one end of floats to the other": [-1.7e308, -8.5e307, 0.0, 8.5e307, 1.7e308],
}


@pytest.mark.parametrize("values", LARGE.values(), ids=LARGE.keys())
def test_ticks_of_large_numbers_differ_and_fit(values: list[float]) -> None:
    texts = axis_of(values)

    assert len(values) == len(set(texts))
    assert max(map(len, texts)) <= 6
    shown = charts.bars("t", "d", Distribution(("x",) * 20, (1.0,) * 20, axis=charts.axis(values))).ticks
    assert 5 == len(shown)


def test_examples_hold() -> None:
    assert 0 == doctest.testmod(charts).failed


def test_two_pictures_of_a_page_have_ids_of_their_own() -> None:
    import re

    ids: list[Any] = re.findall(r'id="([^"]+)"', everything("x"))

    assert len(ids) == len(set(ids)) == 4
