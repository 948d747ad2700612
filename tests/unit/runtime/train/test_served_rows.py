"""Training runs that learn from the rows that a service answered, and are measured on them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from support import revisions
from tidemill.api.conditions import Reason
from tidemill.contract.reports import Ingested, Trained
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.profile import Profile
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import HOLDOUT

WINDOW = {
    "inferenceService": "answers",
    "start": revisions.NOON.isoformat(),
    "end": (revisions.NOON + timedelta(hours=3)).isoformat(),
}


@pytest.fixture(scope="module")
def tide(store: ObjectStore, biopsies: Ingested, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Served rows of a re-calibrated scanner, made of rows that are not held out, with their labels."""
    table = revisions.rows_of(store, biopsies, tmp_path_factory.mktemp("rows"))
    known = table.filter(pa.array(~table.column(HOLDOUT).to_numpy())).drop_columns([HOLDOUT])
    rows = revisions.shifted(known.drop_columns(["target"]))
    revisions.served(store, rows, known.column("target").to_pylist())
    return rows


@pytest.fixture(scope="module")
def second(store: ObjectStore, biopsies: Ingested, first: Trained, tide: pa.Table) -> tuple[Trained, tuple[str, ...]]:
    stable = {"name": "model-1", "uri": first.uri, "digest": first.digest}
    return revisions.trained(revisions.training(biopsies, version="model-2", servedRows=WINDOW, stable=stable), store)


def test_learning_from_served_rows_wins_the_new_world_and_keeps_the_old(
    second: tuple[Trained, tuple[str, ...]], first: Trained
) -> None:
    recent, holdout = revisions.row_set(second[0], "RecentLabelled"), revisions.row_set(second[0], "Holdout")

    assert recent.stable["accuracy"] < 0.9 < 0.93 < recent.metrics["accuracy"]
    assert holdout.metrics["accuracy"] > 0.93
    assert holdout.stable == pytest.approx(revisions.row_set(first, "Holdout").metrics, abs=1e-6)


def test_seven_tenths_of_the_served_rows_are_learnt_from_and_the_rest_measured_on(
    second: tuple[Trained, tuple[str, ...]],
) -> None:
    trained, _ = second

    assert 456 == trained.served_rows + revisions.row_set(trained, "RecentLabelled").rows
    assert 0.63 < trained.served_rows / 456 < 0.77
    assert trained.rows == 456 + trained.served_rows


def test_a_version_made_for_the_new_world_expects_it(
    store: ObjectStore, second: tuple[Trained, tuple[str, ...]], tide: pa.Table, tmp_path: Path
) -> None:
    folder = store.fetch(second[0].uri, second[0].digest, tmp_path)

    expected = Profile.from_json((folder / "profile.json").read_bytes()).column("feature:mean_radius")

    assert expected is not None
    assert expected.rows == 456
    assert expected.maximum == pytest.approx(max(tide.column("mean_radius").to_pylist()))


def test_only_recent_rows_are_measured_on_and_expected(store: ObjectStore, biopsies: Ingested, tide: pa.Table) -> None:
    since = (revisions.NOON + timedelta(seconds=300)).isoformat()
    order = revisions.training(biopsies, version="model-recent", servedRows={**WINDOW, "recentStart": since})

    trained, _ = revisions.trained(order, store)

    recent = revisions.row_set(trained, "RecentLabelled").rows
    assert 456 == trained.served_rows + recent
    assert 0.2 < recent / 156 < 0.4
    profile = Profile.from_json(store.get(f"{store.key_of(trained.uri)}/profile.json"))
    column = profile.column("feature:mean_radius")
    assert column is not None
    assert 156 == column.rows


def test_served_rows_can_replace_the_datasets_own(store: ObjectStore, biopsies: Ingested, tide: pa.Table) -> None:
    order = revisions.training(biopsies, version="model-3", servedRows={**WINDOW, "combine": "Replace"})

    trained, _ = revisions.trained(order, store)

    assert trained.rows == trained.served_rows
    assert 113 == revisions.row_set(trained, "Holdout").rows


def test_the_hold_out_is_not_learnt_by_heart_when_it_is_served(
    store: ObjectStore, biopsies: Ingested, tmp_path: Path
) -> None:
    table = revisions.rows_of(store, biopsies, tmp_path).drop_columns([HOLDOUT])
    revisions.served(store, table.drop_columns(["target"]), table.column("target").to_pylist(), service="mirror")

    trained, warnings = revisions.trained(
        revisions.training(biopsies, version="model-4", servedRows={**WINDOW, "inferenceService": "mirror"}), store
    )

    assert any("113 served rows are also in the Dataset's hold-out" in warning for warning in warnings)
    assert revisions.row_set(trained, "RecentLabelled").rows > 113
    assert 569 == trained.served_rows + revisions.row_set(trained, "RecentLabelled").rows


def test_too_few_labels_are_waited_for(store: ObjectStore, biopsies: Ingested) -> None:
    window = {**WINDOW, "inferenceService": "silent", "combine": "Replace"}

    with pytest.raises(
        RunFailed, match="0 served rows with labels can be used for training, at least 10 are needed"
    ) as refused:
        revisions.trained(revisions.training(biopsies, version="model-5", servedRows=window), store)
    assert (Reason.NOT_ENOUGH_ROWS, True) == (refused.value.reason, refused.value.retryable)


def test_without_served_labels_the_dataset_is_enough(store: ObjectStore, biopsies: Ingested) -> None:
    window = {**WINDOW, "inferenceService": "silent"}

    trained, warnings = revisions.trained(revisions.training(biopsies, version="model-6", servedRows=window), store)

    assert 0 == trained.served_rows
    assert any("RecentLabelled gates cannot be judged" in warning for warning in warnings)


def test_a_version_in_service_that_cannot_be_loaded_does_not_stop_the_next(
    store: ObjectStore, biopsies: Ingested
) -> None:
    gone = {"name": "gone", "uri": store.uri_of("team/models/model/gone"), "digest": f"sha256:{'0' * 64}"}

    trained, warnings = revisions.trained(revisions.training(biopsies, version="model-7", stable=gone), store)

    assert {} == revisions.row_set(trained, "Holdout").stable
    assert any("the version in service, gone, could not be measured" in warning for warning in warnings)


def test_the_report_says_the_verdict_first(store: ObjectStore, second: tuple[Trained, tuple[str, ...]]) -> None:
    page = store.get(store.key_of(second[0].report_uri)).decode()

    assert page.index("rows of recent served rows with labels (the version in service:") < page.index(
        "<h2>Metrics</h2>"
    )
    assert "malignant" in page
