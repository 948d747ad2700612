"""Stories of DriftMonitors and the retrainings that they order."""

from __future__ import annotations

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import annotated, in_service, newest, policy


def the_tide_comes_and_is_answered(theatre: FakeCluster) -> None:
    """A check begins to fail, and passes again once a version is on trial that learnt from it."""
    theatre.run(minutes=3)
    theatre.say("the tide comes in")
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")


def drift_retrains_once(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor())
    the_tide_comes_and_is_answered(theatre)
    theatre.run(minutes=12)


def a_leak_is_not_a_tide(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor())
    theatre.run(minutes=2)
    theatre.say("a sensor breaks: values go missing, and the distribution moves with them")
    theatre.reports["Check"] = script.checks("Failing", integrity="Failing")
    theatre.run(minutes=6)


def circuit_opens_after_rejected_versions(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor())
    theatre.reports["Check"] = script.checks("Failing")
    theatre.reports["Train"] = script.trains(accuracy=0.7)
    theatre.run(minutes=45)


def refreshed_by_schedule(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(retraining=policy(schedule="4 9 * * *")))
    theatre.run(minutes=3, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=4)


def new_data_retrains(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(retraining=policy(onDataChange=True)))
    theatre.run(minutes=2)
    theatre.say("the lake has more rows")
    theatre.reports["Ingest"] = script.ingests_anew
    theatre.apply(script.dataset(source={"uri": "s3://lake/payments-2.parquet"}))
    theatre.run(seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=4)


def asked_for_by_hand(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor())
    theatre.run(minutes=2)
    theatre.apply(annotated(script.monitor(), "tidemill.dev/retrain", "2026-01-05T09:02:30Z"))
    theatre.run(seconds=45)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=4)


def checked_on_demand_counts_no_hits(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(interval="10m"))
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=10)
    for minute in (12, 13, 14):
        theatre.apply(annotated(script.monitor(interval="10m"), "tidemill.dev/check", f"2026-01-05T09:{minute}:00Z"))
        theatre.run(minutes=1, seconds=30)


def two_monitors_retrain_once(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor())
    other = script.monitor()
    other["metadata"] = {"name": "fraud-too"}
    theatre.apply(other)
    theatre.run(minutes=1)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=3, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=4)


def observing_does_everything_but_retrain(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(retraining=policy(mode="Observe")))
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=12)


def a_schedule_that_never_fires(theatre: FakeCluster) -> None:
    in_service(theatre)
    monitor = script.monitor()
    del monitor["spec"]["interval"]
    monitor["spec"]["schedule"] = "0 0 30 2 *"
    theatre.apply(monitor)
    theatre.run(minutes=30)
    theatre.apply(script.monitor())
    theatre.run(minutes=1)


def a_gap_is_not_an_end_of_drift(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(retraining=policy(trigger={"consecutive": 3})))
    theatre.run(minutes=1)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2)
    theatre.say("nobody asks for two windows")
    theatre.reports["Check"] = script.checks("NoData", "NoData", samples=0, labelled=0)
    theatre.run(minutes=2)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=1, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=3)


def a_warning_is_an_end_of_failing(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor())
    theatre.run(minutes=1)
    for _ in range(3):
        theatre.say("a window fails")
        theatre.reports["Check"] = script.checks("Failing")
        theatre.run(minutes=1)
        theatre.say("the next one only warns")
        theatre.reports["Check"] = script.checks("Warning")
        theatre.run(minutes=1)
    theatre.run(minutes=5)


def a_schedule_that_always_fires_waits_for_the_cooldown(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(retraining=policy(schedule="* * * * *", minimumInterval="1h")))
    theatre.run(minutes=1, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=30)


def a_schedule_that_always_fires_spends_its_budget(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(
        script.monitor(retraining=policy(schedule="* * * * *", minimumInterval="1s", budget={"runs": 1, "per": "1d"}))
    )
    theatre.run(minutes=1, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=30)


def compared_with_a_dataset(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(reference={"type": "Dataset", "dataset": {"name": "yardstick"}}))
    theatre.run(minutes=2)
    yardstick = {**script.dataset(), "metadata": {"name": "yardstick"}}
    theatre.apply(yardstick)
    theatre.run(minutes=2)
    theatre.say("the yardstick has another revision")
    theatre.reports["Ingest"] = script.ingests_anew
    yardstick["spec"] = {"source": {"uri": "s3://lake/yardstick-2.parquet"}}
    theatre.apply(yardstick)
    theatre.run(minutes=2)


def others_are_told(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.reports["Notify"] = script.notifies
    theatre.apply(
        script.monitor(
            notify=[
                {"name": "chat", "webhook": {"url": "https://chat.example.com/x", "format": "Slack"}},
                {"name": "audit", "webhook": {"url": "https://audit.example.com/x"}, "events": ["Fired", "Recovered"]},
            ]
        )
    )
    theatre.run(minutes=2)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=4)


def a_drift_that_lasts_until_another_version_answers_is_told_as_over(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.reports |= {"Notify": script.notifies, "Check": script.checks("Failing")}
    calls = {"name": "calls", "webhook": {"url": "https://calls.example.com/x"}, "events": ["Fired", "Recovered"]}
    theatre.apply(script.monitor(notify=[calls]))
    theatre.run(minutes=2, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=1)
    theatre.say("what is asked stays as it is; the version that is about to answer has learnt it")
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=3)
    told = [call["event"] for call in theatre.get("DriftMonitor", "fraud")["status"]["deliveries"]]
    assert told == ["Recovered", "Fired"]


def a_receiver_that_is_down_holds_nothing_up(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.reports["Notify"] = script.cannot_notify
    theatre.apply(
        script.monitor(
            notify=[{"name": "chat", "webhook": {"url": "https://chat.example.com/x"}, "events": ["Fired"]}],
            retraining=policy(mode="Off"),
        )
    )
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=30)


def another_system_calls_in(theatre: FakeCluster) -> None:
    in_service(theatre)
    outside = {"name": "outside", "type": "External", "source": "Alertmanager", "secretRef": {"name": "alerts"}}
    watched = script.monitor()
    watched["spec"]["checks"] = [*watched["spec"]["checks"], outside]
    theatre.apply(watched)
    theatre.run(minutes=1, seconds=30)
    theatre.say("nobody calls any more, and the check is taken out")
    theatre.apply(script.monitor())
    theatre.run(minutes=1, seconds=30)


def a_service_that_is_not_ours_is_watched(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Check": script.checks("Passing")}
    theatre.apply(script.dataset())
    theatre.apply(
        script.monitor(
            target={"cloudEvents": {"service": "sklearn-iris", "columns": ["a", "b"]}},
            reference={"type": "Dataset", "dataset": {"name": "payments"}},
            retraining=None,
        )
    )
    theatre.run(minutes=3)
    theatre.say("what it is asked has moved")
    theatre.reports["Check"] = script.checks("Failing")
    theatre.run(minutes=2)
    theatre.delete("DriftMonitor", "fraud")
    theatre.run(minutes=1)


def checked_by_a_warm_worker(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(execution="WarmWorker"))
    the_tide_comes_and_is_answered(theatre)
    theatre.run(minutes=4)
    theatre.delete("DriftMonitor", "fraud")


def a_warm_worker_that_falls_silent_holds_nothing_up(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.monitor(execution="WarmWorker"))
    theatre.run(minutes=1, seconds=30)
    theatre.say("the worker hangs")
    theatre.worker_answers = False
    theatre.run(minutes=1)
    theatre.say("its pod is replaced while the tide comes in, and does not get ready")
    theatre.reports["Check"] = script.checks("Failing")
    theatre.worker_answers = True
    theatre.start_pod = lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/component"] != "worker"
    theatre.apply(script.monitor(execution="WarmWorker", resources={"requests": {"cpu": "1"}}))
    theatre.run(minutes=1)
    theatre.say("it gets ready after all")
    theatre.start_pod = lambda _: True
    theatre.apply(script.monitor(execution="WarmWorker", resources={"requests": {"cpu": "500m"}}))
    theatre.run(minutes=1)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.reports["Check"] = script.checks("Passing")
    theatre.run(minutes=3)
    theatre.say("each check is a Job again")
    theatre.apply(script.monitor())
    theatre.run(minutes=2)


def performance_that_falls_without_drift_retrains_once(theatre: FakeCluster) -> None:
    in_service(theatre)
    quality = {"name": "quality", "type": "Performance", "metric": "accuracy", "maximumRegression": 0.05}
    theatre.apply(script.monitor(checks=[*script.monitor()["spec"]["checks"], quality]))
    theatre.reports["Check"] = script.checks(quality="Passing")
    theatre.run(minutes=3)
    theatre.say("what is right has changed, while what is asked has not")
    theatre.reports["Check"] = script.checks(quality="Failing")
    theatre.run(minutes=2, seconds=30)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.reports["Check"] = script.checks(quality="Passing")
    theatre.run(minutes=12)


def retuned_and_then_kept(theatre: FakeCluster) -> None:
    """The template searches; a retraining that retunes searches anew, and one with the same parameters takes what it found."""
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    for manifest in (script.dataset(), script.training_job(tuning=script.TUNING), script.service()):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.apply(script.monitor(retraining=policy(strategy="Retune")))
    the_tide_comes_and_is_answered(theatre)
    theatre.run(minutes=10)
    theatre.say("once more, with what was found")
    kept = script.monitor(retraining=policy(strategy="SameParameters"))
    theatre.apply(annotated(kept, "tidemill.dev/retrain", "2026-01-05T09:16:00Z"))
    theatre.run(seconds=45)
    theatre.measurements = script.measures(newest(theatre), right=98)
    theatre.run(minutes=4)


STORIES = (
    drift_retrains_once,
    a_leak_is_not_a_tide,
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
    others_are_told,
    a_drift_that_lasts_until_another_version_answers_is_told_as_over,
    a_receiver_that_is_down_holds_nothing_up,
    another_system_calls_in,
    a_service_that_is_not_ours_is_watched,
    checked_by_a_warm_worker,
    a_warm_worker_that_falls_silent_holds_nothing_up,
    performance_that_falls_without_drift_retrains_once,
    retuned_and_then_kept,
)
