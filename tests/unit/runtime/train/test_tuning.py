"""Searches in training runs: real fits on small real data, and what comes of trials that fail or take too long."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from support import revisions
from tidemill.api.conditions import Reason
from tidemill.api.tuning import Tuning
from tidemill.contract.orders import TrainOrder
from tidemill.contract.reports import Ingested, RunReport, Trained
from tidemill.runtime.failures import InvalidParameters, RunFailed, TrainingFailed
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import HOLDOUT
from tidemill.runtime.train import estimators, tuning
from tidemill.runtime.train.folds import folds
from tidemill.runtime.train.rows import gather, read_revision

STUMP = {"name": "DecisionTreeClassifier", "parameters": {"max_depth": 1, "min_samples_leaf": 2}}
"""Too shallow for three kinds of irises."""
DEPTH = {"name": "max_depth", "searchSpace": {"uniform": {"min": 1, "max": 6, "type": "Int"}}}
C = {"name": "C", "searchSpace": {"logUniform": {"min": 1e-5, "max": 100}}}


def wanted(*parameters: dict[str, Any], metric: str = "accuracy", **fields: Any) -> dict[str, Any]:
    objective = {"metric": metric, "validation": {"folds": 3}, **fields.pop("objective", {})}
    return {"objective": objective, "parameters": list(parameters), "numTrials": 6, **fields}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def irises(store: ObjectStore) -> Ingested:
    return revisions.revision(store, "sklearn://iris")


@pytest.fixture(scope="module")
def order(irises: Ingested) -> TrainOrder:
    return revisions.training(irises, STUMP, "tuned", tuning=wanted(DEPTH))


@pytest.fixture(scope="module")
def tuned(store: ObjectStore, order: TrainOrder) -> Trained:
    return revisions.trained(order, store)[0]


def run(store: ObjectStore, of: Ingested, estimator: str | dict[str, Any], search: dict[str, Any]) -> Any:
    """A run whose version is not published yet."""
    return revisions.trained(revisions.training(of, estimator, f"run-{next(NUMBERS)}", tuning=search), store)


NUMBERS = itertools.count()


def test_a_search_finds_a_tree_that_is_deep_enough(store: ObjectStore, irises: Ingested, tuned: Trained) -> None:
    shallow, _ = revisions.trained(revisions.training(irises, STUMP, "shallow"), store)

    assert tuned.search is not None
    assert tuned.search.score > 0.9
    assert tuned.evaluation[0].metrics["accuracy"] > shallow.evaluation[0].metrics["accuracy"] + 0.15


def test_found_parameters_are_reported_next_to_given_ones(tuned: Trained) -> None:
    assert tuned.search is not None
    assert tuned.search.parameters.keys() == {"max_depth"}
    assert {"min_samples_leaf": 2, **tuned.search.parameters} == tuned.parameters
    assert (6, 0, 0) == (tuned.search.completed, tuned.search.failed, tuned.search.pruned)


def test_the_version_holds_all_trials_and_the_best_is_the_best_of_them(
    store: ObjectStore, tuned: Trained, tmp_path: Path
) -> None:
    folder = store.fetch(tuned.uri, tuned.digest, tmp_path / "model")
    trials = json.loads((folder / "trials.json").read_bytes())["trials"]

    assert tuned.search is not None
    assert [1, 2, 3, 4, 5, 6] == [trial["number"] for trial in trials]
    assert tuned.search.score == max(trial["score"] for trial in trials)
    assert all(3 == len(trial["scores"]) for trial in trials)
    assert "How the parameters were found" in (folder / "README.md").read_text()


def test_the_page_tells_what_was_tried(store: ObjectStore, tuned: Trained) -> None:
    page = store.get("team/models/model/tuned/report.html").decode()

    assert "<h2>Trials</h2>" in page
    assert "6 trials, each scored by cross-validation over 3 folds" in page


def test_the_same_order_finds_the_same(store: ObjectStore, order: TrainOrder, tuned: Trained) -> None:
    store.delete(*(entry.key for entry in store.list("team/models/model/tuned")))

    assert tuned == revisions.trained(order, store)[0]


def test_rows_that_were_served_are_searched_with(store: ObjectStore, irises: Ingested, tmp_path: Path) -> None:
    """As a retraining does that retunes: the search also sees what the service answered."""
    _, rows = read_revision(store.fetch(irises.uri, irises.digest, tmp_path / "rows"))
    training = rows.filter(pc.invert(rows.column(HOLDOUT)))
    features = training.select([name for name in training.column_names if name not in (HOLDOUT, "target")])
    moved = pa.table({name: pc.add(features.column(name), 30.0) for name in features.column_names})
    revisions.served(store, moved, training.column("target").to_pylist())
    end = revisions.NOON + timedelta(hours=3)
    window = {"inferenceService": "answers", "start": revisions.NOON.isoformat(), "end": end.isoformat()}

    wide = {**DEPTH, "searchSpace": {"categorical": {"choices": [2, 6]}}}
    order = revisions.training(irises, STUMP, "retuned", tuning=wanted(wide), servedRows=window)
    trained, _ = revisions.trained(order, store)

    assert trained.served_rows > 50
    assert trained.search is not None
    assert {"max_depth": 6} == trained.search.parameters
    assert trained.search.score > 0.85


def test_an_error_is_minimised(store: ObjectStore, irises: Ingested) -> None:
    search = wanted(C, metric="log_loss", objective={"direction": "Minimize"}, algorithm="Grid")

    trained, _ = run(store, irises, "LogisticRegression", search)

    assert trained.search is not None
    assert 0 < trained.search.score < 0.3
    assert trained.search.parameters["C"] > 1


def test_a_regression_is_tuned_too(store: ObjectStore) -> None:
    diabetes = revisions.revision(store, "sklearn://diabetes", dataset="diabetes")
    strength = {"name": "alpha", "searchSpace": {"logUniform": {"min": 1e-3, "max": 1e5}}}

    trained, _ = run(store, diabetes, "Ridge", wanted(strength, metric="r2", algorithm="Random"))

    assert trained.search is not None
    assert trained.search.score > 0.4
    assert trained.search.parameters["alpha"] < 1e4


def test_a_trial_that_fails_is_told_and_does_not_end_the_search(store: ObjectStore, irises: Ingested) -> None:
    penalty = {"name": "solver", "searchSpace": {"categorical": {"choices": ["lbfgs", "nonsense"]}}}

    trained, warnings = run(store, irises, "LogisticRegression", wanted(penalty))

    assert trained.search is not None
    assert ({"solver": "lbfgs"}, 1, 1) == (trained.search.parameters, trained.search.completed, trained.search.failed)
    assert any(warning.startswith("1 of 2 trials failed; the first: ") for warning in warnings)


def test_where_all_trials_fail_the_run_says_why_and_what_to_do(store: ObjectStore, irises: Ingested) -> None:
    penalty = {"name": "solver", "searchSpace": {"categorical": {"choices": ["nonsense"]}}}

    with pytest.raises(
        RunFailed, match=r"not one of the search's trials \(1\) could be judged; .*solver.*correct spec\.tuning"
    ) as refused:
        run(store, irises, "LogisticRegression", wanted(penalty))
    assert Reason.INVALID_PARAMETERS == refused.value.reason


def test_a_metric_that_the_estimator_cannot_be_judged_by_fails_the_run(store: ObjectStore, irises: Ingested) -> None:
    with pytest.raises(TrainingFailed, match=r"roc_auc cannot be measured.*take another metric or estimator"):
        run(store, irises, "RidgeClassifier", wanted({**C, "name": "alpha"}, metric="roc_auc"))


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (wanted({**DEPTH, "name": "max_deph"}), r"no parameter 'max_deph'; did you mean 'max_depth'\?.*spec\.tuning"),
        (
            wanted(DEPTH, metric="acuracy"),
            r"unknown metric 'acuracy'; set spec\.tuning\.objective\.metric to .*accuracy",
        ),
        (wanted(DEPTH, metric="log_loss"), r"of log_loss, less is better.*set it to Minimize"),
        (wanted(DEPTH, objective={"direction": "Minimize"}), r"of accuracy, more is better.*set it to Maximize"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused_with_the_name(search: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        tuning.check(Tuning.model_validate(search), estimators.find("DecisionTreeClassifier"))


def test_the_run_refuses_before_it_reads_any_row(store: ObjectStore, irises: Ingested) -> None:
    gone = irises.model_copy(update={"uri": "file:///nowhere"})

    with pytest.raises(InvalidParameters, match="has no parameter 'max_deph'"):
        run(store, gone, STUMP, wanted({**DEPTH, "name": "max_deph"}))


def test_a_trial_is_judged_by_rows_that_it_did_not_learn(store: ObjectStore) -> None:
    """A deep tree knows labels that mean nothing by heart, and still cannot guess others."""
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.4f},{rng.integers(2)}" for _ in range(300)]
    noise = revisions.revision(
        store,
        data="amount,fraud\n" + "\n".join(lines) + "\n",
        dataset="noise",
        columns=[{"name": "fraud", "role": "Target"}],
    )

    trained, _ = run(
        store, noise, "DecisionTreeClassifier", wanted({**DEPTH, "searchSpace": {"categorical": {"choices": [50]}}})
    )

    assert trained.search is not None
    assert trained.search.score < 0.65


def test_the_hold_out_has_no_say(store: ObjectStore, tmp_path: Path) -> None:
    """Two Datasets that differ only in the labels of what is held out are searched alike."""
    lines = revisions.text_of(300).splitlines()
    table = [["id", *lines[0].split(",")], *([str(row), *line.split(",")] for row, line in enumerate(lines[1:]))]
    columns = [{"name": "id", "role": "Id"}, {"name": "label", "role": "Target"}]

    def revision(name: str) -> Ingested:
        text = "\n".join(",".join(row) for row in table) + "\n"
        return revisions.revision(
            store, data=text, dataset=name, columns=columns, splits={"strategy": "Random", "test": 0.3}
        )

    right = revision("right")
    held_out = set(held_out_ids(store, right, tmp_path))
    for row in table[1:]:
        if float(row[0]) in held_out:
            row[-1] = {"yes": "no", "no": "yes"}[row[-1]]
    before, _ = run(store, right, STUMP, wanted(DEPTH))
    after, _ = run(store, revision("wrong"), STUMP, wanted(DEPTH))

    assert 60 < len(held_out) < 120
    assert before.evaluation[0].metrics["accuracy"] > after.evaluation[0].metrics["accuracy"] + 0.3
    assert before.search == after.search


def held_out_ids(store: ObjectStore, of: Ingested, into: Path) -> list[float]:
    _, rows = read_revision(store.fetch(of.uri, of.digest, into / "rows"))
    return [float(row["id"]) for row in rows.select(["id", HOLDOUT]).to_pylist() if row[HOLDOUT]]


def test_rows_of_one_group_judge_together_where_the_dataset_is_split_by_group(
    store: ObjectStore, tmp_path: Path
) -> None:
    """The group is not a feature, and is still known to the folds."""
    rng = np.random.default_rng(0)
    lines = [f"c{customer},{rng.normal():.3f},{customer % 2}" for customer in range(60) for _ in range(5)]
    grouped = revisions.revision(
        store,
        data="customer,amount,fraud\n" + "\n".join(lines) + "\n",
        dataset="grouped",
        columns=[{"name": "customer", "role": "Entity"}, {"name": "fraud", "role": "Target"}],
        splits={"strategy": "Group", "column": "customer", "test": 0.3},
    )

    training = gather(
        store.fetch(grouped.uri, grouped.digest, tmp_path / "rows"), "Regression", None, "team", store, 7
    ).training
    cut = folds(training.group_ids, training.truth.astype(np.int64), "Regression", 3, 7)

    families = {int(group_id): set(cut[training.group_ids == group_id].tolist()) for group_id in training.group_ids}
    assert len(training) == 5 * len(families)
    assert all(1 == len(of_family) for of_family in families.values())


def ticking(step: float) -> Callable[[], float]:
    """A clock that is `step` seconds further each time that somebody looks."""
    moments = itertools.count(0.0, step)
    return lambda: next(moments)


def as_good_as(parameters: dict[str, Any]) -> Iterator[float]:
    yield float(parameters["C"])
    yield float(parameters["C"])


def test_a_search_ends_with_what_it_has_when_time_is_up() -> None:
    search = Tuning.model_validate(wanted(C, numTrials=50, timeout="20s"))

    match = tuning.search(search, 7, as_good_as, ticking(1.0))

    assert 2 <= len(match.trials) < 20
    assert match.best.score == max(trial.score for trial in match.trials if trial.score is not None)
    assert (f"the search ended after {len(match.trials)} of 50 trials, when 20s were over",) == match.warnings


def test_the_first_trial_is_judged_however_long_it_takes() -> None:
    search = Tuning.model_validate(wanted(C, timeout="1s"))

    match = tuning.search(search, 7, as_good_as, ticking(60.0))

    assert ["Completed"] == [trial.state for trial in match.trials]


def test_a_trial_that_is_not_over_in_time_is_given_up_and_not_chosen() -> None:
    search = Tuning.model_validate(wanted(C, timeout="5s"))

    match = tuning.search(search, 7, as_good_as, ticking(1.0))

    assert "Pruned" == match.trials[-1].state
    assert match.trials[-1].score is None
    assert 1 == match.searched().pruned


def test_of_trials_that_are_as_good_the_first_is_taken() -> None:
    match = tuning.search(Tuning.model_validate(wanted(C)), 7, lambda _: iter([0.5]), lambda: 0.0)

    assert 1 == match.best.number


def test_what_was_found_survives_a_report_that_must_be_short(tuned: Trained) -> None:
    long = tuned.model_copy(update={"parameters": {f"parameter_{number}": "x" * 100 for number in range(50)}})

    report = RunReport.model_validate_json(RunReport(trained=long).to_message())

    assert report.trained is not None
    assert tuned.search == report.trained.search
