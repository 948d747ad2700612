"""What a retraining's data selection makes of the rows: which are trained on, and how much each counts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support import revisions
from tidemill.api.trainingjob import ServedRows
from tidemill.contract.reports import Ingested
from tidemill.runtime.failures import NoNewRows
from tidemill.runtime.model import predictor
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.train.rows import Material, gather

ROWS, SERVED = 800, 300


def table(rows: int, share: float, seed: int) -> tuple[np.ndarray, list[str]]:
    """One number that tells a little of the label, which is `yes` for a share of the rows."""
    rng = np.random.default_rng(seed)
    labels = rng.random(rows) < share
    return rng.normal(size=rows) + 0.5 * labels, ["yes" if label else "no" for label in labels]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def rows(store: ObjectStore) -> Ingested:
    """A Dataset with one `yes` in ten rows, and served rows with labels of which nine in ten are `yes`."""
    values, labels = table(ROWS, 0.1, 1)
    lines = ["a,label", *(f"{value:.6f},{label}" for value, label in zip(values, labels, strict=True))]
    result = revisions.revision(store, data="\n".join(lines) + "\n", columns=[{"name": "label", "role": "Target"}])
    served, table_read = table(SERVED, 0.9, 2)
    revisions.served(store, pa.table({"a": served}), table_read)
    return result


def wanted(**selection: Any) -> dict[str, Any]:
    return {
        "inferenceService": "answers",
        "start": revisions.NOON.isoformat(),
        "end": (revisions.NOON + timedelta(hours=3)).isoformat(),
        **selection,
    }


def gathered(store: ObjectStore, rows: Ingested, into: Path, **selection: Any) -> Material:
    folder = store.fetch(rows.uri, rows.digest, into / "revision")
    return gather(folder, "Classification", ServedRows.model_validate(wanted(**selection)), "team", store, 7)


def shares(material: Material) -> list[float]:
    """The share of all weight that each answer has."""
    weights = np.bincount(material.training.truth, weights=material.training.weight)
    return [round(float(share), 9) for share in weights / weights.sum()]


def weight_of_sources(material: Material) -> tuple[float, float]:
    weight = material.training.weight
    return float(weight[: -material.served].sum()), float(weight[-material.served :].sum())


@pytest.mark.parametrize("combine", ["Append", "Replace"])
def test_balance_classes_gives_every_answer_the_same_weight_and_all_rows_as_much_as_before(
    store: ObjectStore, rows: Ingested, tmp_path: Path, combine: str
) -> None:
    plain = gathered(store, rows, tmp_path / "plain", combine=combine)
    balanced = gathered(store, rows, tmp_path / "balanced", combine=combine, balance="Classes")

    assert [0.5, 0.5] == shares(balanced)
    assert abs(shares(plain)[0] - 0.5) > 0.1
    assert plain.training.weight.sum() == pytest.approx(balanced.training.weight.sum())
    assert plain.training.truth.tolist() == balanced.training.truth.tolist()


def test_balance_sources_weighs_the_served_rows_as_much_as_the_datasets(
    store: ObjectStore, rows: Ingested, tmp_path: Path
) -> None:
    plain = weight_of_sources(gathered(store, rows, tmp_path / "plain"))
    balanced = weight_of_sources(gathered(store, rows, tmp_path / "balanced", balance="Sources"))

    assert plain[0] > 2 * plain[1]
    assert balanced[0] == pytest.approx(balanced[1]) == pytest.approx(plain[0])


def test_without_balance_every_row_counts_once(store: ObjectStore, rows: Ingested, tmp_path: Path) -> None:
    assert {1.0} == set(gathered(store, rows, tmp_path).training.weight.tolist())


def test_replace_learns_from_the_served_rows_of_the_window_alone(
    store: ObjectStore, rows: Ingested, tmp_path: Path
) -> None:
    minute = (revisions.NOON + timedelta(seconds=100)).isoformat()

    whole = gathered(store, rows, tmp_path / "whole", combine="Replace")
    shorter = gathered(store, rows, tmp_path / "shorter", combine="Replace", end=minute)

    assert (whole.served, shorter.served) == (len(whole.training), len(shorter.training))
    assert 0 < len(shorter.training) <= 100 < len(whole.training)


@pytest.mark.parametrize(
    ("labels", "because"),
    [
        (None, "20 rows were served, 0 with labels; send the labels of served rows to /feedback, then run"),
        (
            [0] * 20,
            "20 with labels; 20 labels of served rows are unknown to the Dataset and left out; correct",
        ),
    ],
    ids=["no labels", "indices for names"],
)
def test_a_retraining_to_which_served_rows_add_nothing_has_failed(
    store: ObjectStore, rows: Ingested, tmp_path: Path, labels: list[int] | None, because: str
) -> None:
    service = "unlabelled" if labels is None else "strange"
    revisions.served(
        store, pa.table({"a": table(20, 0.5, 3)[0]}), labels and [str(label) for label in labels], service=service
    )
    folder = store.fetch(rows.uri, rows.digest, tmp_path / "revision")
    asked = ServedRows.model_validate(wanted(inferenceService=service))

    with pytest.raises(NoNewRows) as failed:
        gather(folder, "Classification", asked, "team", store, 7, new_rows=True)
    without = gather(folder, "Classification", asked, "team", store, 7)

    assert ("NoNewRows", False) == (failed.value.reason, failed.value.retryable)
    assert because in failed.value.message
    assert 0 == without.served


def test_new_rows_are_no_failure(store: ObjectStore, rows: Ingested, tmp_path: Path) -> None:
    folder = store.fetch(rows.uri, rows.digest, tmp_path / "revision")
    material = gather(folder, "Classification", ServedRows.model_validate(wanted()), "team", store, 7, new_rows=True)

    assert material.served > 0


def test_a_model_learns_by_these_weights(store: ObjectStore, rows: Ingested, tmp_path: Path) -> None:
    """With the answers alike, a weak feature leaves a logistic regression undecided; without, it leans to the frequent one."""
    means = {}
    for balance in ("None", "Classes"):
        order = revisions.training(
            rows,
            "LogisticRegression",
            version=f"balanced-{balance.lower()}",
            servedRows=wanted(combine="Replace", balance=balance),
        )
        trained, _ = revisions.trained(order, store)
        model = predictor.load(store.fetch(trained.uri, trained.digest, tmp_path / balance))
        answer = model.predict(np.linspace(-1.0, 1.5, 51)[:, None])
        assert answer.probabilities is not None
        means[balance] = float(answer.probabilities[:, 1].mean())

    assert means["None"] > 0.8
    assert 0.4 < means["Classes"] < 0.6
