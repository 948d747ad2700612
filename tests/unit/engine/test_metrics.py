"""The table of metrics and the page made of it."""

from __future__ import annotations

from tidemill.engine import metrics
from tidemill.engine.transitions import Transition
from tidemill.plan.world import Key, World


def page() -> str:
    return metrics.page([metrics.WorldCollector(World())]).decode()


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in metrics.TABLE:
        assert metric.name.endswith("_total") == (metric.type == "counter"), metric.name
        assert metric.help.endswith("."), metric.name


def test_the_counters_of_an_object_go_with_it() -> None:
    metrics.count(Transition("rollouts_total", ("science", "leaving", "Promoted")))
    assert 'tidemill_rollouts_total{namespace="science",outcome="Promoted",service="leaving"} 1.0' in page()

    metrics.forget(Key("InferenceService", "science", "leaving"))

    assert "leaving" not in page()


def test_counters_of_a_namespace_disappear_with_its_last_training_job() -> None:
    for namespace in ("ended", "busy"):
        metrics.count(Transition("trainings_total", (namespace, "User", "Succeeded")))

    metrics.forget(Key("TrainingJob", "ended", "first"))

    assert 'tidemill_trainings_total{cause="User",namespace="ended"' in page()

    metrics.forget(Key("TrainingJob", "ended", "last"), was_last=True)

    assert 'namespace="ended"' not in page()
    assert 'tidemill_trainings_total{cause="User",namespace="busy"' in page()
    metrics.forget(Key("TrainingJob", "busy", "last"), was_last=True)


def test_forgetting_an_object_leaves_its_namesakes_alone() -> None:
    for namespace in ("science", "business"):
        metrics.count(Transition("rollouts_total", (namespace, "twin", "Promoted")))

    metrics.forget(Key("InferenceService", "science", "twin"))

    assert 'namespace="business",outcome="Promoted",service="twin"' in page()
    metrics.forget(Key("InferenceService", "business", "twin"))
