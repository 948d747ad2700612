"""Stories of Datasets, TrainingJobs and ModelVersions."""

from __future__ import annotations

from stories import script
from stories.fake_cluster import FakeCluster


def first_training(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.training_job())
    theatre.run(seconds=10)
    theatre.apply(script.service())
    theatre.apply(script.dataset())
    theatre.run(minutes=2)


def approval_by_a_person(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    job = script.training_job()
    job["spec"]["version"]["approval"] = {"policy": "Manual"}
    for manifest in (script.dataset(), job, script.service()):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    version = theatre.get("ModelVersion", theatre.named("ModelVersion")[0])
    theatre.apply(
        {
            **version,
            "spec": {
                **version["spec"],
                "approval": {"policy": "Manual", "decisions": [{"user": "ada", "verdict": "Approved"}]},
            },
        }
    )
    theatre.run(minutes=1)


def training_that_runs_out_of_memory(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": lambda order: "OOMKilled"}  # noqa: ARG005
    theatre.apply(script.dataset())
    theatre.apply(script.training_job(resources={"limits": {"memory": "512Mi"}}))
    theatre.run(minutes=10)


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


def a_source_that_comes_back(theatre: FakeCluster) -> None:
    theatre.reports["Ingest"] = script.cannot_reach
    theatre.apply(script.dataset())
    theatre.run(minutes=1)
    theatre.say("the store is up again")
    theatre.reports["Ingest"] = script.ingests
    theatre.run(minutes=2)


def answers_become_a_dataset(theatre: FakeCluster) -> None:
    answered = script.dataset(
        source={"predictions": {"inferenceServiceRef": {"name": "fraud"}, "window": "1h"}}, refresh={"interval": "2m"}
    )
    answered["metadata"]["name"] = "answered"
    theatre.apply(answered)
    theatre.run(seconds=30)
    theatre.reports |= {"Ingest": script.ingests_unlabelled, "Train": script.trains()}
    for manifest in (script.dataset(), script.training_job(), script.service()):
        theatre.apply(manifest)
    theatre.run(minutes=1)
    theatre.say("the first labels come back")
    theatre.reports["Ingest"] = script.ingests
    theatre.run(minutes=2)
    theatre.say("more rows have labels")
    theatre.reports["Ingest"] = script.ingests_anew
    theatre.run(minutes=2)
    theatre.delete("InferenceService", "fraud")
    theatre.run(minutes=5)


def deleted_while_training(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.dataset())
    theatre.run(seconds=30)
    theatre.apply(script.training_job())
    theatre.run(seconds=2)
    theatre.delete("TrainingJob", "fraud-first")
    theatre.run(minutes=5)


def suspended_and_resumed(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.dataset())
    theatre.run(seconds=30)
    theatre.apply(script.training_job(suspend=True))
    theatre.run(minutes=1)
    theatre.apply(script.training_job(suspend=False))
    theatre.run(minutes=1)


def queued_by_kueue(theatre: FakeCluster) -> None:
    theatre.reports |= {"Ingest": script.ingests, "Train": script.trains()}
    theatre.apply(script.dataset())
    theatre.run(seconds=30)
    job = script.training_job()
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "science"}
    theatre.apply(job)
    theatre.run(minutes=5)
    theatre.admit()
    theatre.run(minutes=1)


STORIES = (
    first_training,
    approval_by_a_person,
    training_that_runs_out_of_memory,
    a_refused_run_is_corrected,
    a_source_that_comes_back,
    answers_become_a_dataset,
    deleted_while_training,
    suspended_and_resumed,
    queued_by_kueue,
)
