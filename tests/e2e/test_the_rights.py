"""The operator's rights are enough: the audit log of everything the tests made it do holds no refusal; named to come after them."""

import pytest

from cluster import audit
from support import installation
from support.api import Manifest
from support.grounds import BAD, Grounds
from support.life import Life
from support.waiting import until
from tidemill.api import API_VERSION

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ACCOUNT = f"system:serviceaccount:{installation.NAMESPACE}:{installation.RELEASE}"


def test_a_run_that_is_suspended_loses_its_job(grounds: Grounds) -> None:
    source: Manifest = {"uri": "sklearn://breast_cancer"}
    slow: Manifest = {"name": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 20000}}
    for kind, spec in (
        ("Dataset", {"source": source}),
        ("TrainingJob", {"modelName": "held", "dataset": {"name": "held"}, "estimator": slow}),
    ):
        metadata = {"name": "held", "namespace": BAD}
        grounds.api.create({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
    until("the training Job", lambda: training_jobs(grounds), seconds=120, poll=0.2, explain=grounds.operator_log)

    grounds.api.patch("TrainingJob", BAD, "held", {"spec": {"suspend": True}})

    until("its end", lambda: not training_jobs(grounds), seconds=60, explain=grounds.operator_log)
    for kind in ("TrainingJob", "Dataset"):
        grounds.api.delete(kind, BAD, "held")


def training_jobs(grounds: Grounds) -> list[Manifest]:
    run = grounds.api.get("TrainingJob", BAD, "held")
    assert run is not None
    return [
        job
        for job in grounds.api.all("Job", BAD)
        if any(owner["uid"] == run["metadata"]["uid"] for owner in job["metadata"].get("ownerReferences") or ())
    ]


@pytest.fixture(scope="module")
def asked(grounds: Grounds, loop: Life) -> list[audit.Event]:
    """What the operator asked of the API server since it was installed, the whole loop among it."""
    assert loop.story
    if grounds.cluster.audit_log is None:
        pytest.skip("only the embedded cluster keeps an audit log")
    deployed = grounds.api.get("Deployment", installation.NAMESPACE, installation.RELEASE)
    assert deployed is not None
    since = deployed["metadata"]["creationTimestamp"]
    rotated = sorted(grounds.cluster.audit_log.parent.glob("*.log"))
    return [
        event for path in rotated for event in audit.read(path) if event.user == ACCOUNT and event.received >= since
    ]


def test_the_operator_was_never_refused(asked: list[audit.Event]) -> None:
    assert [(event.verb, event.resource, event.name) for event in asked if event.code in (401, 403)] == []
