"""The TrainingJob that answers a drift: what it takes over, and which rows it learns from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support import monitors as make
from support.monitors import NOW
from tidemill.api import TrainingJob
from tidemill.children import versions
from tidemill.children.versions import ServedWindow

WINDOW = ServedWindow(start=NOW - timedelta(days=30), recent=NOW - timedelta(hours=1), end=NOW)


def ordered(**data: Any) -> TrainingJob:
    monitor = make.monitor(retraining={"template": {"trainingJob": "fraud-first", "data": data}})
    manifest = versions.retraining(
        monitor, make.training_job(), make.version(), "fraud-retrain-1", window=WINDOW, trigger="Drift", since=NOW
    )
    return TrainingJob.model_validate(manifest)


def retuned(strategy: str) -> TrainingJob:
    """After a template that searches, for a version that a search found."""
    monitor = make.monitor(retraining={"strategy": strategy})
    template = make.training_job().to_wire()
    template["spec"]["tuning"] = {
        "objective": {"metric": "f1"},
        "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 1, "max": 2}}}],
    }
    lineage = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 1.5}}
    manifest = versions.retraining(
        monitor,
        TrainingJob.model_validate(template),
        make.version(lineage={"datasets": [], **lineage}),
        "fraud-retrain-1",
        window=WINDOW,
        trigger="Drift",
        since=NOW,
    )
    return TrainingJob.model_validate(manifest)


@pytest.mark.parametrize(
    ("data", "combine", "balance"),
    [
        ({}, "Append", "None"),
        ({"combine": "Replace"}, "Replace", "None"),
        ({"balance": "Sources"}, "Append", "Sources"),
        ({"combine": "Replace", "balance": "Classes"}, "Replace", "Classes"),
    ],
)
def test_the_data_selection_of_the_policy_is_that_of_the_run(data: dict[str, Any], combine: str, balance: str) -> None:
    rows = ordered(**data).spec.served_rows

    assert rows is not None
    assert (combine, balance) == (rows.combine, rows.balance)
    assert ("fraud", WINDOW.start, WINDOW.recent, WINDOW.end) == (
        rows.inference_service,
        rows.start,
        rows.recent_start,
        rows.end,
    )


def test_the_rest_of_the_spec_is_the_templates() -> None:
    template, made = make.training_job().spec, ordered().spec

    assert template == made.model_copy(update={"served_rows": template.served_rows})


def test_the_same_parameters_are_those_that_the_search_found_and_are_not_searched_again() -> None:
    spec = retuned("SameParameters").spec

    assert spec.estimator is not None
    assert (None, {"C": 1.5}) == (spec.tuning, spec.estimator.parameters)


def test_to_retune_is_to_search_again() -> None:
    assert retuned("Retune").spec.tuning is not None
