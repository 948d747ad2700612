"""The operator's rights are those it uses: the audit log of everything the tests made it do, held against its role.

It is named to come after them: scaling, gateways and rollouts use rights that the loop alone does not.
"""

import pytest

from cluster import audit
from support import installation
from support.api import Manifest
from support.environment import BAD, Environment
from support.life import Life
from support.waiting import until
from tidemill.api import API_VERSION

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ACCOUNT = f"system:serviceaccount:{installation.NAMESPACE}:{installation.RELEASE}"
EVERYTHING = ("test_loop.py", "test_rollouts.py", "test_candidates.py")
"""The tests that together make the operator do all it can."""
Right = tuple[str, str]
"""A verb and what it is for, such as `("patch", "datasets/status")`."""


def test_a_run_that_is_suspended_loses_its_job(environment: Environment) -> None:
    source: Manifest = {"uri": "sklearn://breast_cancer"}
    slow: Manifest = {"name": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 20000}}
    for kind, spec in (
        ("Dataset", {"source": source}),
        ("TrainingJob", {"modelName": "held", "dataset": {"name": "held"}, "estimator": slow}),
    ):
        metadata = {"name": "held", "namespace": BAD}
        environment.api.create({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
    until(
        "the training Job", lambda: training_jobs(environment), seconds=120, poll=0.2, explain=environment.operator_log
    )

    environment.api.patch("TrainingJob", BAD, "held", {"spec": {"suspend": True}})

    until("its end", lambda: not training_jobs(environment), seconds=60, explain=environment.operator_log)
    for kind in ("TrainingJob", "Dataset"):
        environment.api.delete(kind, BAD, "held")


def training_jobs(environment: Environment) -> list[Manifest]:
    run = environment.api.get("TrainingJob", BAD, "held")
    assert run is not None
    return [
        job
        for job in environment.api.all("Job", BAD)
        if any(owner["uid"] == run["metadata"]["uid"] for owner in job["metadata"].get("ownerReferences") or ())
    ]


@pytest.fixture(scope="module")
def asked(environment: Environment, loop: Life) -> list[audit.Event]:
    """What the operator asked of the API server since it was installed, the whole loop among it."""
    assert loop.story
    if environment.cluster.audit_log is None:
        pytest.skip("only the embedded cluster keeps an audit log")
    deployed = environment.api.get("Deployment", installation.NAMESPACE, installation.RELEASE)
    assert deployed is not None
    since = deployed["metadata"]["creationTimestamp"]
    rotated = sorted(environment.cluster.audit_log.parent.glob("*.log"))
    return [
        event for path in rotated for event in audit.read(path) if event.user == ACCOUNT and event.received >= since
    ]


def test_the_operator_was_never_refused(asked: list[audit.Event]) -> None:
    assert [(event.verb, event.resource, event.name) for event in asked if event.code in (401, 403)] == []


def test_every_right_is_used(
    environment: Environment, asked: list[audit.Event], request: pytest.FixtureRequest
) -> None:
    """Reading a single object is left out here: the operator does so only after a conflict, as tests/api/engine shows."""
    chosen = {item.path.name for item in request.session.items}
    if not chosen.issuperset(EVERYTHING):
        pytest.skip(f"only {', '.join(EVERYTHING)} together use them all")
    granted = {right for right in rights(environment) if right[0] != "get"}

    assert sorted(granted - {right for event in asked for right in needed(event)}) == []


def rights(environment: Environment) -> set[Right]:
    """What the installed role grants."""
    role = environment.api.get("ClusterRole", "", f"{installation.RELEASE}-controller")
    assert role is not None
    return {(verb, resource) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}


def needed(event: audit.Event) -> set[Right]:
    """What the API server asked of the role before it answered; an apply that made an object needed `create` as well."""
    resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
    return {(event.verb, resource)} | ({("create", resource)} if event.verb == "patch" and event.code == 201 else set())
