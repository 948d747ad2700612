"""Check runs of a real service's log: what they find, and what they do not make of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.api.checks import Check
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.failures import ArtifactCorrupt

Life = Any  # the builder of conftest.py
MINUTE = timedelta(minutes=1)

INPUTS = Check(name="inputs", type="FeatureDrift", failing=0.2, share=0.15)
ANSWERS = Check(name="answers", type="PredictionDrift", failing=0.2)
QUALITY = Check(name="quality", type="Performance", metric="accuracy", maximum_regression=0.05)
SOUND = Check.model_validate(
    {"name": "sound", "type": "DataQuality", "rules": [{"metric": "MissingShare", "maximum": 0.1}]}
)


def only(checked: Any) -> CheckOutcome:
    (outcome,) = checked.checks
    assert isinstance(outcome, CheckOutcome)
    return outcome


def test_rows_like_those_learnt_from_pass_every_check(life: Life) -> None:
    rows, labels = life.draw(250)
    life.serve(rows, labels=labels)

    checked = life.check(INPUTS, ANSWERS, QUALITY, SOUND)

    assert ["Passing"] * 4 == [outcome.verdict for outcome in checked.checks]
    assert ("Passing", 250, 250) == (checked.verdict, checked.samples, checked.labelled)


def test_a_scanner_that_scales_sizes_is_found_by_the_columns_it_scales(life: Life) -> None:
    rows, _ = life.draw(250, scaled=1.25)
    life.serve(rows)

    outcome = only(life.check(INPUTS))

    assert "Failing" == outcome.verdict
    assert {"mean radius", "mean perimeter", "worst radius", "worst perimeter"} <= {
        moved.column for moved in outcome.worst
    }
    assert (0.15, True) == (outcome.threshold, outcome.value >= 0.15)


def test_between_warning_and_failing_the_verdict_is_warning(life: Life) -> None:
    rows, _ = life.draw(250, scaled=1.25)
    life.serve(rows)

    verdict = only(life.check(INPUTS.model_copy(update={"warning": 0.2, "failing": 5.0}))).verdict

    assert "Warning" == verdict


def test_columns_that_matter_more_weigh_more(life: Life) -> None:
    rows, _ = life.draw(250, scaled=1.25)
    life.serve(rows)
    even = only(life.check(INPUTS)).value

    life.matter("mean radius", "worst radius")

    assert only(life.check(INPUTS)).value > even + 0.2


def test_only_the_columns_that_a_check_names_count(life: Life) -> None:
    rows, _ = life.draw(250, scaled=1.25)
    life.serve(rows)

    steady = only(life.check(INPUTS.model_copy(update={"columns": ("mean texture", "mean smoothness")})))
    moved = only(life.check(INPUTS.model_copy(update={"columns": ("mean radius",)})))

    assert [("Passing", 0.0), ("Failing", 1.0)] == [(result.verdict, result.value) for result in (steady, moved)]


@pytest.mark.slow
def test_windows_without_a_shift_hardly_ever_fail(life: Life) -> None:
    reference = life.model.profile
    alarms = 0
    for seed in range(60):
        rows, _ = life.draw(200, seed)
        alarms += share_moved(reference, rows) >= 0.3

    assert 0 == alarms


def share_moved(reference: Any, rows: Any) -> float:

    from tidemill.runtime.monitor.statistics.comparison import compare, distance
    from tidemill.runtime.profile import Counter, Profile

    features = Profile(reference.rows, tuple(c for c in reference.columns if c.name.startswith("feature:")))
    counter = Counter(features)
    counter.add(pa.table({c.name: column for c, column in zip(features.columns, rows.T, strict=True)}))
    moved = [distance(column, "Auto") for column in compare(features, counter.profile())]
    return float(np.mean(np.array(moved) >= 0.2))


def test_an_empty_window_is_no_data_and_never_passing(life: Life) -> None:
    checked = life.check(INPUTS, ANSWERS, QUALITY, SOUND)

    assert ("NoData", 0, {"NoData"}) == (
        checked.verdict,
        checked.samples,
        {outcome.verdict for outcome in checked.checks},
    )
    assert "0 rows were served, 100 are needed" == checked.checks[0].message


def test_one_row_is_no_data(life: Life) -> None:
    rows, labels = life.draw(1)
    life.serve(rows, labels=labels)

    assert "NoData" == life.check(INPUTS, ANSWERS, QUALITY, SOUND).verdict


def test_only_rows_within_the_window_count(life: Life) -> None:
    rows, _ = life.draw(100)
    order = life.order(INPUTS)
    for at in (order.start - MINUTE, order.start, order.end - MINUTE, order.end, order.end + 70 * MINUTE):
        life.serve(rows, at=at)

    assert 200 == life.check(INPUTS).samples


def test_too_few_labels_are_no_data_for_performance_alone(life: Life) -> None:
    rows, labels = life.draw(200)
    requests = life.serve(rows)
    life.label(zip(requests[:10], labels[:10], strict=True), at=life.order().end)

    checked = life.check(INPUTS, QUALITY)

    assert ["Passing", "NoData"] == [outcome.verdict for outcome in checked.checks]
    assert ("Passing", 10) == (checked.verdict, checked.labelled)
    assert "10 rows have labels, 50 are needed" == checked.checks[1].message


def test_labels_that_say_the_answers_are_wrong_fail_performance(life: Life) -> None:
    rows, labels = life.draw(200)
    life.serve(rows, labels=[1 - label for label in labels])

    outcome = only(life.check(QUALITY))

    assert ("Failing", True) == (outcome.verdict, outcome.value < 0.1)
    assert life.model.accuracy - 0.05 == pytest.approx(outcome.threshold)


def test_what_is_right_may_change_while_nothing_that_is_asked_or_answered_does(life: Life) -> None:
    rows, labels = life.draw(250)
    life.serve(rows, labels=np.where(np.arange(250) % 4 == 0, 1 - labels, labels))

    checked = life.check(INPUTS, ANSWERS, QUALITY, SOUND)

    assert ["Passing", "Passing", "Failing", "Passing"] == [outcome.verdict for outcome in checked.checks]


def test_an_error_fails_when_it_rises(life: Life) -> None:
    rows, labels = life.draw(200)
    life.serve(rows, labels=[1 - label for label in labels])
    loss = Check(name="loss", type="Performance", metric="log_loss", maximum_regression=0.2)

    outcome = only(life.check(loss))

    assert ("Failing", True) == (outcome.verdict, outcome.value > outcome.threshold > 0)


def test_labels_that_come_hours_after_the_window_still_count(life: Life) -> None:
    rows, labels = life.draw(100)
    requests = life.serve(rows)
    life.label(zip(requests, labels, strict=True), at=life.order().end + 300 * MINUTE)

    assert 100 == life.check(QUALITY).labelled


def test_of_contradictory_labels_the_newest_counts_and_a_warning_says_so(life: Life) -> None:
    rows, labels = life.draw(100)
    requests = life.serve(rows, labels=[1 - label for label in labels])
    life.label(zip(requests, labels, strict=True), at=life.order().end)

    report = life.report(QUALITY)

    assert ("Passing", 100) == (report.checked.checks[0].verdict, report.checked.labelled)
    assert ("100 rows have contradictory labels; the newest counts",) == report.warnings


def test_the_same_label_twice_counts_once(life: Life) -> None:
    rows, labels = life.draw(100)
    requests = life.serve(rows, labels=labels)
    life.label(zip(requests, labels, strict=True), at=life.order().end)

    report = life.report(QUALITY)

    assert (100, ()) == (report.checked.labelled, report.warnings)


def test_a_broken_sensor_is_bad_data_and_not_drift(life: Life) -> None:
    rows, labels = life.draw(250)
    rows[::2, 3] = np.nan
    life.serve(rows, labels=labels)

    checked = life.check(INPUTS, SOUND)

    assert ["Warning", "Failing"] == [outcome.verdict for outcome in checked.checks]
    assert "mean area: 50.0% missing, at most 10.0% allowed" == checked.checks[1].message
    assert "mean area 50.0% of the values are missing (0.0% in the reference)" in checked.checks[0].message


def test_a_column_that_is_missing_altogether_is_left_out_of_drift_and_never_passes(life: Life) -> None:
    rows, _ = life.draw(250)
    rows[:, 3] = np.nan
    life.serve(rows)

    checked = life.check(INPUTS, SOUND)

    assert ["Warning", "Failing"] == [outcome.verdict for outcome in checked.checks]
    assert "mean area 100.0% of the values are missing (0.0% in the reference)" in checked.checks[0].message
    assert ("mean area", "MissingShare", 1.0) == tuple(checked.checks[0].worst[0].model_dump().values())


def test_when_every_value_is_missing_nothing_passes(life: Life) -> None:
    rows, _ = life.draw(250)
    life.serve(np.full_like(rows, np.nan))

    assert ["Warning", "Failing"] == [outcome.verdict for outcome in life.check(INPUTS, SOUND).checks]


def test_infinities_are_no_usable_values(life: Life) -> None:
    rows, _ = life.draw(250)
    rows[::2, 0] = np.inf
    rows[1::4, 0] = -np.inf
    life.serve(rows)

    outcome = only(life.check(SOUND))

    assert "mean radius: 75.2% missing, at most 10.0% allowed" == outcome.message


def test_a_constant_column_has_drifted(life: Life) -> None:
    rows, _ = life.draw(250)
    rows[:] = rows[0]
    life.serve(rows)

    outcome = only(life.check(INPUTS))

    assert ("Failing", 1.0) == (outcome.verdict, outcome.value)


def test_values_outside_what_training_saw_break_their_bound(life: Life) -> None:
    rows, _ = life.draw(200)
    rows[:20, 0] = 1000.0
    life.serve(rows)
    bound = Check.model_validate(
        {
            "name": "range",
            "type": "DataQuality",
            "rules": [{"metric": "OutOfRangeShare", "column": "mean radius", "maximum": 0.05}],
        }
    )

    outcome = only(life.check(bound))

    assert ("Failing", True) == (outcome.verdict, 0.1 <= outcome.value <= 0.15)


def test_a_rule_about_a_column_that_is_not_there_is_no_data(life: Life) -> None:
    rows, _ = life.draw(200)
    life.serve(rows)
    bound = Check.model_validate(
        {
            "name": "range",
            "type": "DataQuality",
            "rules": [{"metric": "MissingShare", "column": "colour", "maximum": 0}],
        }
    )

    outcome = only(life.check(bound))

    assert ("NoData", "no rule applies to a feature: MissingShare of colour") == (outcome.verdict, outcome.message)


def test_answers_of_a_candidate_are_not_held_against_the_monitored_version(life: Life) -> None:
    candidate = life.publish("fraud-2", notes_txt=b"another")
    rows, labels = life.draw(150)
    life.serve(rows, labels=labels)
    life.serve(rows, labels=[1 - label for label in labels], version=candidate, role="Candidate")

    checked = life.check(INPUTS, QUALITY)

    assert (300, 150) == (checked.samples, checked.labelled)
    assert ["Passing", "Passing"] == [outcome.verdict for outcome in checked.checks]


def test_a_version_that_answered_too_little_is_no_data_though_the_service_answered_enough(life: Life) -> None:
    rows, _ = life.draw(150)
    life.serve(rows, version=life.publish("fraud-2", notes_txt=b"another"), role="Candidate")
    life.serve(rows[:20])

    checked = life.check(INPUTS, ANSWERS)

    assert ["Passing", "NoData"] == [outcome.verdict for outcome in checked.checks]
    assert "the version answered 20 rows, 100 are needed" == checked.checks[1].message


def test_answers_that_turn_to_one_class_are_prediction_drift(life: Life) -> None:
    rows, _ = life.draw(400)
    malignant = rows[life.model.answer(rows).values == 0]
    life.serve(malignant)

    outcome = only(life.check(ANSWERS))

    assert ("Failing", "prediction") == (outcome.verdict, outcome.worst[0].column)


def test_the_worst_verdict_with_data_is_the_verdict(life: Life) -> None:
    rows, _ = life.draw(250)
    rows[::2, 3] = np.nan
    life.serve(rows)

    assert "Failing" == life.check(INPUTS, SOUND, QUALITY).verdict


def test_result_and_report_lie_in_the_store_under_the_windows_end(life: Life) -> None:
    rows, labels = life.draw(250, scaled=1.25)
    life.serve(rows, labels=labels)

    checked = life.check(INPUTS, QUALITY)

    assert checked.report_uri.endswith("ns/monitors/fraud-watch/2026-03-01T10-10-00Z/report.html")
    result = life.result()
    assert ("Failing", 250, 32) == (result["verdict"], result["samples"], len(result["columns"]))
    page = life.store.get(life.store.key_of(checked.report_uri)).decode()
    assert "Failing: 1 of 2 checks fails." in page


def test_the_same_window_twice_says_the_same(life: Life) -> None:
    rows, labels = life.draw(250, scaled=1.25)
    life.serve(rows, labels=labels)

    assert life.report(INPUTS, QUALITY) == life.report(INPUTS, QUALITY)


def test_a_profile_that_was_changed_is_not_compared_with(life: Life) -> None:
    key = life.store.key_of(life.version.uri) + "/profile.json"
    life.store.put(key, life.store.get(key).replace(b'"rows":455', b'"rows":456', 1))

    with pytest.raises(ArtifactCorrupt, match="not what was published"):
        life.check(INPUTS)


def test_a_version_without_a_profile_says_what_to_do(life: Life) -> None:
    published = life.store.publish("ns/models/fraud/bare", {"signature.json": b"{}"})
    life.version = life.version.model_copy(update={"uri": published.uri, "digest": published.digest})

    with pytest.raises(ArtifactCorrupt, match="train"):
        life.check(INPUTS)


def test_a_report_of_many_wide_checks_fits_a_termination_message(life: Life) -> None:
    rows, labels = life.draw(250, scaled=1.25)
    life.serve(rows, labels=labels)
    checks = [INPUTS.model_copy(update={"name": f"inputs-{index}"}) for index in range(12)]

    assert len(life.report(*checks).to_message()) <= 4096
