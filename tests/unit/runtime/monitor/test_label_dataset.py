"""Checks of predictions whose labels arrive in a Dataset: for services of Tidemill, and for others that are watched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support import revisions
from tidemill.api.checks import Check
from tidemill.api.feedback import PinnedLabels
from tidemill.contract.layout import LogColumn, prediction_folder
from tidemill.contract.orders import OUTSIDE_DIGEST, CheckOrder, ReferenceOrder, TimeRange
from tidemill.contract.reports import Checked
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.failures import SchemaMismatch
from tidemill.runtime.monitor import job
from tidemill.runtime.store.objects import ObjectStore

Life = Any  # the builder of conftest.py
QUALITY = Check(name="quality", type="Performance", metric="accuracy", minimum=0.9)
LATE = Check(name="late", type="Timeliness", maximum_lag="1h")
NOON, HOUR = revisions.NOON, timedelta(hours=1)


def outcomes(store: ObjectStore, requests: Sequence[str], labels: Sequence[Any]) -> PinnedLabels:
    data = "request,label\n" + "".join(f"{key},{label}\n" for key, label in zip(requests, labels, strict=True))
    columns = [{"name": "request", "role": "Id"}]
    made = revisions.revision(store, data=data, dataset="outcomes", columns=columns)
    return PinnedLabels(
        name="outcomes",
        id="request",
        label="label",
        digest=made.digest,
        uri=made.uri,
        created_at=NOON + timedelta(days=9),
    )


def test_labels_of_a_dataset_are_judged_like_those_that_were_sent(life: Life) -> None:
    rows, labels = life.draw(250)
    requests = life.serve(rows)

    before = life.check(QUALITY, LATE)
    after = life.check(QUALITY, LATE, label_dataset=outcomes(life.store, requests, labels))

    assert (["NoData", "Failing"], 0) == ([outcome.verdict for outcome in before.checks], before.labelled)
    assert (["Passing", "Passing"], 250) == ([outcome.verdict for outcome in after.checks], after.labelled)


def test_a_model_that_is_wrong_by_these_labels_fails(life: Life) -> None:
    rows, labels = life.draw(250)
    requests = life.serve(rows)

    checked = life.check(QUALITY, label_dataset=outcomes(life.store, requests, 1 - labels))

    assert "Failing" == checked.checks[0].verdict
    assert checked.checks[0].value == pytest.approx(
        1 - life.check(QUALITY, label_dataset=outcomes(life.store, requests, labels)).checks[0].value
    )


def test_a_revision_without_the_column_fails_the_run_with_the_remedy(life: Life) -> None:
    rows, labels = life.draw(100)
    table = outcomes(life.store, life.serve(rows), labels).model_copy(update={"label": "truth"})

    with pytest.raises(SchemaMismatch, match="no column 'truth' to read labels by; declare it"):
        life.check(QUALITY, label_dataset=table)


class Elsewhere:
    """A service that another system serves, with its payloads in the log as the receiver writes them."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def answer(self, predictions: Sequence[Any], *, start: Any = NOON, request: str = "r") -> list[str]:
        count = len(predictions)
        requests = [f"{request}{row}" for row in range(count)]
        table = pa.table(
            {
                LogColumn.REQUEST: requests,
                LogColumn.ROW: [0] * count,
                LogColumn.TIME: pa.array([start] * count, pa.timestamp("us", tz="UTC")),
                LogColumn.DIGEST: [OUTSIDE_DIGEST] * count,
                LogColumn.PREDICTION: list(predictions),
                LogColumn.FEATURE + "size": np.linspace(0, 1, count),
            }
        )
        hour = start.strftime("date=%Y-%m-%d/hour=%H")
        revisions.put(self.store, f"{prediction_folder('team', 'cloudevents.watch')}/{hour}/{request}.parquet", table)
        return requests

    def check(self, check: Check, reference: ReferenceOrder, labels: PinnedLabels) -> Checked:
        order = CheckOrder(
            namespace="team",
            monitor="watch",
            service="cloudevents.watch",
            start=NOON,
            end=NOON + HOUR,
            version=VersionOrder(name="fraud", uri="", digest=OUTSIDE_DIGEST),
            checks=(check,),
            minimum_samples=10,
            minimum_labels=10,
            reference=reference,
            label_dataset=labels,
        )
        checked = job.run(order, self.store).checked
        assert checked is not None
        return checked


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(ObjectStore.open(f"file://{tmp_path}/store"))


def trained_on(store: ObjectStore, labels: Sequence[Any]) -> ReferenceOrder:
    data = "size,label\n" + "".join(f"{row / len(labels)},{label}\n" for row, label in enumerate(labels))
    made = revisions.revision(store, data=data, dataset="rows", columns=[{"name": "label", "role": "Target"}])
    return ReferenceOrder(dataset_uri=made.uri, dataset_digest=made.digest)


@pytest.mark.parametrize(
    ("classes", "answers"),
    [(["no", "yes"], ["no", "yes"]), ([0, 1], [0.0, 1.0]), ([0, 1], ["0", "1"])],
    ids=["words", "numbers", "texts of numbers"],
)
def test_a_watched_service_is_judged_by_the_classes_of_the_dataset(
    elsewhere: Elsewhere, classes: list[Any], answers: list[Any]
) -> None:
    truth = np.arange(200) % 2
    given = np.where(np.arange(200) < 10, 1 - truth, truth)
    requests = elsewhere.answer([answers[index] for index in given])
    labels = outcomes(elsewhere.store, requests, [classes[index] for index in truth])

    checked = elsewhere.check(QUALITY, trained_on(elsewhere.store, [classes[index] for index in truth]), labels)

    assert ("Passing", 0.95, 200) == (checked.checks[0].verdict, checked.checks[0].value, checked.labelled)
    assert 0 == checked.unknown_labels


def test_labels_that_the_dataset_does_not_know_are_not_believed(elsewhere: Elsewhere) -> None:
    requests = elsewhere.answer(["no", "yes"] * 50)
    labels = outcomes(elsewhere.store, requests, ["Nein", "Ja"] * 50)

    checked = elsewhere.check(QUALITY, trained_on(elsewhere.store, ["no", "yes"] * 50), labels)

    assert ("NoData", 100) == (checked.checks[0].verdict, checked.unknown_labels)


def test_a_watched_regression_is_judged_by_its_errors(elsewhere: Elsewhere) -> None:
    truth = np.linspace(1.5, 90.25, 150)
    labels = outcomes(elsewhere.store, elsewhere.answer(list(truth + 2)), truth)
    error = Check(name="error", type="Performance", metric="neg_mean_absolute_error", minimum=-3.0)

    checked = elsewhere.check(error, trained_on(elsewhere.store, list(truth)), labels)

    assert checked.checks[0].value == pytest.approx(-2.0)


def test_compared_with_an_earlier_window_the_classes_are_those_that_are_seen(elsewhere: Elsewhere) -> None:
    elsewhere.answer(["no", "yes"] * 50, start=NOON - HOUR, request="early")
    requests = elsewhere.answer(["no", "yes"] * 50)
    labels = outcomes(elsewhere.store, requests, ["no", "yes", "no", "perhaps"] * 25)
    earlier = ReferenceOrder(ranges=(TimeRange(start=NOON - HOUR, end=NOON),))

    checked = elsewhere.check(QUALITY, earlier, labels)

    assert ("Failing", 0.75) == (checked.checks[0].verdict, checked.checks[0].value)


def test_numbers_in_two_spellings_are_one_class(elsewhere: Elsewhere) -> None:
    elsewhere.answer(["0.0", "1.0"] * 50, start=NOON - HOUR, request="early")
    requests = elsewhere.answer(["0.0", "1.0"] * 50)
    labels = outcomes(elsewhere.store, requests, [0, 1] * 50)
    earlier = ReferenceOrder(ranges=(TimeRange(start=NOON - HOUR, end=NOON),))

    assert 1.0 == elsewhere.check(QUALITY, earlier, labels).checks[0].value
