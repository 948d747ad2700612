"""The page about one window: the verdict first, then what moved, then every check and every column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tidemill.api.methods import CheckVerdict
from tidemill.api.monitorstatus import CheckStatus, Health, WindowRun
from tidemill.contract.health import ABOVE_THE_WORST, GOOD, WARNING, health
from tidemill.contract.numbers import NONE, number
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.html import charts
from tidemill.runtime.html.page import Badge, Fact, Figure, Section, Table, Tone, Verdict, page, table
from tidemill.runtime.monitor.evidence.evidence import Evidence, plain
from tidemill.runtime.monitor.report.distributions import describe, distribution
from tidemill.runtime.monitor.report.timeline import PastRun, point_of, timeline_section
from tidemill.runtime.monitor.statistics.comparison import Comparison, missing_share

MAX_PICTURES: Final = 6
MIN_TORN_SHARE: Final = 0.1
"""A column that lacks so many more values than before is shown first."""
MAX_LISTED: Final = 200
"""Columns in the table; the result next to the report holds all columns of a wider table."""

TONES: Final[dict[CheckVerdict, Tone]] = {"Passing": "good", "Warning": "warning", "Failing": "bad", "NoData": "quiet"}


def of_check(
    order: CheckOrder,
    evidence: Evidence,
    outcomes: Sequence[CheckOutcome],
    verdict: CheckVerdict,
    warnings: Sequence[str],
    past: Sequence[PastRun] = (),
) -> str:
    """Return the report of a check run as one HTML page; `past` are the monitor's earlier runs, oldest first."""
    scored = health_of(order, evidence, outcomes, verdict)
    columns = (*evidence.inputs.columns, *evidence.answers.columns)
    trained = order.reference is None
    history = None
    if past:
        now = PastRun(order.end, order.version.name, {outcome.name: point_of(outcome) for outcome in outcomes})
        history = timeline_section([*past, now], [outcome.name for outcome in outcomes])
    return page(
        f"Drift report: {order.monitor}",
        Verdict(TONES[verdict], sentence(verdict, outcomes), tuple(reasons(verdict, outcomes))),
        (
            *((Fact("Health", f"{scored.score} of 100: {scored.grade}"),) if scored else ()),
            Fact("From (UTC)", f"{order.start:%Y-%m-%d %H:%M:%S}"),
            Fact("To (UTC)", f"{order.end:%Y-%m-%d %H:%M:%S}"),
            Fact("Service", order.service),
            Fact("Version", order.version.name),
            Fact("Rows served", f"{evidence.coverage.rows:,}"),
            Fact("Answered by the version", f"{evidence.answers.rows:,}"),
            Fact("With labels", f"{evidence.labels.count:,}" if evidence.labels.counted else "not counted"),
            Fact("Rows of training data" if trained else "Rows compared with", f"{evidence.reference.features.rows:,}"),
        ),
        (
            Section("Warnings", items=tuple(warnings)) if warnings else None,
            Section("Checks", tables=(checks_table(outcomes),)),
            health_section(scored) if scored and scored.score is not None else None,
            moved_section(columns, "the training data of the version" if trained else "the reference"),
            history,
            columns_section(columns),
        ),
        footer=f"Tidemill drift check of {order.namespace}/{order.service}, version {order.version.name}.",
    )


def health_of(
    order: CheckOrder, evidence: Evidence, outcomes: Sequence[CheckOutcome], verdict: CheckVerdict
) -> Health | None:
    """Return the health score of the service by this window; its replicas are not known here."""
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
        start=order.start, end=order.end, version=order.version.name, samples=evidence.coverage.rows, verdict=verdict
    )
    return health(checks, run)


def health_section(scored: Health) -> Section:
    """Return what the score is made of, part by part."""
    rows = (
        (part.name, Badge(_tone(part.score), f"{part.score} of 100"), f"{part.weight:.0%}", part.message)
        for part in scored.parts
    )
    explained = (
        f"{scored.score} of 100 is the mean of the parts by their weights, at most {ABOVE_THE_WORST} above the worst of "
        f"them, and below {GOOD} while a check fails. Parts without data in this window are left out; whether the service's pods are ready, which a check "
        "run does not see, is part of the monitor's own status.health."
    )
    parts = table("What the health score is made of", ("Part", "Score", "Weight", "In words"), rows, numbers=(2,))
    return Section("Health of the service", (explained,), tables=(parts,))


def _tone(score: int) -> Tone:
    return "good" if score >= GOOD else "warning" if score >= WARNING else "bad"


def sentence(verdict: CheckVerdict, outcomes: Sequence[CheckOutcome]) -> str:
    """Return the verdict in words.

    >>> sentence("Passing", [])
    'Passing: nothing has moved beyond its limits.'
    """
    count = sum(outcome.verdict == verdict for outcome in outcomes)
    match verdict:
        case "Passing":
            silent = sum(outcome.verdict == "NoData" for outcome in outcomes)
            return "Passing: nothing has moved beyond its limits" + (
                f"; {silent} of {len(outcomes)} checks had too little data." if silent else "."
            )
        case "NoData":
            return "No data: this window has too little data to judge, which does not mean that nothing has moved."
        case _:
            verbs = {"Failing": ("fails", "fail"), "Warning": ("warns", "warn")}[verdict]
            return f"{verdict}: {count} of {len(outcomes)} checks {verbs[0] if count == 1 else verbs[1]}."


def reasons(verdict: CheckVerdict, outcomes: Sequence[CheckOutcome]) -> list[str]:
    """Return the messages of the checks behind a verdict other than Passing."""
    if verdict == "Passing":
        return []
    return [f"{outcome.name}: {outcome.message}." for outcome in outcomes if outcome.verdict == verdict]


def checks_table(outcomes: Sequence[CheckOutcome]) -> Table:
    """Return every check with its verdict and threshold."""
    rows = (
        (
            outcome.name,
            outcome.type,
            Badge(TONES[outcome.verdict], "No data" if outcome.verdict == "NoData" else outcome.verdict),
            number(outcome.value)
            + ("" if outcome.lower is None else f" ({number(outcome.lower)} to {number(outcome.upper)})"),
            number(outcome.threshold),
            outcome.message,
        )
        for outcome in outcomes
    )
    return table(
        "Every check of this window",
        ("Check", "Type", "Verdict", "Value", "Threshold", "In words"),
        rows,
        numbers=(3, 4),
    )


def moved_section(columns: Sequence[Comparison], before: str) -> Section:
    """Return the columns that moved most, before and now, as pictures."""
    comparable = sorted(
        (column for column in columns if column.comparable), key=lambda column: -column.statistics["PSI"]
    )
    # A column that has just lost values is shown, however well the rest of it behaves.
    torn = [column for column in comparable if column.statistics["MissingShareShift"] > MIN_TORN_SHARE]
    first = torn[: MAX_PICTURES // 2]
    shown = (first + [column for column in comparable if column not in first])[:MAX_PICTURES]
    if not shown:
        return Section("What moved most", ("No column has values on both sides to compare.",))
    explained = f"Filled bars: {before}. Outline: this window. Farthest first, by the stability index (PSI); before them columns that have lost values."
    return Section("What moved most", (explained,), figures=tuple(map(_figure, shown)))


def _figure(column: Comparison) -> Figure:
    name, shown = plain(column.name), distribution(column)
    rows = (
        (label, f"{before:.1%}", f"{after:.1%}", f"{after - before:+.1%}")
        for label, before, after in zip(shown.names, shown.before, shown.after, strict=True)
    )
    return Figure(
        name,
        caption(column),
        charts.bars(f"{name} before and now", describe(shown), shown, percent=True),
        table(f"{name}: share of rows", ("Value", "Before", "Now", "Change"), rows, numbers=(1, 2, 3)),
        shown.beyond,
    )


def caption(column: Comparison) -> str:
    """Return a column's change in a line."""
    statistics = column.statistics
    parts = [f"PSI {number(statistics['PSI'])}"]
    if "MeanShift" in statistics:
        parts.append(
            f"mean moved by {statistics['MeanShift']:+.2f} standard deviations to {number(statistics['Mean'])}"
        )
    if statistics.get("NewCategoryShare"):
        parts.append(f"{statistics['NewCategoryShare']:.1%} unknown categories")
    if statistics["MissingShareShift"] > 0.01:
        parts.append(f"missing {missing_share(column.reference):.1%} before, {missing_share(column.current):.1%} now")
    return "; ".join(parts)


def columns_section(columns: Sequence[Comparison]) -> Section:
    """Return every column with its main statistics."""
    order = sorted(columns, key=lambda column: (-column.statistics.get("PSI", -1.0), column.name))
    rows = (
        (
            plain(column.name),
            *(
                number(column.statistics.get(name))
                for name in ("PSI", "JensenShannon", "KolmogorovSmirnov", "WassersteinNormalised", "MeanShift")
            ),
            f"{missing_share(column.reference):.1%}" if column.reference.rows else NONE,
            f"{missing_share(column.current):.1%}" if column.current.rows else NONE,
        )
        for column in order[:MAX_LISTED]
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
    more = f" The first {MAX_LISTED} of {len(order)}." if len(order) > MAX_LISTED else ""
    title = f"Distances of every column, the farthest first; Wasserstein and mean shift in standard deviations of the reference.{more}"
    return Section("Every column", tables=(table(title, head, rows, numbers=range(1, 8)),))
