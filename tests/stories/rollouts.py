"""Stories of InferenceServices: how another version goes out, or does not."""

from __future__ import annotations

import json
from dataclasses import replace

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import annotated, in_service, newest, second_version
from tidemill.children import names


def canary_promoted(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=8)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=3)


def canary_rolled_back_for_quality(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=8)
    cluster.measurements = script.measures(newest(cluster), right=70)
    cluster.run(minutes=10)


def canary_that_crashes(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.start_pod = lambda pod: "candidate" not in pod["metadata"]["name"]
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(minutes=10)


def canary_without_labels_waits(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=8)
    cluster.measurements = script.measures(newest(cluster), labelled=3)
    cluster.run(minutes=3)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=3)


def canary_promoted_by_hand(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=20)
    cluster.apply(annotated(script.service(), "tidemill.dev/promote", newest(cluster)))
    cluster.run(minutes=1)


def canary_aborted_by_hand(cluster: FakeCluster) -> None:
    in_service(cluster)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=20)
    cluster.apply(annotated(script.service(), "tidemill.dev/abort", newest(cluster)))
    cluster.run(minutes=1)


def canary_inconclusive(cluster: FakeCluster) -> None:
    in_service(cluster)
    service = script.service()
    service["spec"]["rollout"]["onInconclusive"] = "Rollback"
    cluster.apply(service)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=8)
    cluster.measurements = script.measures(newest(cluster), labelled=3)
    cluster.run(minutes=3)


def pinned_version(cluster: FakeCluster) -> None:
    in_service(cluster)
    first = cluster.named("ModelVersion")[0]
    cluster.apply(script.service(model={"name": "fraud", "version": first}))
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(minutes=3)


def a_promotion_that_finds_no_room_is_given_the_candidates(cluster: FakeCluster) -> None:
    """A quota of two pods: the stable one and the candidate's leave no room for a third."""
    cluster.pods_allowed = 2
    second_version(cluster, replicas=1)
    cluster.run(minutes=4)
    status = cluster.get("InferenceService", "fraud")["status"]
    assert (newest(cluster), "rollout" in status) == (status["stable"]["version"], False)


def a_promotion_that_finds_no_room_is_aborted(cluster: FakeCluster) -> None:
    cluster.pods_allowed = 2
    service = second_version(cluster, replicas=1)
    while not _is_promoting(cluster):
        cluster.run(seconds=1)
    cluster.run(seconds=10)
    second = newest(cluster)
    first = next(name for name in cluster.named("ModelVersion") if name != second)
    cluster.apply(annotated(service, "tidemill.dev/abort", second))
    cluster.run(minutes=2)
    status = cluster.get("InferenceService", "fraud")["status"]
    assert (first, "rollout" in status) == (status["stable"]["version"], False)


def _is_promoting(cluster: FakeCluster) -> bool:
    rollout = cluster.get("InferenceService", "fraud")["status"].get("rollout") or {}
    return bool(rollout.get("phase") == "Promoting")


def pinned_back_after_the_promotion(cluster: FakeCluster) -> None:
    service = second_version(cluster)
    cluster.run(minutes=3)
    second = newest(cluster)
    first = next(name for name in cluster.named("ModelVersion") if name != second)
    untouched = cluster.get("ModelVersion", second)
    cluster.say("the user pins the previous version again by a revert in Git")
    cluster.measurements = script.measures(first, right=90)
    cluster.apply({**service, "spec": {**service["spec"], "model": {"name": "fraud", "version": first}}})
    cluster.run(minutes=3)
    status = cluster.get("InferenceService", "fraud")["status"]
    assert (status["stable"]["version"], "rollout" in status) == (first, False)
    after = cluster.get("ModelVersion", second)
    assert untouched["spec"] == after["spec"]
    assert "tidemill.dev/quarantine" not in after["metadata"].get("annotations", {})


def shadow_promoted(cluster: FakeCluster) -> None:
    second_version(cluster, strategy="Shadow", shadow={"percent": 50, "duration": "60s"})
    cluster.run(minutes=3)


def shadow_rolled_back_before_it_answers_anybody(cluster: FakeCluster) -> None:
    second_version(cluster, right=70, strategy="Shadow", shadow={"duration": "60s"})
    cluster.run(minutes=3)


def shadow_then_canary(cluster: FakeCluster) -> None:
    second_version(cluster, shadow={"duration": "30s"})
    cluster.run(minutes=3)


def blue_green_promoted(cluster: FakeCluster) -> None:
    second_version(cluster, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="2m")
    cluster.run(minutes=5)


def blue_green_that_fails_after_the_switch_is_undone_at_once(cluster: FakeCluster) -> None:
    second_version(cluster, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    cluster.run(minutes=1)
    cluster.say("the new version begins to fail")
    cluster.measurements = script.measures(newest(cluster), errors=100)
    cluster.run(minutes=2)


def blue_green_and_back_by_git_revert(cluster: FakeCluster) -> None:
    service = second_version(cluster, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    cluster.run(minutes=1)
    first = next(name for name in cluster.named("ModelVersion") if name != newest(cluster))
    pinned = {**service["spec"], "model": {"name": "fraud", "version": first}}
    cluster.apply({**service, "spec": pinned})
    cluster.run(minutes=8)


def a_newer_version_while_the_previous_one_is_kept_warm(cluster: FakeCluster) -> None:
    second_version(cluster, strategy="BlueGreen", shadow={"duration": "30s"}, keepPrevious="5m")
    cluster.run(minutes=1)
    cluster.apply(script.training_job("fraud-third"))
    cluster.run(seconds=8)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=8)


def canary_that_a_person_lets_go_on(cluster: FakeCluster) -> None:
    service = second_version(cluster, steps=[{"weight": 25}, {"weight": 50, "pause": "30s"}])
    cluster.run(minutes=300)
    cluster.apply(annotated(service, "tidemill.dev/promote", f"{newest(cluster)}/1"))
    cluster.run(minutes=3)


def canary_that_a_person_holds(cluster: FakeCluster) -> None:
    service = second_version(cluster)
    cluster.run(seconds=20)
    cluster.apply(annotated(service, "tidemill.dev/pause", newest(cluster)))
    cluster.run(minutes=10)
    cluster.apply(annotated(service, "tidemill.dev/pause", ""))
    cluster.run(minutes=3)


def steps_edited_during_a_canary(cluster: FakeCluster) -> None:
    """What the spec says of the present step is what the candidate gets at once; status and routing tables tell the same."""
    service = second_version(cluster, steps=[{"weight": 25, "pause": "10m"}, {"weight": 50, "pause": "10m"}])
    cluster.run(seconds=10)
    shares = [_share(cluster)]

    def edit(what: str, *steps: tuple[int, str]) -> None:
        cluster.say(what)
        service["spec"]["rollout"]["steps"] = [{"weight": weight, "pause": pause} for weight, pause in steps]
        cluster.apply(service)
        cluster.run(seconds=2)
        shares.append(_share(cluster))

    edit("the share of the present step is cut", (10, "10m"), (50, "10m"))
    edit("a step comes after it", (10, "10m"), (30, "10m"), (50, "10m"))
    edit("a step comes before it", (5, "10m"), (10, "10m"), (30, "10m"), (50, "10m"))
    edit("the pause is over for the present step", (5, "1s"), (20, "10m"), (30, "10m"), (50, "10m"))
    cluster.run(seconds=15)
    shares.append(_share(cluster))
    edit("the present step is the last one, and asks for everything", (5, "10m"), (100, "10m"))
    edit("only the first step is left", (5, "10m"))
    edit("no step is left")
    cluster.run(minutes=1)

    assert [25, 10, 10, 5, 5, 20, 100, 5, 5] == shares
    assert newest(cluster) == cluster.get("InferenceService", "fraud")["status"]["stable"]["version"]


def steps_edited_while_the_service_is_suspended(cluster: FakeCluster) -> None:
    """A suspended rollout keeps its share and says so; the edit counts once the service goes on."""
    service = second_version(cluster, steps=[{"weight": 25, "pause": "10m"}])
    cluster.run(seconds=10)
    service["spec"] |= {"suspend": True, "rollout": {**service["spec"]["rollout"], "steps": [{"weight": 5}]}}
    cluster.apply(service)
    cluster.run(hours=12)
    assert 25 == _share(cluster)
    service["spec"]["suspend"] = False
    cluster.apply(service)
    cluster.run(seconds=2)
    assert 5 == _share(cluster)
    cluster.run(minutes=1)


def _share(cluster: FakeCluster) -> int:
    """Tell what the status and the routing tables say, and return the candidate's share, of which both say the same."""
    status = cluster.get("InferenceService", "fraud")["status"]
    rollout = status["rollout"]
    pods = [
        manifest
        for key, manifest in cluster.objects.items()
        if key.kind == "Pod" and key.name.startswith("fraud-stable")
    ]
    [weight] = {json.loads(pod["metadata"]["annotations"][names.ROUTES]).get("weight", 0) for pod in pods}
    assert weight == rollout["weight"] == status["candidate"]["weight"] == 100 - status["stable"]["weight"]
    cluster.say(f"{weight}% to the candidate: {rollout['phase']}: {rollout['message']}")
    return int(weight)


def canary_held_by_a_person_is_still_judged(cluster: FakeCluster) -> None:
    service = second_version(cluster)
    cluster.run(seconds=20)
    cluster.apply(annotated(service, "tidemill.dev/pause", newest(cluster)))
    cluster.run(minutes=2)
    cluster.measurements = script.measures(newest(cluster), right=70)
    cluster.run(minutes=2)


def promoted_only_by_a_person(cluster: FakeCluster) -> None:
    service = second_version(cluster, autoPromote=False)
    cluster.run(minutes=10)
    cluster.apply(annotated(service, "tidemill.dev/promote", newest(cluster)))
    cluster.run(minutes=2)


def judged_by_a_job_that_succeeds(cluster: FakeCluster) -> None:
    second_version(cluster, analysis=script.SMOKE)
    cluster.run(minutes=3)


def judged_by_a_job_that_fails(cluster: FakeCluster) -> None:
    cluster.passes = lambda job: False  # noqa: ARG005
    second_version(cluster, analysis=script.SMOKE)
    cluster.run(minutes=3)


def judged_by_a_job_that_finds_no_room(cluster: FakeCluster) -> None:
    cluster.judge_trouble = "full node"
    second_version(cluster, analysis=script.SMOKE)
    cluster.run(minutes=13)
    cluster.judge_trouble = ""
    cluster.run(minutes=15)


def judged_by_a_job_that_a_quota_refuses_until_the_deadline(cluster: FakeCluster) -> None:
    cluster.judge_trouble = "quota"
    second_version(cluster, analysis=script.SMOKE, deadline="15m")
    cluster.run(minutes=17)
    cluster.judge_trouble = ""
    cluster.run(minutes=10)


def prometheus_that_does_not_answer_pauses(cluster: FakeCluster) -> None:
    second_version(cluster, analysis=script.QUERIED)
    cluster.measurements = script.queried(None, "nothing answers at http://prometheus:9090")
    cluster.run(minutes=3)
    cluster.measurements = script.queried(0.01)
    cluster.run(minutes=3)


def prometheus_that_knows_better(cluster: FakeCluster) -> None:
    second_version(cluster, analysis=script.QUERIED)
    cluster.measurements = script.queried(0.2)
    cluster.run(minutes=3)


def split_at_the_gateway(cluster: FakeCluster) -> None:
    cluster.installation = replace(cluster.installation, gateway="On")
    service = second_version(cluster)
    service["spec"]["traffic"] = {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}
    cluster.apply(service)
    cluster.run(minutes=3)
    service["spec"].pop("traffic")
    cluster.apply(service)
    cluster.run(minutes=1)


def a_gateway_where_there_is_none(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    traffic = {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}
    for manifest in (script.dataset(), script.training_job(), script.service(traffic=traffic)):
        cluster.apply(manifest)
    cluster.run(minutes=1)
    cluster.apply(script.service())
    cluster.run(minutes=1)


def scaled_by_the_load(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    service = script.service(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    service["spec"].pop("replicas")
    for manifest in (script.dataset(), script.training_job(), service):
        cluster.apply(manifest)
    cluster.run(minutes=1)
    cluster.autoscale("fraud-stable", 5)
    cluster.run(minutes=1)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=8)
    cluster.measurements = script.measures(newest(cluster), right=97)
    cluster.run(minutes=3)
    assert cluster.get("Deployment", "fraud-stable")["spec"]["replicas"] == 5


def recreated(cluster: FakeCluster) -> None:
    second_version(cluster, strategy="Recreate")
    cluster.run(minutes=2)


STORIES = (
    canary_promoted,
    canary_rolled_back_for_quality,
    canary_that_crashes,
    canary_without_labels_waits,
    a_promotion_that_finds_no_room_is_given_the_candidates,
    a_promotion_that_finds_no_room_is_aborted,
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
    steps_edited_during_a_canary,
    steps_edited_while_the_service_is_suspended,
    canary_held_by_a_person_is_still_judged,
    promoted_only_by_a_person,
    judged_by_a_job_that_succeeds,
    judged_by_a_job_that_fails,
    judged_by_a_job_that_finds_no_room,
    judged_by_a_job_that_a_quota_refuses_until_the_deadline,
    prometheus_that_does_not_answer_pauses,
    prometheus_that_knows_better,
    split_at_the_gateway,
    a_gateway_where_there_is_none,
    scaled_by_the_load,
    recreated,
)
