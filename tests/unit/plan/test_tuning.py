"""A search through the planner: what the run is told, what is kept of what it found, and what a retraining makes of it."""

from __future__ import annotations

from typing import Any

from stories import script
from stories.fake_cluster import FakeCluster
from stories.monitoring import retuned_and_then_kept
from tidemill.api.tuning import Tuning
from tidemill.contract.orders import TrainOrder
from tidemill.contract.reports import RunReport


class Watched(FakeCluster):
    """A cluster that keeps the training orders."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[TrainOrder] = []

    def listen(self) -> None:
        """Keep the orders from here on."""
        report = script.trains()

        def heard(order: dict[str, Any]) -> RunReport:
            self.orders.append(TrainOrder.model_validate(order))
            return report(order)

        self.reports |= {"Ingest": script.ingests, "Train": heard}


def tuned_run(**spec: Any) -> Watched:
    cluster = Watched()
    cluster.listen()
    cluster.apply(script.dataset())
    cluster.apply(script.training_job(tuning=script.TUNING, **spec))
    cluster.run(minutes=1)
    return cluster


def lineage(cluster: FakeCluster, version: str) -> dict[str, Any]:
    spec: dict[str, Any] = cluster.get("ModelVersion", version)["spec"]["lineage"]
    return spec


def in_order(cluster: FakeCluster, kind: str) -> list[dict[str, Any]]:
    results = [manifest for key, manifest in cluster.objects.items() if key.kind == kind]
    return sorted(results, key=lambda manifest: str(manifest["metadata"]["creationTimestamp"]))


def test_the_run_is_told_to_search() -> None:
    (order,) = tuned_run().orders

    assert order.tuning is not None
    assert (20, "TPE") == (order.tuning.num_trials, order.tuning.algorithm)


def test_a_run_without_a_search_has_the_order_that_it_always_had() -> None:
    cluster = Watched()
    cluster.listen()
    cluster.apply(script.dataset())
    cluster.apply(script.training_job())
    cluster.run(minutes=1)

    assert "tuning" not in cluster.orders[0].to_wire()


def test_the_status_says_how_many_trials_there_were_and_which_was_best() -> None:
    status = tuned_run().get("TrainingJob", "fraud-first")["status"]

    assert {"percentage": 100, "trialsCompleted": 18, "trialsPruned": 0, "trialsFailed": 2} == status["progress"]
    assert {"trial": 7, "parameters": {"C": 0.5}, "objective": 0.95, "metrics": {"accuracy": 0.96}} == status["best"]


def test_the_version_has_the_parameters_that_were_found_and_those_that_were_given() -> None:
    given = {"name": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 1.0, "max_iter": 300}}
    cluster = tuned_run(estimator=given)

    assert {"C": 0.5, "max_iter": 300} == lineage(cluster, cluster.named("ModelVersion")[0])["parameters"]


def test_retune_searches_anew_and_the_same_parameters_are_then_those_that_it_found() -> None:
    cluster = FakeCluster()
    retuned_and_then_kept(cluster)
    template, retuned, kept = in_order(cluster, "TrainingJob")
    versions = [job["status"]["modelVersion"] for job in (template, retuned, kept)]

    assert Tuning.model_validate(template["spec"]["tuning"]) == Tuning.model_validate(retuned["spec"]["tuning"])
    assert "tuning" not in kept["spec"]
    assert {"C": 2.5} == kept["spec"]["estimator"]["parameters"]
    assert [{"C": 0.5}, {"C": 2.5}, {"C": 2.5}] == [lineage(cluster, version)["parameters"] for version in versions]
