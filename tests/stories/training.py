"""Stories of Datasets, TrainingJobs and ModelVersions."""

from __future__ import annotations

from stories import script
from stories.fake_cluster import FakeCluster


def first_training(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    cluster.apply(script.training_job())
    cluster.run(seconds=10)
    cluster.apply(script.service())
    cluster.apply(script.dataset())
    cluster.run(minutes=2)


def approval_by_a_person(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    job = script.training_job()
    job["spec"]["version"]["approval"] = {"policy": "Manual"}
    for manifest in (script.dataset(), job, script.service()):
        cluster.apply(manifest)
    cluster.run(minutes=1)
    version = cluster.get("ModelVersion", cluster.named("ModelVersion")[0])
    cluster.apply(
        {
            **version,
            "spec": {
                **version["spec"],
                "approval": {"policy": "Manual", "decisions": [{"user": "ada", "verdict": "Approved"}]},
            },
        }
    )
    cluster.run(minutes=1)


def training_that_runs_out_of_memory(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": lambda order: "OOMKilled"}  # noqa: ARG005
    cluster.apply(script.dataset())
    cluster.apply(script.training_job(resources={"limits": {"memory": "512Mi"}}))
    cluster.run(minutes=10)


def a_refused_run_is_corrected(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    cluster.apply(script.dataset())
    cluster.run(seconds=30)
    search = {
        "objective": {"metric": "f1"},
        "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 1, "max": 2}}}],
    }
    cluster.apply(script.training_job(tuning={**search, "algorithm": "CMAES"}))
    cluster.run(minutes=1)
    cluster.apply(script.training_job())
    cluster.run(minutes=1)


def a_source_that_comes_back(cluster: FakeCluster) -> None:
    cluster.reports["Ingest"] = script.cannot_reach
    cluster.apply(script.dataset())
    cluster.run(minutes=1)
    cluster.say("the source is reachable again")
    cluster.reports["Ingest"] = script.ingests
    cluster.run(minutes=2)


def answers_become_a_dataset(cluster: FakeCluster) -> None:
    answered = script.dataset(
        source={"predictions": {"inferenceServiceRef": {"name": "fraud"}, "window": "1h"}}, refresh={"interval": "2m"}
    )
    answered["metadata"]["name"] = "answered"
    cluster.apply(answered)
    cluster.run(seconds=30)
    cluster.reports |= {"Ingest": script.ingests_unlabelled, "Train": script.trains()}
    for manifest in (script.dataset(), script.training_job(), script.service()):
        cluster.apply(manifest)
    cluster.run(minutes=1)
    cluster.say("the first labels arrive")
    cluster.reports["Ingest"] = script.ingests
    cluster.run(minutes=2)
    cluster.say("more rows have labels")
    cluster.reports["Ingest"] = script.ingests_anew
    cluster.run(minutes=2)
    cluster.delete("InferenceService", "fraud")
    cluster.run(minutes=5)


def a_dataset_that_is_read_every_night(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    nightly = {"schedule": "0 2 * * *"}
    cluster.apply(script.dataset(refresh=nightly))
    cluster.run(hours=12)
    cluster.say("the source has other rows")
    cluster.reports["Ingest"] = script.ingests_anew
    cluster.run(hours=12)
    cluster.apply(script.dataset(refresh=nightly, suspend=True))
    cluster.run(days=3)
    cluster.say("three times have passed")
    cluster.apply(script.dataset(refresh=nightly, suspend=False))
    cluster.run(hours=1)
    cluster.apply(script.dataset(refresh={"schedule": "0 2 30 2 *"}))
    cluster.run(hours=1)
    cluster.apply(script.dataset(refresh=nightly))
    cluster.run(hours=1)


def deleted_while_training(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    cluster.apply(script.dataset())
    cluster.run(seconds=30)
    cluster.apply(script.training_job())
    cluster.run(seconds=2)
    cluster.delete("TrainingJob", "fraud-first")
    cluster.run(minutes=5)


def suspended_and_resumed(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    cluster.apply(script.dataset())
    cluster.run(seconds=30)
    cluster.apply(script.training_job(suspend=True))
    cluster.run(minutes=1)
    cluster.apply(script.training_job(suspend=False))
    cluster.run(minutes=1)


def queued_by_kueue(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    cluster.apply(script.dataset())
    cluster.run(seconds=30)
    job = script.training_job()
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "science"}
    cluster.apply(job)
    cluster.run(minutes=5)
    cluster.admit()
    cluster.run(minutes=1)


STORIES = (
    first_training,
    approval_by_a_person,
    training_that_runs_out_of_memory,
    a_refused_run_is_corrected,
    a_source_that_comes_back,
    answers_become_a_dataset,
    a_dataset_that_is_read_every_night,
    deleted_while_training,
    suspended_and_resumed,
    queued_by_kueue,
)
