"""Stories of DriftMonitors and the retrainings that they order."""

from __future__ import annotations

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import annotated, in_service, newest, policy


def drift_comes_and_is_answered(cluster: FakeCluster) -> None:
    """A check begins to fail, and passes again once a version that was trained on it is on trial."""
    cluster.run(minutes=3)
    cluster.say("the inputs drift")
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=2, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.reports["Check"] = script.checks("Passing")


def drift_retrains_once(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor())
    drift_comes_and_is_answered(cluster)
    cluster.run(minutes=12)


def bad_data_starts_no_retraining(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.run(minutes=2)
    cluster.say("a sensor breaks: values go missing, and the distribution moves with them")
    cluster.reports["Check"] = script.checks("Failing", integrity="Failing")
    cluster.run(minutes=6)


def labels_that_are_not_classes_start_no_retraining(cluster: FakeCluster) -> None:
    """A client sends 0, 1 and 2 where the classes have names: the labels are a defect of the client, not of the model."""
    in_service(cluster)
    quality = {"name": "quality", "type": "Performance", "metric": "accuracy", "maximumRegression": 0.05}
    cluster.apply(script.monitor(checks=[*script.monitor()["spec"]["checks"], quality]))
    cluster.reports["Check"] = script.checks(quality="Passing")
    cluster.run(minutes=2)
    cluster.say("a client begins to send indices instead of classes, while the inputs drift")
    cluster.reports["Check"] = script.checks("Failing", quality="NoData", unknown_labels=390)
    cluster.run(minutes=3)
    cluster.say("the client is corrected")
    cluster.reports["Check"] = script.checks(quality="Passing")
    cluster.run(minutes=2)


def a_retraining_without_a_new_row_has_failed(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.run(minutes=2)
    cluster.reports["Train"] = script.nothing_new
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=3)


def circuit_opens_after_rejected_versions(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.reports["Check"] = script.checks("Failing")
    cluster.reports["Train"] = script.trains(accuracy=0.7)
    cluster.run(minutes=45)


def refreshed_by_schedule(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(retraining=policy(schedule="4 9 * * *")))
    cluster.run(minutes=3, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=4)


def new_data_retrains(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(retraining=policy(onDataChange=True)))
    cluster.run(minutes=2)
    cluster.say("the source has more rows")
    cluster.reports["Ingest"] = script.ingests_anew
    cluster.apply(script.dataset(source={"uri": "s3://lake/payments-2.parquet"}))
    cluster.run(seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=4)


def asked_for_by_hand(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.run(minutes=2)
    cluster.apply(annotated(script.monitor(), "tidemill.dev/retrain", "2026-01-05T09:02:30Z"))
    cluster.run(seconds=45)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=4)


def checked_on_demand_counts_no_hits(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(interval="10m"))
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=10)
    for minute in (12, 13, 14):
        cluster.apply(annotated(script.monitor(interval="10m"), "tidemill.dev/check", f"2026-01-05T09:{minute}:00Z"))
        cluster.run(minutes=1, seconds=30)


def two_monitors_retrain_once(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor())
    other = script.monitor()
    other["metadata"] = {"name": "fraud-too"}
    cluster.apply(other)
    cluster.run(minutes=1)
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=3, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.reports["Check"] = script.checks("Passing")
    cluster.run(minutes=4)


def observing_does_everything_but_retrain(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(retraining=policy(mode="Observe")))
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=12)


def a_schedule_that_never_fires(cluster: FakeCluster) -> None:
    in_service(cluster)
    monitor = script.monitor()
    del monitor["spec"]["interval"]
    monitor["spec"]["schedule"] = "0 0 30 2 *"
    cluster.apply(monitor)
    cluster.run(minutes=30)
    cluster.apply(script.monitor())
    cluster.run(minutes=1)


def a_gap_is_not_an_end_of_drift(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(retraining=policy(trigger={"consecutive": 3})))
    cluster.run(minutes=1)
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=2)
    cluster.say("no requests for two windows")
    cluster.reports["Check"] = script.checks("NoData", "NoData", samples=0, labelled=0)
    cluster.run(minutes=2)
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=1, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.reports["Check"] = script.checks("Passing")
    cluster.run(minutes=3)


def a_warning_is_an_end_of_failing(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.run(minutes=1)
    for _ in range(3):
        cluster.say("a window fails")
        cluster.reports["Check"] = script.checks("Failing")
        cluster.run(minutes=1)
        cluster.say("the next one only warns")
        cluster.reports["Check"] = script.checks("Warning")
        cluster.run(minutes=1)
    cluster.run(minutes=5)


def a_schedule_that_always_fires_waits_for_the_cooldown(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(retraining=policy(schedule="* * * * *", minimumInterval="1h")))
    cluster.run(minutes=1, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=30)


def a_schedule_that_always_fires_spends_its_budget(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(
        script.monitor(retraining=policy(schedule="* * * * *", minimumInterval="1s", budget={"runs": 1, "per": "1d"}))
    )
    cluster.run(minutes=1, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=30)


def compared_with_a_dataset(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(reference={"type": "Dataset", "dataset": {"name": "validation"}}))
    cluster.run(minutes=2)
    validation = {**script.dataset(), "metadata": {"name": "validation"}}
    cluster.apply(validation)
    cluster.run(minutes=2)
    cluster.say("the reference Dataset has another revision")
    cluster.reports["Ingest"] = script.ingests_anew
    validation["spec"] = {"source": {"uri": "s3://lake/validation-2.parquet"}}
    cluster.apply(validation)
    cluster.run(minutes=2)


def other_systems_are_notified(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.reports["Notify"] = script.notifies
    cluster.apply(
        script.monitor(
            notify=[
                {"name": "chat", "webhook": {"url": "https://chat.example.com/x", "format": "Slack"}},
                {"name": "audit", "webhook": {"url": "https://audit.example.com/x"}, "events": ["Fired", "Recovered"]},
            ]
        )
    )
    cluster.run(minutes=2)
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=2, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.reports["Check"] = script.checks("Passing")
    cluster.run(minutes=4)


def a_drift_that_lasts_until_another_version_answers_is_told_as_over(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.reports |= {"Notify": script.notifies, "Check": script.checks("Failing")}
    calls = {"name": "calls", "webhook": {"url": "https://calls.example.com/x"}, "events": ["Fired", "Recovered"]}
    cluster.apply(script.monitor(notify=[calls]))
    cluster.run(minutes=2, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=1)
    cluster.say("the inputs stay as they are; the next version was trained on them")
    cluster.reports["Check"] = script.checks("Passing")
    cluster.run(minutes=3)
    events = [call["event"] for call in cluster.get("DriftMonitor", "fraud")["status"]["deliveries"]]
    assert events == ["Recovered", "Fired"]


def a_receiver_that_is_down_holds_nothing_up(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.reports["Notify"] = script.cannot_notify
    cluster.apply(
        script.monitor(
            notify=[{"name": "chat", "webhook": {"url": "https://chat.example.com/x"}, "events": ["Fired"]}],
            retraining=policy(mode="Off"),
        )
    )
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=30)


def another_system_calls_in(cluster: FakeCluster) -> None:
    in_service(cluster)
    outside = {"name": "outside", "type": "External", "source": "Alertmanager", "secretRef": {"name": "alerts"}}
    watched = script.monitor()
    watched["spec"]["checks"] = [*watched["spec"]["checks"], outside]
    cluster.apply(watched)
    cluster.run(minutes=1, seconds=30)
    cluster.say("the signals stop, and the check is removed from the spec")
    cluster.apply(script.monitor())
    cluster.run(minutes=1, seconds=30)


def a_service_that_is_not_ours_is_watched(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Check": script.checks("Passing")}
    cluster.apply(script.dataset())
    cluster.apply(
        script.monitor(
            target={"cloudEvents": {"service": "sklearn-iris", "columns": ["a", "b"]}},
            reference={"type": "Dataset", "dataset": {"name": "payments"}},
            retraining=None,
        )
    )
    cluster.run(minutes=3)
    cluster.say("the inputs of the external service drift")
    cluster.reports["Check"] = script.checks("Failing")
    cluster.run(minutes=2)
    cluster.delete("DriftMonitor", "fraud")
    cluster.run(minutes=1)


def checked_by_a_warm_worker(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(execution="WarmWorker"))
    drift_comes_and_is_answered(cluster)
    cluster.run(minutes=4)
    cluster.delete("DriftMonitor", "fraud")


def a_warm_worker_that_falls_silent_holds_nothing_up(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.monitor(execution="WarmWorker"))
    cluster.run(minutes=1, seconds=30)
    cluster.say("the worker stops answering")
    cluster.worker_answers = False
    cluster.run(minutes=1)
    cluster.say("its pod is replaced while the inputs drift, and does not become ready")
    cluster.reports["Check"] = script.checks("Failing")
    cluster.worker_answers = True
    cluster.start_pod = lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/component"] != "worker"
    cluster.apply(script.monitor(execution="WarmWorker", resources={"requests": {"cpu": "1"}}))
    cluster.run(minutes=1)
    cluster.say("the pod becomes ready")
    cluster.start_pod = lambda _: True
    cluster.apply(script.monitor(execution="WarmWorker", resources={"requests": {"cpu": "500m"}}))
    cluster.run(minutes=1)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.reports["Check"] = script.checks("Passing")
    cluster.run(minutes=3)
    cluster.say("the user switches back to Jobs")
    cluster.apply(script.monitor())
    cluster.run(minutes=2)


def performance_that_falls_without_drift_retrains_once(cluster: FakeCluster) -> None:
    in_service(cluster)
    quality = {"name": "quality", "type": "Performance", "metric": "accuracy", "maximumRegression": 0.05}
    cluster.apply(script.monitor(checks=[*script.monitor()["spec"]["checks"], quality]))
    cluster.reports["Check"] = script.checks(quality="Passing")
    cluster.run(minutes=3)
    cluster.say("the labels change, while the inputs do not")
    cluster.reports["Check"] = script.checks(quality="Failing")
    cluster.run(minutes=2, seconds=30)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.reports["Check"] = script.checks(quality="Passing")
    cluster.run(minutes=12)


def retuned_and_then_kept(cluster: FakeCluster) -> None:
    """The template searches; a retraining that retunes searches again, and one with the same parameters takes what it found."""
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    for manifest in (script.dataset(), script.training_job(tuning=script.TUNING), script.service()):
        cluster.apply(manifest)
    cluster.run(minutes=1)
    cluster.apply(script.monitor(retraining=policy(strategy="Retune")))
    drift_comes_and_is_answered(cluster)
    cluster.run(minutes=10)
    cluster.say("the user changes the strategy to SameParameters")
    kept = script.monitor(retraining=policy(strategy="SameParameters"))
    cluster.apply(annotated(kept, "tidemill.dev/retrain", "2026-01-05T09:16:00Z"))
    cluster.run(seconds=45)
    cluster.measurements = script.measures(newest(cluster), right=98)
    cluster.run(minutes=4)


STORIES = (
    drift_retrains_once,
    bad_data_starts_no_retraining,
    labels_that_are_not_classes_start_no_retraining,
    a_retraining_without_a_new_row_has_failed,
    circuit_opens_after_rejected_versions,
    refreshed_by_schedule,
    new_data_retrains,
    asked_for_by_hand,
    checked_on_demand_counts_no_hits,
    two_monitors_retrain_once,
    observing_does_everything_but_retrain,
    a_schedule_that_never_fires,
    a_gap_is_not_an_end_of_drift,
    a_warning_is_an_end_of_failing,
    a_schedule_that_always_fires_waits_for_the_cooldown,
    a_schedule_that_always_fires_spends_its_budget,
    compared_with_a_dataset,
    other_systems_are_notified,
    a_drift_that_lasts_until_another_version_answers_is_told_as_over,
    a_receiver_that_is_down_holds_nothing_up,
    another_system_calls_in,
    a_service_that_is_not_ours_is_watched,
    checked_by_a_warm_worker,
    a_warm_worker_that_falls_silent_holds_nothing_up,
    performance_that_falls_without_drift_retrains_once,
    retuned_and_then_kept,
)
