"""Stories of InferenceServices: how another version goes out, or does not."""

from __future__ import annotations

from dataclasses import replace

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import annotated, in_service, newest, second_version


def canary_promoted(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=3)


def canary_rolled_back_for_quality(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(newest(theatre), right=70)
    theatre.run(minutes=10)


def canary_that_crashes(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.start_pod = lambda pod: "candidate" not in pod["metadata"]["name"]
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(minutes=10)


def canary_without_labels_waits(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(newest(theatre), labelled=3)
    theatre.run(minutes=3)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=3)


def canary_promoted_by_hand(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=20)
    theatre.apply(annotated(script.service(), "tidemill.dev/promote", newest(theatre)))
    theatre.run(minutes=1)


def canary_aborted_by_hand(theatre: FakeCluster) -> None:
    in_service(theatre)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=20)
    theatre.apply(annotated(script.service(), "tidemill.dev/abort", newest(theatre)))
    theatre.run(minutes=1)


def canary_inconclusive(theatre: FakeCluster) -> None:
    in_service(theatre)
    service = script.service()
    service["spec"]["rollout"]["onInconclusive"] = "Rollback"
    theatre.apply(service)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(newest(theatre), labelled=3)
    theatre.run(minutes=3)


def pinned_version(theatre: FakeCluster) -> None:
    in_service(theatre)
    first = theatre.named("ModelVersion")[0]
    theatre.apply(script.service(model={"name": "fraud", "version": first}))
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(minutes=3)


def pinned_back_after_the_promotion(theatre: FakeCluster) -> None:
    service = second_version(theatre)
    theatre.run(minutes=3)
    second = newest(theatre)
    first = next(name for name in theatre.named("ModelVersion") if name != second)
    untouched = theatre.get("ModelVersion", second)
    theatre.say("somebody takes the newer version back in Git")
    theatre.measurements = script.measures(first, right=90)
    theatre.apply({**service, "spec": {**service["spec"], "model": {"name": "fraud", "version": first}}})
    theatre.run(minutes=3)
    status = theatre.get("InferenceService", "fraud")["status"]
    assert (status["stable"]["version"], "rollout" in status) == (first, False)
    after = theatre.get("ModelVersion", second)
    assert untouched["spec"] == after["spec"]
    assert "tidemill.dev/quarantine" not in after["metadata"].get("annotations", {})


def shadow_promoted(theatre: FakeCluster) -> None:
    second_version(theatre, strategy="Shadow", shadow={"percent": 50, "duration": "60s"})
    theatre.run(minutes=3)


def shadow_rolled_back_before_it_answers_anybody(theatre: FakeCluster) -> None:
    second_version(theatre, right=70, strategy="Shadow", shadow={"duration": "60s"})
    theatre.run(minutes=3)


def shadow_then_canary(theatre: FakeCluster) -> None:
    second_version(theatre, shadow={"duration": "30s"})
    theatre.run(minutes=3)


def blue_green_promoted(theatre: FakeCluster) -> None:
    second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="2m")
    theatre.run(minutes=5)


def blue_green_that_fails_after_the_switch_is_undone_at_once(theatre: FakeCluster) -> None:
    second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    theatre.run(minutes=1)
    theatre.say("the new version begins to fail")
    theatre.measurements = script.measures(newest(theatre), errors=100)
    theatre.run(minutes=2)


def blue_green_and_back_by_git_revert(theatre: FakeCluster) -> None:
    service = second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    theatre.run(minutes=1)
    first = next(name for name in theatre.named("ModelVersion") if name != newest(theatre))
    pinned = {**service["spec"], "model": {"name": "fraud", "version": first}}
    theatre.apply({**service, "spec": pinned})
    theatre.run(minutes=8)


def a_newer_version_while_the_previous_one_is_kept_warm(theatre: FakeCluster) -> None:
    second_version(theatre, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    theatre.run(minutes=1)
    theatre.apply(script.training_job("fraud-third"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=8)


def canary_that_a_person_lets_go_on(theatre: FakeCluster) -> None:
    service = second_version(theatre, steps=[{"weight": 25}, {"weight": 50, "pause": "30s"}])
    theatre.run(minutes=300)
    theatre.apply(annotated(service, "tidemill.dev/promote", f"{newest(theatre)}/1"))
    theatre.run(minutes=3)


def canary_that_a_person_holds(theatre: FakeCluster) -> None:
    service = second_version(theatre)
    theatre.run(seconds=20)
    theatre.apply(annotated(service, "tidemill.dev/pause", newest(theatre)))
    theatre.run(minutes=10)
    theatre.apply(annotated(service, "tidemill.dev/pause", ""))
    theatre.run(minutes=3)


def canary_held_by_a_person_is_still_judged(theatre: FakeCluster) -> None:
    service = second_version(theatre)
    theatre.run(seconds=20)
    theatre.apply(annotated(service, "tidemill.dev/pause", newest(theatre)))
    theatre.run(minutes=2)
    theatre.measurements = script.measures(newest(theatre), right=70)
    theatre.run(minutes=2)


def promoted_only_by_a_person(theatre: FakeCluster) -> None:
    service = second_version(theatre, autoPromote=False)
    theatre.run(minutes=10)
    theatre.apply(annotated(service, "tidemill.dev/promote", newest(theatre)))
    theatre.run(minutes=2)


def judged_by_a_job_that_succeeds(theatre: FakeCluster) -> None:
    second_version(theatre, analysis=script.SMOKE)
    theatre.run(minutes=3)


def judged_by_a_job_that_fails(theatre: FakeCluster) -> None:
    theatre.passes = lambda job: False  # noqa: ARG005
    second_version(theatre, analysis=script.SMOKE)
    theatre.run(minutes=3)


def prometheus_that_does_not_answer_pauses(theatre: FakeCluster) -> None:
    second_version(theatre, analysis=script.QUERIED)
    theatre.measurements = script.queried(None, "nothing answers at http://prometheus:9090")
    theatre.run(minutes=3)
    theatre.measurements = script.queried(0.01)
    theatre.run(minutes=3)


def prometheus_that_knows_better(theatre: FakeCluster) -> None:
    second_version(theatre, analysis=script.QUERIED)
    theatre.measurements = script.queried(0.2)
    theatre.run(minutes=3)


def split_at_the_gateway(theatre: FakeCluster) -> None:
    theatre.installation = replace(theatre.installation, gateway="On")
    service = second_version(theatre)
    service["spec"]["traffic"] = {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}
    theatre.apply(service)
    theatre.run(minutes=3)
    service["spec"].pop("traffic")
    theatre.apply(service)
    theatre.run(minutes=1)


def a_gateway_where_there_is_none(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    traffic = {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}
    for manifest in (script.dataset(), script.training_job(), script.service(traffic=traffic)):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.apply(script.service())
    theatre.run(minutes=1)


def scaled_by_the_load(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    service = script.service(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    service["spec"].pop("replicas")
    for manifest in (script.dataset(), script.training_job(), service):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.autoscale("fraud-stable", 5)
    theatre.run(minutes=1)
    theatre.apply(script.training_job("fraud-second"))
    theatre.run(seconds=8)
    theatre.measurements = script.measures(newest(theatre), right=97)
    theatre.run(minutes=3)
    assert theatre.get("Deployment", "fraud-stable")["spec"]["replicas"] == 5


def recreated(theatre: FakeCluster) -> None:
    second_version(theatre, strategy="Recreate")
    theatre.run(minutes=2)


STORIES = (
    canary_promoted,
    canary_rolled_back_for_quality,
    canary_that_crashes,
    canary_without_labels_waits,
    canary_promoted_by_hand,
    canary_aborted_by_hand,
    canary_inconclusive,
    pinned_version,
    pinned_back_after_the_promotion,
    shadow_promoted,
    shadow_rolled_back_before_it_answers_anybody,
    shadow_then_canary,
    blue_green_promoted,
    blue_green_that_fails_after_the_switch_is_undone_at_once,
    blue_green_and_back_by_git_revert,
    a_newer_version_while_the_previous_one_is_kept_warm,
    canary_that_a_person_lets_go_on,
    canary_that_a_person_holds,
    canary_held_by_a_person_is_still_judged,
    promoted_only_by_a_person,
    judged_by_a_job_that_succeeds,
    judged_by_a_job_that_fails,
    prometheus_that_does_not_answer_pauses,
    prometheus_that_knows_better,
    split_at_the_gateway,
    a_gateway_where_there_is_none,
    scaled_by_the_load,
    recreated,
)
