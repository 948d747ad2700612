"""The frame of every report: one self-contained page without scripts, readable by eye, by ear and in the dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, Literal

Tone = Literal["good", "warning", "bad", "quiet"]

# Colours keep a contrast of 4.5 : 1 on their ground, and blue and orange are told apart by all common kinds of sight;
# what they say is also said in words or by shape.
_STYLE: Final = """
:root { color-scheme: light dark; --ground: #ffffff; --panel: #f4f6f8; --ink: #17202a; --soft: #52606d; --line: #cfd6dd;
  --before: #9db4c8; --before-ink: #3f5f7d; --after: #b34700; --good: #0b6b3a; --warning: #8a5300; --bad: #b3261e; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --ground: #12171d; --panel: #1b232c; --ink: #e8edf2; --soft: #a7b4c0; --line: #3a4754;
  --before: #4d6b87; --before-ink: #9fc0de; --after: #ffa552; --good: #6fd39b; --warning: #ffc15e; --bad: #ff8d85; --link: #8ec5ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main, footer { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.25rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; } p { margin: .4rem 0; max-width: 75ch; } a { color: var(--link); }
footer, .soft { color: var(--soft); font-size: .875rem; }
.verdict { border-left: .4rem solid var(--soft); background: var(--panel); padding: .75rem 1rem; margin: 1rem 0; font-size: 1.1rem; }
.verdict p { margin: 0; } .verdict ul { margin: .4rem 0 0; padding-left: 1.4rem; font-size: 1rem; }
.verdict.good { border-color: var(--good); } .verdict.warning { border-color: var(--warning); } .verdict.bad { border-color: var(--bad); }
.tone { font-weight: 600; white-space: nowrap; } .tone.good { color: var(--good); } .tone.warning { color: var(--warning); }
.tone.bad { color: var(--bad); } .tone.quiet { color: var(--soft); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dl.facts dt { color: var(--soft); font-size: .8rem; } dl.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .25rem 0; font-size: .875rem; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; } tbody th { font-weight: 600; }
td:last-child:not(.number) { min-width: 16rem; } td.number, th.number { text-align: right; white-space: nowrap; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.25rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: .4rem; padding: .9rem 1rem; min-width: 0; }
figcaption { margin-bottom: .5rem; } svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
details { margin-top: .5rem; } summary { cursor: pointer; color: var(--link); font-size: .875rem; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
@media print { details > * { display: revert; } }
"""
_SYMBOLS: Final[dict[Tone, str]] = {"good": "✓", "warning": "▲", "bad": "✕", "quiet": "–"}


def page(title: str, parts: Iterable[str], *, footer: str = "") -> str:
    """A whole HTML document of `parts`, which are HTML already; `title` and `footer` are text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + f"\n</main>\n<footer>{escape(footer or 'Made by Tidemill.')}</footer>\n</body>\n</html>\n"
    )


def verdict(tone: Tone, sentence: str, *reasons: str) -> str:
    """What the page says, first and in a sentence, with its reasons beneath; all text.

    >>> verdict("good", "Nothing has moved.")
    '<p class="verdict good"><span class="tone good" aria-hidden="true">✓</span> Nothing has moved.</p>'
    """
    said = f'<span class="tone {tone}" aria-hidden="true">{_SYMBOLS[tone]}</span> {escape(sentence)}'
    if not reasons:
        return f'<p class="verdict {tone}">{said}</p>'
    listed = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f'<div class="verdict {tone}"><p>{said}</p><ul>{listed}</ul></div>'


def badge(tone: Tone, word: str) -> str:
    """A word in its colour with a sign, as HTML.

    >>> badge("bad", "Failing")
    '<span class="tone bad"><span aria-hidden="true">✕</span> Failing</span>'
    """
    return f'<span class="tone {tone}"><span aria-hidden="true">{_SYMBOLS[tone]}</span> {escape(word)}</span>'


def facts(entries: Iterable[tuple[str, str]]) -> str:
    """Names and values, as text, in a grid."""
    return (
        '<dl class="facts">'
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in entries)
        + "</dl>"
    )


def section(heading: str, *parts: str) -> str:
    """A part of the page under a heading; `parts` are HTML."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "\n</section>"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table whose cells are HTML and whose first cell names the row; columns in `numbers` stand right."""

    def kind(place: int) -> str:
        return ' class="number"' if place in numbers else ""

    top = "".join(f'<th scope="col"{kind(place)}>{escape(name)}</th>' for place, name in enumerate(head))
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{cell}</th>' if place == 0 else f"<td{kind(place)}>{cell}</td>"
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    # A wide table scrolls by keyboard too, for which it must take the focus.
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
