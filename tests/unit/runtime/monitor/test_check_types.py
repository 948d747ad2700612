"""What each type of check finds in a real service's log, and what it says where it cannot tell."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tidemill.api.checks import Check
from tidemill.contract.orders import ReferenceOrder, TimeRange
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.failures import ArtifactCorrupt

Life = Any  # the builder of conftest.py
MINUTE = timedelta(minutes=1)
SUBTLE = {
    "joint": Check(name="joint", type="Multivariate", failing=0.1),
    "relations": Check(name="relations", type="Multivariate", method="PCA", failing=0.5),
    "domain": Check(name="domain", type="DomainClassifier", failing=0.75),
    "odd": Check(name="odd", type="OutlierShare", maximum=0.1),
}
ESTIMATE = Check(name="estimate", type="EstimatedPerformance", metric="accuracy", minimum=0.9)
INPUTS = Check(name="inputs", type="FeatureDrift", failing=0.2, share=0.15)
ANSWERS = Check(name="answers", type="PredictionDrift", failing=0.2)
QUALITY = Check(name="quality", type="Performance", metric="accuracy", minimum=0.9)
CONCEPT = Check(name="concept", type="ConceptDrift")


def only(checked: Any) -> CheckOutcome:
    (outcome,) = checked.checks
    assert isinstance(outcome, CheckOutcome)
    return outcome


@pytest.mark.parametrize("check", SUBTLE.values(), ids=SUBTLE.keys())
def test_rows_like_those_learnt_from_pass(life: Life, check: Check) -> None:
    rows, _ = life.draw(400)
    life.serve(rows)

    assert "Passing" == only(life.check(check)).verdict


@pytest.mark.parametrize("check", SUBTLE.values(), ids=SUBTLE.keys())
def test_columns_that_are_shuffled_against_each_other_fail_though_none_has_moved(life: Life, check: Check) -> None:
    rows, _ = life.draw(400)
    random = np.random.default_rng(1)
    rows = np.column_stack([random.permutation(column) for column in rows.T])
    life.serve(rows)

    together, alone = life.check(check, INPUTS).checks

    assert ("Failing", "Passing") == (together.verdict, alone.verdict)


def test_a_classifier_says_between_what_its_value_lies_and_what_it_went_by(life: Life) -> None:
    rows, _ = life.draw(400)
    rows[:, 3] = rows[:, 3] * 1.5
    life.serve(rows)

    outcome = only(life.check(SUBTLE["domain"]))

    assert "Failing" == outcome.verdict
    assert 0.75 < outcome.lower < outcome.value < outcome.upper
    assert "mean area" == outcome.worst[0].column


@pytest.mark.parametrize("check", SUBTLE.values(), ids=SUBTLE.keys())
def test_a_version_from_before_such_checks_says_what_to_do(life: Life, check: Check) -> None:
    life.version = life.publish("old", sample_parquet=b"")
    rows, _ = life.draw(200)
    life.serve(rows)

    outcome = only(life.check(check))

    assert ("NoData", True) == (outcome.verdict, "train it again" in outcome.message)


def test_only_the_columns_that_a_check_names_are_looked_at_together(life: Life) -> None:
    rows, _ = life.draw(400)
    rows[:, 3] = rows[:, 3] * 3
    life.serve(rows)
    check = SUBTLE["joint"].model_copy(update={"columns": ("mean texture", "mean smoothness")})

    assert "Passing" == only(life.check(check)).verdict


def test_an_estimate_without_labels_is_what_labels_say(life: Life) -> None:
    rows, labels = life.draw(300)
    life.serve(rows, labels=labels)

    estimated, realised = life.check(ESTIMATE, QUALITY).checks

    assert "Passing" == estimated.verdict
    assert realised.value == pytest.approx(estimated.value, abs=0.05)
    assert estimated.lower < estimated.value < estimated.upper


def test_an_estimate_without_a_bound_is_only_told(life: Life) -> None:
    rows, _ = life.draw(200)
    life.serve(rows)

    outcome = only(life.check(Check(name="estimate", type="EstimatedPerformance", metric="f1")))

    assert ("Passing", None) == (outcome.verdict, outcome.threshold)


def test_performance_is_told_with_its_interval_and_fails_only_where_all_of_it_is_beyond(life: Life) -> None:
    rows, labels = life.draw(200)
    wrong = labels.copy()
    wrong[:30] = 1 - wrong[:30]
    life.serve(rows, labels=wrong)

    near, far = life.check(
        QUALITY.model_copy(update={"minimum": 0.85}), QUALITY.model_copy(update={"minimum": 0.95})
    ).checks

    assert ("Warning", "Failing") == (near.verdict, far.verdict)
    assert near.lower < near.value < near.upper


def test_a_slice_that_is_surely_wrong_fails_though_the_whole_is_right(life: Life) -> None:
    rows, labels = life.draw(400)
    texture = rows[:, 1]
    spoilt = texture >= np.quantile(texture, 0.8)
    life.serve(rows, labels=np.where(spoilt, 1 - labels, labels))
    check = QUALITY.model_copy(update={"minimum": 0.7})

    whole, sliced = life.check(check, check.model_copy(update={"slices": ("mean texture",)})).checks

    assert ("Passing", "Failing") == (whole.verdict, sliced.verdict)
    assert sliced.worst[0].column.startswith("mean texture = ")


def test_answers_that_turn_wrong_within_the_window_are_concept_drift(life: Life) -> None:
    rows, labels = life.draw(300)
    start = life.order().start
    life.serve(rows, labels=labels, at=start + MINUTE)
    life.serve(rows, labels=1 - labels, at=start + 10 * MINUTE)

    outcome = only(life.check(CONCEPT))

    assert ("Failing", True) == (outcome.verdict, outcome.value > 0.3)


def test_steady_answers_are_no_concept_drift(life: Life) -> None:
    rows, labels = life.draw(300)
    life.serve(rows, labels=labels)

    assert "Passing" == only(life.check(CONCEPT)).verdict


@pytest.mark.parametrize(
    ("metric", "bound"),
    [("DemographicParityDifference", {"maximum": 0.2}), ("DemographicParityRatio", {"minimum": 0.8})],
)
def test_groups_that_are_answered_otherwise_are_unfair(life: Life, metric: str, bound: Any) -> None:
    rows, _ = life.draw(400)
    life.serve(rows)
    check = Check(name="fair", type="Fairness", metric=metric, column="mean radius", favorable="1", **bound)

    outcome = only(life.check(check))

    assert "Failing" == outcome.verdict
    assert "mean radius = " in outcome.worst[0].column


@pytest.mark.parametrize(
    ("update", "why"),
    [({"column": "gender"}, "no column 'gender'"), ({"favorable": "gold"}, "never answers 'gold'")],
)
def test_fairness_of_what_is_not_there_is_no_data(life: Life, update: Any, why: str) -> None:
    rows, _ = life.draw(200)
    life.serve(rows)
    check = Check(
        name="fair", type="Fairness", metric="DemographicParityDifference", column="mean radius", maximum=0.2
    ).model_copy(update=update)

    outcome = only(life.check(check))

    assert ("NoData", True) == (outcome.verdict, why in outcome.message)


def test_a_silent_service_is_late_and_an_asked_one_is_not(life: Life) -> None:
    check = Check(name="fresh", type="Timeliness", subject="Predictions", maximum_lag="5m")
    silent = only(life.check(check))
    rows, _ = life.draw(10)
    life.serve(rows, at=life.order().end - MINUTE)

    assert ("Failing", "Passing") == (silent.verdict, only(life.check(check)).verdict)


def test_labels_that_stop_coming_are_late(life: Life) -> None:
    rows, labels = life.draw(100)
    start = life.order().start
    life.serve(rows, labels=labels, at=start + MINUTE)
    life.serve(rows, at=start + 19 * MINUTE)
    check = Check(name="fresh", type="Timeliness", maximum_lag="10m")

    outcome = only(life.check(check))

    assert ("Failing", 19 * 60) == (outcome.verdict, outcome.value)


def test_the_newest_rows_alone_count_where_so_many_are_asked_for(life: Life) -> None:
    rows, _ = life.draw(150)
    moved, _ = life.draw(150, scaled=1.4)
    start = life.order().start
    life.serve(moved, at=start + MINUTE)
    life.serve(rows, at=start + 10 * MINUTE)

    checked = life.check(INPUTS, count=150)

    assert (150, "Passing") == (checked.samples, checked.verdict)


def test_an_earlier_window_can_be_what_is_compared_with(life: Life) -> None:
    moved, _ = life.draw(300, 1, scaled=1.4)
    again, _ = life.draw(300, 2, scaled=1.4)
    order = life.order()
    life.serve(moved, at=order.start - timedelta(days=1) + MINUTE)
    life.serve(again)
    day = timedelta(days=1)
    earlier = ReferenceOrder(ranges=(TimeRange(start=order.start - day, end=order.end - day),))

    against_version, against_yesterday = life.check(INPUTS), life.check(INPUTS, reference=earlier)

    assert ("Failing", "Passing") == (against_version.verdict, against_yesterday.verdict)


def test_the_same_hour_of_earlier_weeks_can_be_what_is_compared_with(life: Life) -> None:
    order = life.order()
    for week in (1, 2, 3):
        moved, _ = life.draw(200, week, scaled=1.4)
        life.serve(moved, at=order.start - timedelta(weeks=week) + MINUTE)
    usual, _ = life.draw(200, 4)
    life.serve(usual, at=order.start - timedelta(days=1) + MINUTE)
    again, _ = life.draw(300, 5, scaled=1.4)
    life.serve(again)
    weeks = tuple(
        TimeRange(start=order.start - timedelta(weeks=week), end=order.end - timedelta(weeks=week))
        for week in (1, 2, 3)
    )

    by_season = life.check(INPUTS, ANSWERS, reference=ReferenceOrder(ranges=weeks))
    by_yesterday = life.check(
        INPUTS,
        reference=ReferenceOrder(
            ranges=(TimeRange(start=order.start - timedelta(days=1), end=order.end - timedelta(days=1)),)
        ),
    )

    assert ["Passing", "Passing"] == [outcome.verdict for outcome in by_season.checks]
    assert "Failing" == by_yesterday.verdict
    assert 300 == by_season.samples


def test_a_dataset_can_be_what_is_compared_with(life: Life) -> None:
    moved, _ = life.draw(300, 1, scaled=1.4)
    columns = {feature.name: column for feature, column in zip(life.model.signature.features, moved.T, strict=True)}
    sink = io.BytesIO()
    parquet.write_table(pa.table({**columns, "target": np.zeros(300)}), sink)
    revision = life.store.publish("ns/datasets/scans/r1", {"data-00000.parquet": sink.getvalue()})
    dataset = ReferenceOrder(dataset_uri=revision.uri, dataset_digest=revision.digest)
    again, _ = life.draw(300, 2, scaled=1.4)
    life.serve(again)

    against_version, against_dataset = life.check(INPUTS, ANSWERS), life.check(INPUTS, ANSWERS, reference=dataset)

    assert ("Failing", "Passing") == (against_version.checks[0].verdict, against_dataset.checks[0].verdict)
    # What the version answered on its hold-out stays what its answers are compared with.
    assert against_version.checks[1] == against_dataset.checks[1]


def test_a_dataset_that_was_changed_is_not_compared_with(life: Life) -> None:
    rows, _ = life.draw(200)
    life.serve(rows)
    revision = life.store.publish("ns/datasets/scans/r1", {"data-00000.parquet": b"rows"})
    life.store.put("ns/datasets/scans/r1/data-00000.parquet", b"others")

    with pytest.raises(ArtifactCorrupt, match="nothing of it was used"):
        life.check(INPUTS, reference=ReferenceOrder(dataset_uri=revision.uri, dataset_digest=revision.digest))


def test_earlier_windows_without_rows_are_no_data_and_never_no_drift(life: Life) -> None:
    rows, _ = life.draw(300)
    life.serve(rows)
    order = life.order()
    spans = tuple(
        TimeRange(start=order.start - timedelta(weeks=week), end=order.end - timedelta(weeks=week)) for week in (1, 2)
    )

    report = life.report(INPUTS, reference=ReferenceOrder(ranges=spans))

    assert "NoData" == report.checked.verdict
    assert any("2 earlier windows, too few to compare with" in warning for warning in report.warnings)


def test_labels_that_take_a_day_are_looked_for_a_day_ago(life: Life) -> None:
    rows, labels = life.draw(200)
    order = life.order()
    day = timedelta(days=1)
    life.serve(rows, labels=labels, at=order.start - day + MINUTE)
    life.serve(rows)

    now = only(life.check(QUALITY))
    delayed = life.check(QUALITY, labelled=TimeRange(start=order.start - day, end=order.end - day))

    assert ("NoData", "Passing", 200) == (now.verdict, only(delayed).verdict, delayed.labelled)


def test_labels_from_before_their_rows_tell_of_clocks_that_differ(life: Life) -> None:
    rows, labels = life.draw(100)
    requests = life.serve(rows)
    life.label(zip(requests, labels, strict=True), at=life.order().start + 12 * MINUTE)

    report = life.report(QUALITY)

    assert any("100 labels are older than the rows" in warning for warning in report.warnings)
    assert 100 == report.checked.labelled


def test_labels_from_long_before_their_rows_are_not_theirs(life: Life) -> None:
    rows, labels = life.draw(100)
    requests = life.serve(rows)
    life.label(zip(requests, labels, strict=True), at=life.order().start + MINUTE)

    report = life.report(QUALITY)

    assert any("100 labels are dated long before the rows were answered" in warning for warning in report.warnings)
    assert 0 == report.checked.labelled


def test_labels_from_the_future_do_not_outlast_the_truth(life: Life) -> None:
    """Parts of earlier releases may hold them: such a label would stay the newest one."""
    rows, labels = life.draw(200)
    requests = life.serve(rows, labels=labels)
    came, dated = life.order().start + 17 * MINUTE, datetime(2099, 1, 1, tzinfo=UTC)
    life.label(zip(requests, 1 - labels, strict=True), at=came, dated=dated)

    report = life.report(QUALITY)

    assert ("Passing", 200) == (only(report.checked).verdict, report.checked.labelled)
    assert any("200 labels are dated in the future and left out" in warning for warning in report.warnings)


def test_a_long_gap_within_the_window_is_told(life: Life) -> None:
    rows, _ = life.draw(150)
    for minute in (1, 2, 18, 19):
        life.serve(rows, at=life.order().start + minute * MINUTE)

    warnings = life.report(INPUTS).warnings

    assert any(warning.startswith("no rows were served from 2026-03-01 09:5") for warning in warnings)


def sound(**rule: Any) -> Check:
    return Check.model_validate({"name": "sound", "type": "DataQuality", "rules": [rule]})


def test_a_schema_that_matches_passes_and_infinities_have_a_bound_of_their_own(life: Life) -> None:
    rows, _ = life.draw(200)
    rows[::4, 2] = np.inf
    life.serve(rows)

    schema, infinite = life.check(
        sound(metric="SchemaMatch", maximum=0.0), sound(metric="InfiniteShare", maximum=0.1)
    ).checks

    assert ("Passing", "Failing") == (schema.verdict, infinite.verdict)
    assert ("mean perimeter", 0.25) == (infinite.worst[0].column, infinite.worst[0].value)


def test_rows_that_were_logged_twice_have_a_bound(life: Life) -> None:
    rows, _ = life.draw(100)
    life.serve(rows)
    life._requests = 0
    life.serve(rows)

    outcome = only(life.check(sound(metric="DuplicateRequestShare", maximum=0.1)))

    assert ("Failing", 0.5) == (outcome.verdict, outcome.value)
