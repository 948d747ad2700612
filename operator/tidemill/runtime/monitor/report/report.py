"""The page about one window: the verdict first, then what moved, then every check and every column."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from tidemill.api.checks import CheckVerdict
from tidemill.api.monitorstatus import CheckStatus, Health, WindowRun
from tidemill.contract.health import ABOVE_THE_WORST, GOOD, WARNING, health
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.html.page import Tone, badge, facts, page, section, table, verdict
from tidemill.runtime.monitor.evidence.evidence import Evidence, plain
from tidemill.runtime.monitor.report import charts
from tidemill.runtime.monitor.report.timeline import PastRun, point_of, timeline_section
from tidemill.runtime.monitor.statistics.comparison import Comparison, missing_share

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
    past: Sequence[PastRun] = (),
) -> str:
    """The report of a check run as one HTML page; `past` are the monitor's earlier runs, oldest first."""
    scored = health_of(order, evidence, outcomes, found)
    parts = [
        verdict(TONES[found], sentence(found, outcomes), *reasons(found, outcomes)),
        facts(
            (
                *((("Health", f"{scored.score} of 100: {scored.grade}"),) if scored else ()),
                ("From (UTC)", f"{order.start:%Y-%m-%d %H:%M:%S}"),
                ("To (UTC)", f"{order.end:%Y-%m-%d %H:%M:%S}"),
                ("Service", order.service),
                ("Version", order.version.name),
                ("Rows served", f"{evidence.samples:,}"),
                ("Answered by the version", f"{evidence.answered:,}"),
                ("With labels", f"{evidence.labels:,}" if evidence.labels_counted else "not counted"),
                (
                    "Rows it learnt from" if order.reference is None else "Rows compared with",
                    f"{evidence.reference.features.rows:,}",
                ),
            )
        ),
    ]
    if warnings:
        parts.append(section("Take care", "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in warnings) + "</ul>"))
    parts.append(section("Checks", checks_table(outcomes)))
    if scored:
        parts.append(health_section(scored))
    columns = (*evidence.features, *evidence.outputs)
    parts.append(moved_section(columns, "what the version learnt from" if order.reference is None else "the reference"))
    if past:
        now = PastRun(order.end, order.version.name, {outcome.name: point_of(outcome) for outcome in outcomes})
        parts.append(timeline_section([*past, now], [outcome.name for outcome in outcomes]))
    parts.append(columns_section(columns))
    return page(
        f"{order.monitor}: is the tide coming in?",
        parts,
        footer=f"Tidemill drift check of {order.namespace}/{order.service}, version {order.version.name}.",
    )


def health_of(
    order: CheckOrder, evidence: Evidence, outcomes: Sequence[CheckOutcome], found: CheckVerdict
) -> Health | None:
    """How well the service is by what this window tells; its replicas are not known here."""
    checks = [
        CheckStatus(
            name=outcome.name,
            type=outcome.type,
            verdict=outcome.verdict,
            value=outcome.value,
            threshold=outcome.threshold,
        )
        for outcome in outcomes
    ]
    run = WindowRun(
        start=order.start, end=order.end, version=order.version.name, samples=evidence.samples, verdict=found
    )
    return health(checks, run)


def health_section(scored: Health) -> str:
    """What the score is made of, part by part."""
    rows = (
        (
            part.name,
            badge(_tone(part.score), f"{part.score} of 100"),
            f"{part.weight:.0%}",
            escape(part.message),
        )
        for part in scored.parts
    )
    explained = (
        f"{scored.score} of 100 is the mean of the parts by their weights, at most {ABOVE_THE_WORST} above the worst of "
        f"them, and below {GOOD} while a check fails. Parts of which this window says nothing are left out; whether the service's pods are ready, which a check "
        "run does not see, is part of the monitor's own status.health."
    )
    return section(
        "Health of the service",
        f'<p class="soft">{escape(explained)}</p>',
        table("What the health score is made of", ("Part", "Score", "Weight", "In words"), rows, numbers=(2,)),
    )


def _tone(score: int) -> Tone:
    return "good" if score >= GOOD else "warning" if score >= WARNING else "bad"


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


def moved_section(columns: Sequence[Comparison], before: str) -> str:
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
        f'<p class="soft">Filled bars: {before}. Outline: this window. Farthest first, by the stability index (PSI); before them columns that have lost values.</p>',
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
            f"{missing_share(column.reference):.1%}" if column.reference.rows else "–",
            f"{missing_share(column.current):.1%}" if column.current.rows else "–",
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
