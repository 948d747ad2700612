"""The page about a window can be read by eye, by ear, and without a network."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tidemill.api.checks import Check

INPUTS = Check(name="inputs", type="FeatureDrift", failing=0.2, share=0.15)
_VOID = {"meta", "line", "rect", "path", "br", "img", "link", "input"}


class Page(HTMLParser):
    """A page as a reader's tools see it; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(life: Any) -> Page:
    rows, labels = life.draw(250, scaled=1.25)
    rows[::2, 4] = np.nan
    life.serve(rows, labels=labels)
    checked = life.check(INPUTS)
    return Page(life.store.get(life.store.key_of(checked.report_uri)).decode())


def test_the_verdict_comes_first(page: Page) -> None:
    words = " ".join(" ".join(page.texts).split())

    assert words.index("Failing: 1 of 1 checks fails.") < words.index("Rows served") < words.index("What moved most")


def test_every_picture_says_in_words_what_it_shows(page: Page) -> None:
    pictures = page.all("svg")
    named = {attributes["id"] for tag, attributes in page.tags if tag in ("title", "desc") and "id" in attributes}

    assert 6 == len(pictures)
    assert {"img"} == {picture["role"] for picture in pictures}
    assert all(set((picture["aria-labelledby"] or "").split()) <= named for picture in pictures)
    assert 12 == len(named)


def test_every_picture_has_its_numbers_in_a_table(page: Page) -> None:
    assert len(page.all("svg")) == len(page.all("details"))
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    assert len(page.all("table")) == len(page.all("caption"))


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(page: Page) -> None:
    assert [] == page.all("script") + page.all("link") + page.all("img") + page.all("iframe")
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in (policy or "")


def test_a_column_that_lost_values_is_shown_first(page: Page) -> None:
    words = " ".join(" ".join(page.texts).split())

    assert words.index("mean smoothness") < words.index("mean radius", words.index("What moved most"))


def test_names_from_outside_are_text_and_never_markup(life: Any) -> None:
    rows, _ = life.draw(250)
    life.serve(rows)
    check = INPUTS.model_copy(update={"name": "<script>alert(1)</script>"})

    text = life.store.get(life.store.key_of(life.check(check).report_uri)).decode()

    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_window_without_rows_has_a_page_too(life: Any) -> None:
    text = life.store.get(life.store.key_of(life.check(INPUTS).report_uri)).decode()

    assert "which does not mean that nothing has moved" in text
    Page(text)


def test_a_page_is_small(life: Any) -> None:
    rows, labels = life.draw(250, scaled=1.25)
    life.serve(rows, labels=labels)

    assert len(life.store.get(life.store.key_of(life.check(INPUTS).report_uri))) < 100_000


def test_earlier_windows_are_shown_with_their_limits_and_where_a_version_took_over(life: Any) -> None:
    from datetime import timedelta

    from tidemill.runtime.monitor import job as check

    order = life.order(INPUTS)
    for days in (3, 2, 1):
        rows, _ = life.draw(200, days)
        earlier = timedelta(days=days)
        life.serve(rows, at=order.start - earlier + timedelta(minutes=1))
        check.run(order.model_copy(update={"start": order.start - earlier, "end": order.end - earlier}), life.store)
    life.version = life.publish("fraud-2")
    rows, _ = life.draw(250, scaled=1.25)
    life.serve(rows)

    text = life.store.get(life.store.key_of(life.check(INPUTS).report_uri)).decode()

    page = Page(text)
    words = " ".join(" ".join(page.texts).split())
    assert "4 windows, 1 of them failing." in words
    assert 'stroke-dasharray="6 4"' in text and 'stroke-dasharray="2 3"' in text
    assert words.index("What moved most") < words.index("History") < words.index("Every column")


def test_a_result_that_was_spoilt_is_left_out_of_the_timeline(life: Any) -> None:
    life.store.put("ns/monitors/fraud-watch/2026-02-01T00-00-00Z/result.json", b"{")
    rows, _ = life.draw(200)
    life.serve(rows)

    assert "Passing" == life.check(INPUTS).verdict


def of_window(life: Any, *checks: Check) -> Page:
    return Page(life.store.get(life.store.key_of(life.check(*checks).report_uri)).decode())


def words_of(page: Page) -> str:
    return " ".join(" ".join(page.texts).split())


def test_the_health_score_is_shown_with_its_parts_and_is_not_good_while_a_check_fails(life: Any) -> None:
    rows, labels = life.draw(250)
    rows[:170, 3] = np.nan
    life.serve(rows, labels=labels)
    sound = {"name": "sound", "type": "DataQuality", "rules": [{"metric": "MissingShare", "maximum": 0.1}]}
    right = {"name": "right", "type": "Performance", "metric": "accuracy", "minimum": 0.5}
    checks = [Check.model_validate(check) for check in (sound, right)]

    words = words_of(of_window(life, *checks))

    assert life.result()["health"]["grade"] == "Warning"
    assert f"Health {life.result()['health']['score']} of 100: Warning" in words
    assert {"Performance", "Freshness"} == {part["name"] for part in life.result()["health"]["parts"]}
    assert "sound is Failing (0.68, bound 0.1)" in words


def test_a_warning_says_what_is_worth_one(life: Any) -> None:
    rows, _ = life.draw(250, scaled=1.25)
    life.serve(rows)

    words = words_of(of_window(life, INPUTS.model_copy(update={"warning": 0.2, "failing": 5.0})))

    assert "0% of the features, by weight, have moved by PSI 5 or more" in words
    assert "have moved by 0.2 or more, which is worth a warning" in words


def test_nothing_is_said_of_the_values_of_rows_that_are_not_there(life: Any) -> None:
    words = words_of(of_window(life, INPUTS))

    assert "mean radius – – – – – 0.0% –" in words


def test_headings_do_not_skip_a_level_and_every_cell_has_a_heading_of_its_own(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]

    assert 1 == levels.count(1) and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(cell.get("scope") in {"col", "row"} for cell in page.all("th"))
    assert len(page.all("table")) == len(page.all("caption")) > 0


def test_texts_keep_a_contrast_of_four_and_a_half_on_every_ground() -> None:
    import re

    from tidemill.runtime.html.page import style

    def light(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    for scheme in re.findall(r":root \{(.*?)\}", style(), re.DOTALL):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", scheme))
        for ground in ("ground", "panel"):
            for text in ("ink", "soft", "before-ink", "after", "good", "warning", "bad", "link"):
                high, low = sorted((light(colours[ground]), light(colours[text])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, f"--{text} on --{ground}"
