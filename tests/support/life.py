"""The demo's story, played as a test: in a namespace of its own, without a word unless it fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.console import Console

from demo.narrator import Narrator
from demo.stage import NotPlayed, Played, Stage, play
from demo.story import NAME, Story
from support.environment import Environment
from tidemill.api import Dataset, InferenceService, ModelVersion
from tidemill.children import names


@dataclass(frozen=True, slots=True)
class Life:
    """A story that was played to its end."""

    story: Story
    played: Sequence[Played]


def live(
    environment: Environment,
    namespace: str,
    stages: Sequence[Stage],
    *,
    accident: Callable[[], None] = lambda: None,
    patience: float = 1.5,
) -> Life:
    """Play the stages; where one fails, the error says what was told until then."""
    output = StringIO()
    narrator = Narrator(Console(file=output, width=200, highlight=False))
    story = Story(
        environment.cluster,
        environment.api,
        environment.images,
        namespace,
        narrator,
        accident=accident,
        patience=patience,
    )
    try:
        return Life(story, play(story, stages))
    except NotPlayed as failure:
        log = environment.operator_log()
        raise AssertionError(f"{failure}\n\n{output.getvalue()}\n\nthe operator's log:\n{log}") from failure


def shape(story: Story) -> dict[str, Any]:
    """The end state without what differs from run to run: digests, times, and the windows that were checked."""
    api, namespace = story.api, story.namespace
    called = {story.first_version: "first", story.second_version: "second"}
    retrained = {run.name: "retraining" for run in story.retrainings()}
    dataset, service = api.read(Dataset, namespace, NAME), api.read(InferenceService, namespace, NAME)
    assert dataset is not None and service is not None, "both must exist"
    jobs = [
        job["metadata"]["labels"]
        for job in api.all("Job", namespace)
        if job["metadata"]["labels"][names.COMPONENT] != "check"
    ]
    return {
        "revisions": 1 + len(dataset.status.revisions),
        "runs": [
            (
                retrained.get(run.name, run.name),
                called.get(run.status.model_version),
                run.status.attempt and run.status.attempt.number,
            )
            for run in story.runs()
        ],
        "versions": sorted(
            (called.get(version.name, version.name), version.status.role)
            for version in api.read_all(ModelVersion, namespace)
        ),
        "jobs": sorted(
            (labels[names.COMPONENT], retrained.get(labels[names.OWNER_NAME], labels[names.OWNER_NAME]))
            for labels in jobs
        ),
        "deployments": [manifest["metadata"]["name"] for manifest in api.all("Deployment", namespace)],
        "services": [manifest["metadata"]["name"] for manifest in api.all("Service", namespace)],
        "rollouts": [(called.get(outcome.version), outcome.outcome) for outcome in service.status.history],
    }
