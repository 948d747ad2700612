"""The page about one window: the verdict first, then what moved, then every check and every column."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from tidemill.api.driftmonitor import CheckVerdict
from tidemill.contract import CheckOrder, CheckOutcome
from tidemill.runtime.monitor import charts
from tidemill.runtime.monitor.comparison import Comparison, missing_share
from tidemill.runtime.monitor.evidence import Evidence, plain
from tidemill.runtime.monitor.timeline import Run, point_of, timeline_section
from tidemill.runtime.reports.page import Tone, badge, facts, page, section, table, verdict

PICTURES = 6
TORN = 0.1
"""A column that lacks so many more values than before is shown first."""
LISTED = 200
"""Columns in the table; wider tables are told in full by the result beside the report."""

TONES: Final[dict[CheckVerdict, Tone]] = {"Passing": "good", "Warning": "warning", "Failing": "bad", "NoData": "quiet"}


def of_check(
    order: CheckOrder,
    evidence: Evidence,
    outcomes: Sequence[CheckOutcome],
    found: CheckVerdict,
    warnings: Sequence[str],
    past: Sequence[Run] = (),
) -> str:
    """The report of a check run as one HTML page; `past` are the monitor's earlier runs, oldest first."""
    parts = [
        verdict(TONES[found], sentence(found, outcomes), *reasons(found, outcomes)),
        facts(
            (
                ("From (UTC)", f"{order.start:%Y-%m-%d %H:%M:%S}"),
                ("To (UTC)", f"{order.end:%Y-%m-%d %H:%M:%S}"),
                ("Service", order.service),
                ("Version", order.version.name),
                ("Rows served", f"{evidence.samples:,}"),
                ("Answered by the version", f"{evidence.answered:,}"),
                ("With labels", f"{evidence.labels:,}" if evidence.labels_counted else "not counted"),
                ("Rows it learnt from", f"{evidence.reference.features.rows:,}"),
            )
        ),
    ]
    if warnings:
        parts.append(section("Take care", "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in warnings) + "</ul>"))
    parts.append(section("Checks", checks_table(outcomes)))
    columns = (*evidence.features, *evidence.outputs)
    parts.append(moved_section(columns))
    if past:
        now = Run(order.end, order.version.name, {outcome.name: point_of(outcome) for outcome in outcomes})
        parts.append(timeline_section([*past, now], [outcome.name for outcome in outcomes]))
    parts.append(columns_section(columns))
    return page(
        f"{order.monitor}: is the tide coming in?",
        parts,
        footer=f"Tidemill drift check of {order.namespace}/{order.service}, version {order.version.name}.",
    )


def sentence(found: CheckVerdict, outcomes: Sequence[CheckOutcome]) -> str:
    """The verdict in words.

    >>> sentence("Passing", [])
    'Passing: nothing has moved beyond its limits.'
    """
    telling = sum(outcome.verdict == found for outcome in outcomes)
    match found:
        case "Passing":
            silent = sum(outcome.verdict == "NoData" for outcome in outcomes)
            return "Passing: nothing has moved beyond its limits" + (
                f"; {silent} of {len(outcomes)} checks had too little data." if silent else "."
            )
        case "NoData":
            return "No data: nothing can be told of this window, which does not mean that nothing has moved."
        case _:
            does = {"Failing": ("fails", "fail"), "Warning": ("warns", "warn")}[found]
            return f"{found}: {telling} of {len(outcomes)} checks {does[0] if telling == 1 else does[1]}."


def reasons(found: CheckVerdict, outcomes: Sequence[CheckOutcome]) -> list[str]:
    """What the checks behind a verdict that is not good say."""
    if found == "Passing":
        return []
    return [f"{outcome.name}: {outcome.message}." for outcome in outcomes if outcome.verdict == found]


def checks_table(outcomes: Sequence[CheckOutcome]) -> str:
    """Every check with its verdict and threshold."""
    rows = (
        (
            escape(outcome.name),
            escape(outcome.type),
            badge(TONES[outcome.verdict], "No data" if outcome.verdict == "NoData" else outcome.verdict),
            number(outcome.value)
            + ("" if outcome.lower is None else f" ({number(outcome.lower)} to {number(outcome.upper)})"),
            number(outcome.threshold),
            escape(outcome.message),
        )
        for outcome in outcomes
    )
    return table(
        "Every check of this window",
        ("Check", "Type", "Verdict", "Value", "Threshold", "In words"),
        rows,
        numbers=(3, 4),
    )


def moved_section(columns: Sequence[Comparison]) -> str:
    """The columns that moved most, before and now, as pictures."""
    comparable = sorted(
        (column for column in columns if column.comparable), key=lambda column: -column.statistics["PSI"]
    )
    # A column that has just lost values is shown, however well the rest of it behaves.
    torn = [column for column in comparable if column.statistics["MissingShareShift"] > TORN][: PICTURES // 2]
    shown = (torn + [column for column in comparable if column not in torn])[:PICTURES]
    if not shown:
        return section("What moved most", "<p>No column has values on both sides to compare.</p>")
    figures = []
    for place, column in enumerate(shown):
        name = plain(column.name)
        distribution = charts.bars(column)
        figures.append(
            f'<figure><figcaption><h3>{escape(name)}</h3><p class="soft">{escape(caption(column))}</p></figcaption>'
            + charts.picture(name, distribution, f"picture-{place}")
            + (f'<p class="soft">{escape(distribution.beyond)}</p>' if distribution.beyond else "")
            + charts.numbers(name, distribution)
            + "</figure>"
        )
    return section(
        "What moved most",
        '<p class="soft">Filled bars: what the version learnt from. Outline: this window. Farthest first, by the stability index (PSI); before them columns that have lost values.</p>',
        '<div class="pictures">' + "\n".join(figures) + "</div>",
    )


def caption(column: Comparison) -> str:
    """A column's change in a line."""
    statistics = column.statistics
    told = [f"PSI {number(statistics['PSI'])}"]
    if "MeanShift" in statistics:
        told.append(f"mean moved by {statistics['MeanShift']:+.2f} spreads to {number(statistics['Mean'])}")
    if statistics.get("NewCategoryShare"):
        told.append(f"{statistics['NewCategoryShare']:.1%} unknown categories")
    if statistics["MissingShareShift"] > 0.01:
        told.append(f"missing {missing_share(column.reference):.1%} before, {missing_share(column.current):.1%} now")
    return "; ".join(told)


def columns_section(columns: Sequence[Comparison]) -> str:
    """Every column with its main statistics."""
    order = sorted(columns, key=lambda column: (-column.statistics.get("PSI", -1.0), column.name))
    rows = (
        (
            escape(plain(column.name)),
            *(
                number(column.statistics.get(name))
                for name in ("PSI", "JensenShannon", "KolmogorovSmirnov", "WassersteinNormalised", "MeanShift")
            ),
            f"{missing_share(column.reference):.1%}",
            f"{missing_share(column.current):.1%}",
        )
        for column in order[:LISTED]
    )
    head = (
        "Column",
        "PSI",
        "Jensen-S.",
        "Kolmogorov-S.",
        "Wasserstein",
        "Mean shift",
        "Missing before",
        "now",
    )
    more = f" The first {LISTED} of {len(order)}." if len(order) > LISTED else ""
    return section(
        "Every column",
        table(
            f"Distances of every column, the farthest first; Wasserstein and mean shift in spreads of the reference.{more}",
            head,
            rows,
            numbers=range(1, 8),
        ),
    )


def number(value: float | None) -> str:
    """A number for a table.

    >>> number(0.123456), number(None), number(12345.6)
    ('0.123', '–', '12,346')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
