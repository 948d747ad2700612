"""Bad input: a condition with a reason and a remedy, no hot loop, no harm to neighbours, and recovery by itself once it is corrected."""

import base64
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from support import biopsies
from support.api import Manifest
from support.biopsies import SAMPLES
from support.environment import BAD, UNSTORED, Environment
from support.kubectl import apply, apply_manifests, kubectl
from support.store_client import StoreClient
from support.waiting import until
from tidemill.api import KINDS, AnyResource, Dataset, TrainingJob
from tidemill.api.conditions import Condition, Reason
from tidemill.children import names
from tidemill.plan.runs.attempts import MIN_BACKOFF_SECONDS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = BAD
FOLDER = SAMPLES / "bad-input"
QUICKSTART = SAMPLES / "iris-quickstart"
KNOWN_WITHIN = 10.0
"""Seconds from what is known to the condition that says it."""
MODELS = {kind.kind_name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Case:
    """One bad input: what says so, and in which words."""

    kind: type[AnyResource]
    name: str
    reason: Reason
    remedy: str
    """Words of the message that tell what to do."""
    repeated: bool
    """Whether the operator tries again by itself, since the cause lies outside the spec."""
    namespace: str = BAD


CASES = (
    Case(TrainingJob, "unknown-estimator", Reason.UNKNOWN_ESTIMATOR, "RandomForestClassifier", repeated=False),
    Case(TrainingJob, "missing-dataset", Reason.DEPENDENCY_NOT_READY, "create it", repeated=False),
    Case(Dataset, "unreachable-source", Reason.SOURCE_UNREACHABLE, "endpoint", repeated=True),
    Case(Dataset, "source-not-found", Reason.SOURCE_NOT_FOUND, "upload", repeated=True),
    Case(Dataset, "empty-source", Reason.SOURCE_EMPTY, "row", repeated=False),
    Case(Dataset, "absent-target", Reason.TARGET_MISSING, "spec.columns", repeated=False),
    Case(Dataset, "not-a-number", Reason.NOT_NUMERIC, "#REF!", repeated=False),
    Case(Dataset, "iris", Reason.STORE_CREDENTIALS_MISSING, "create it", repeated=True, namespace=UNSTORED),
)
BY_NAME = {case.name: case for case in CASES}
Cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def applied(environment: Environment) -> Environment:
    """Everything bad at once, with a healthy neighbour among it."""
    apply(environment.cluster, BAD, FOLDER, QUICKSTART)
    apply(environment.cluster, UNSTORED, QUICKSTART)
    return environment


def object_of(environment: Environment, case: Case) -> AnyResource:
    resource = environment.api.read(case.kind, case.namespace, case.name)
    assert resource is not None, f"{case.name} must exist"
    return resource


def refusal(environment: Environment, case: Case) -> Condition:
    """The condition that says what is wrong, once it does."""

    def condition() -> Condition | None:
        ready = object_of(environment, case).status.condition("Ready")
        return ready if ready and ready.status == "False" and ready.reason == case.reason else None

    def explain() -> str:
        return f"{object_of(environment, case).status.conditions}\n{environment.operator_log()}"

    return until(f"{case.name}: {case.reason}", condition, seconds=120, explain=explain)


def jobs_of(environment: Environment, case: Case) -> list[Manifest]:
    return environment.api.all(
        "Job", case.namespace, f"{names.OWNER_NAME}={case.name},{names.OWNER_KIND}={case.kind.kind_name}"
    )


def ends_of_pods(environment: Environment, case: Case) -> list[datetime]:
    """When the containers of the object's runs ended."""
    pods = environment.api.all(
        "Pod", case.namespace, f"{names.OWNER_NAME}={case.name},{names.OWNER_KIND}={case.kind.kind_name}"
    )
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses") or []]
    ended = [status["state"]["terminated"]["finishedAt"] for status in statuses if "terminated" in status["state"]]
    return sorted(datetime.fromisoformat(moment) for moment in ended)


@Cases
def test_it_is_a_condition_with_a_reason_and_a_remedy(applied: Environment, case: Case) -> None:
    condition = refusal(applied, case)

    assert case.remedy in condition.message
    assert condition.observed_generation == object_of(applied, case).metadata.generation


@Cases
def test_it_is_said_within_ten_seconds_of_being_known(applied: Environment, case: Case) -> None:
    condition = refusal(applied, case)
    created = object_of(applied, case).metadata.creation_timestamp
    assert created is not None

    # A run that is repeated says it each time again; times are in whole seconds.
    changed = condition.last_transition_time
    known = max((end for end in ends_of_pods(applied, case) if end <= changed + timedelta(seconds=1)), default=created)

    assert (changed - known).total_seconds() <= KNOWN_WITHIN


def test_nothing_is_tried_in_a_hot_loop(applied: Environment) -> None:
    """What cannot help is tried once; what may help is tried as often as growing pauses allow."""
    for case in CASES:
        refusal(applied, case)
    time.sleep(15)
    now = datetime.now(UTC)

    for case in CASES:
        manifest = object_of(applied, case)
        assert manifest.metadata.creation_timestamp is not None
        age = (now - manifest.metadata.creation_timestamp).total_seconds()
        tries = 1 + math.floor(math.log2(age / MIN_BACKOFF_SECONDS + 1)) if case.repeated else 1
        assert len(jobs_of(applied, case)) <= tries, case.name
        results = [
            event for event in applied.api.all("Event", case.namespace) if event["involvedObject"]["name"] == case.name
        ]
        assert len(results) <= 3 * tries + 3, case.name


def test_what_is_settled_is_left_alone(applied: Environment) -> None:
    settled = [case for case in CASES if not case.repeated]
    for case in settled:
        refusal(applied, case)
    before = {case.name: _revision(applied, case) for case in settled}

    time.sleep(10)

    assert {case.name: _revision(applied, case) for case in settled} == before


def _revision(environment: Environment, case: Case) -> str:
    return object_of(environment, case).metadata.resource_version


def test_a_neighbour_is_not_disturbed(applied: Environment) -> None:
    def answering() -> bool:
        service = applied.api.get("InferenceService", BAD, "iris") or {}
        conditions = (service.get("status") or {}).get("conditions") or []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    until("the neighbour answering", answering, seconds=120, explain=applied.operator_log)


# How the author corrects each; the operator does the rest.


def corrected(file: str, change: Callable[[dict[str, Any]], None]) -> list[Manifest]:
    """The objects of a sample, with the one that is wrong changed."""
    documents = list(yaml.safe_load_all((FOLDER / file).read_text()))
    change(documents[-1]["spec"])
    return documents


def mend_unknown_estimator(environment: Environment, store_client: StoreClient) -> None:
    # A run is immutable: the remedy is another one.
    kubectl(environment.cluster, "delete", "trainingjobs.tidemill.dev", "unknown-estimator", "-n", BAD)
    right = {"name": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 20}}
    apply_manifests(
        environment.cluster, BAD, corrected("unknown-estimator.yaml", lambda spec: spec.update(estimator=right))
    )


def mend_missing_dataset(environment: Environment, store_client: StoreClient) -> None:
    dataset = next(yaml.safe_load_all((QUICKSTART / "iris.yaml").read_text()))
    dataset["metadata"]["name"] = "not-made-yet"
    apply_manifests(environment.cluster, BAD, [dataset])


def mend_unreachable_source(environment: Environment, store_client: StoreClient) -> None:
    store_client.put("sources/transactions.parquet", biopsies.everything_as_parquet())
    store = secret(environment)
    data = {key: store[key] for key in ("endpoint", "region", "access-key-id", "secret-access-key")}
    environment.api.patch("Secret", BAD, "lake", {"data": data})


def mend_source_not_found(environment: Environment, store_client: StoreClient) -> None:
    store_client.put("sources/not-there-yet.csv", biopsies.everything())


def mend_empty_source(environment: Environment, store_client: StoreClient) -> None:
    rows = "height,weight,target\n" + "".join(f"1.{60 + n},{50 + n}.5,{n % 2}\n" for n in range(20))
    change = {"inline": {"format": "CSV", "data": rows}}
    apply_manifests(environment.cluster, BAD, corrected("empty-source.yaml", lambda spec: spec.update(source=change)))


def mend_absent_target(environment: Environment, store_client: StoreClient) -> None:
    right = [{"name": "target", "role": "Target"}]
    apply_manifests(environment.cluster, BAD, corrected("absent-target.yaml", lambda spec: spec.update(columns=right)))


def mend_not_a_number(environment: Environment, store_client: StoreClient) -> None:
    def mend(spec: dict[str, Any]) -> None:
        inline = spec["source"]["inline"]
        inline["data"] = inline["data"].replace("#REF!", "80.1").replace("ninety", "90")

    apply_manifests(environment.cluster, BAD, corrected("not-a-number.yaml", mend))


def mend_iris(environment: Environment, store_client: StoreClient) -> None:
    environment.api.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "tidemill-store", "namespace": UNSTORED},
            "data": secret(environment),
        }
    )


def secret(environment: Environment) -> dict[str, str]:
    manifest = environment.api.get("Secret", BAD, "tidemill-store")
    assert manifest is not None, "the chart makes it"
    assert base64.b64decode(manifest["data"]["uri"]) == b"s3://tidemill"
    return dict(manifest["data"])


MENDING = {
    "unknown-estimator": mend_unknown_estimator,
    "missing-dataset": mend_missing_dataset,
    "unreachable-source": mend_unreachable_source,
    "source-not-found": mend_source_not_found,
    "empty-source": mend_empty_source,
    "absent-target": mend_absent_target,
    "not-a-number": mend_not_a_number,
    "iris": mend_iris,
}


@pytest.fixture(scope="module")
def mended(applied: Environment) -> Iterator[Environment]:
    """Everything is corrected at once."""
    for case in CASES:
        refusal(applied, case)
    store_client = StoreClient.start(applied.api, BAD, applied.images["workload"])
    for case in CASES:
        MENDING[case.name](applied, store_client)
    yield applied
    store_client.stop()


@Cases
def test_it_recovers_by_itself_once_mended(mended: Environment, case: Case) -> None:
    def ready() -> bool:
        return object_of(mended, case).status.is_true("Ready")

    def explain() -> str:
        return f"{object_of(mended, case).status.conditions}\n{mended.operator_log()}"

    until(f"{case.name} becoming ready", ready, seconds=180, explain=explain)
    assert object_of(mended, case).status.condition("Stalled") is None
