"""The health score: its parts, its bounds, and that it explains itself."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import monitors as make
from tidemill.api.checks import KINDS
from tidemill.api.monitorstatus import CheckStatus, WindowRun
from tidemill.contract import health as module
from tidemill.contract.health import GOOD, health
from tidemill.plan.driftmonitor import notifications

CHECKS = st.builds(
    lambda type_, verdict, value, threshold, index: CheckStatus(
        name=f"c{index}", type=type_, verdict=verdict, value=value, threshold=threshold
    ),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["Passing", "Warning", "Failing", "NoData"]),
    st.none() | st.floats(-1e9, 1e9),
    st.none() | st.floats(0, 1e9),
    st.integers(0, 99),
)


def test_the_examples_hold() -> None:
    assert [0, 0] == [doctest.testmod(module).failed for module in (module, notifications)]


@given(st.lists(CHECKS, max_size=32), st.integers(0, 9), st.integers(0, 9))
def test_a_score_is_between_the_worst_part_and_a_little_above_it_and_weights_add_up(
    checks: list[CheckStatus], wanted: int, ready: int
) -> None:
    result = health(checks, make.run(), wanted=wanted, ready=ready)
    if result is None or result.score is None:
        assert result is None or ("Unknown", True) == (result.grade, ready >= wanted)
        return
    scores = [part.score for part in result.parts]

    # A service is not good while a check fails, however well the others of its part pass.
    failing = any(check.verdict == "Failing" for check in checks)
    worst = min(*scores, GOOD - 1) if failing else min(scores)
    assert 0 <= worst <= result.score + 1 <= min(min(scores) + 41, 101)
    assert abs(sum(part.weight for part in result.parts) - 1) < 0.01
    assert all(part.message for part in result.parts)
    assert len({part.name for part in result.parts}) == len(result.parts)


@pytest.mark.parametrize(
    "run", [None, make.run(samples=2, verdict="NoData")], ids=["no window", "a window without rows"]
)
def test_the_health_of_a_service_without_requests_is_unknown(run: WindowRun | None) -> None:
    unasked = [make.check(verdict="NoData")]
    result = health(unasked, run, wanted=1, ready=1)

    assert result is not None
    assert ("Unknown", None) == (result.grade, result.score)
    assert [("Infrastructure", 100)] == [(part.name, part.score) for part in result.parts]


def test_pods_that_are_not_ready_are_no_matter_of_requests() -> None:
    result = health([make.check(verdict="NoData")], make.run(samples=0, verdict="NoData"), wanted=2, ready=0)

    assert result is not None
    assert ("Critical", 0) == (result.grade, result.score)


def test_a_window_without_rows_is_not_a_healthy_one_where_something_is_judged() -> None:
    silent = make.check("Timeliness", verdict="Passing")
    result = health([silent], make.run(samples=2, verdict="NoData"), wanted=1, ready=1)

    assert result is not None
    assert [("Freshness", 20), ("Infrastructure", 100)] == [(part.name, part.score) for part in result.parts]
    assert "Warning" == result.grade


def test_more_drift_is_never_better() -> None:
    verdicts = ["Passing" if value < 2 else "Failing" for value in range(8)]
    checks = [make.check(verdict=verdict, value=value / 10, threshold=0.2) for value, verdict in enumerate(verdicts)]
    scores = [health([check], None, wanted=1, ready=1) for check in checks]
    values = [score.score for score in scores if score is not None]

    assert values == sorted(values, reverse=True)
    assert values[0] == 100


def test_a_service_is_not_good_while_a_check_fails() -> None:
    sound = [make.check(type_, verdict="Passing", name=type_) for type_ in ("Performance", "Fairness", "Timeliness")]

    result = health([*sound, make.check("DataQuality", verdict="Failing")], None, wanted=2, ready=2)

    assert result is not None
    assert ("Warning", 79) == (result.grade, result.score)


def test_a_check_that_cannot_run_is_told() -> None:
    result = health([], None, wanted=2, ready=2, trouble="OOMKilled")

    assert result is not None
    assert "OOMKilled" in result.parts[0].message
    assert 50 == result.parts[0].score
