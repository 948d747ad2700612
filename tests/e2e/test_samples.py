"""Every sample that is meant to work works, stays as it was applied, and leaves nothing when it is deleted."""

import pytest
import yaml

from support import tables, untouched
from support.biopsies import SAMPLES as FOLDER
from support.environment import SAMPLES, Environment
from support.kubectl import apply, kubectl
from support.store_client import StoreClient
from support.waiting import until
from tidemill.api import KINDS, InferenceService, ModelVersion
from tidemill.api.conditions import Reason

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = SAMPLES
STORIES = ("iris-quickstart", "wine-csv", "diabetes-parquet", "digits-approval", "batch-prediction")
PATHS = [FOLDER / story for story in STORIES]
MODELS = {kind.kind_name: kind for kind in KINDS}
WAITS_FOR_A_PERSON = "digits"


@pytest.fixture(scope="module")
def applied(environment: Environment) -> Environment:
    store_client = StoreClient.start(environment.api, SAMPLES, environment.images["workload"])
    store_client.put("sources/wine.csv", tables.wine())
    store_client.put("sources/diabetes.parquet", tables.diabetes())
    store_client.stop()
    apply(environment.cluster, SAMPLES, *PATHS)
    return environment


def ready(environment: Environment, kind: str, name: str) -> bool:
    resource = environment.api.read(MODELS[kind], SAMPLES, name)
    return resource is not None and resource.status.is_true("Ready")


def await_ready(environment: Environment, kind: str, name: str) -> None:
    def explain() -> str:
        resource = environment.api.read(MODELS[kind], SAMPLES, name)
        return f"{resource and resource.status.conditions}\n{environment.operator_log()}"

    until(f"{kind} {name} becoming ready", lambda: ready(environment, kind, name), seconds=180, explain=explain)


def test_the_objects_of_every_sample_become_ready(applied: Environment) -> None:
    wanted = [
        (document["kind"], document["metadata"]["name"])
        for path in PATHS
        for file in sorted(path.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]
    # A monitor needs traffic, and the digits need a person.
    wanted = [
        each for each in wanted if each not in {("DriftMonitor", "diabetes"), ("InferenceService", WAITS_FOR_A_PERSON)}
    ]

    for kind, name in wanted:
        await_ready(applied, kind, name)


def test_a_version_that_waits_for_a_person_is_served_once_they_agree(applied: Environment) -> None:
    def waiting() -> ModelVersion | None:
        versions = [
            each for each in applied.api.read_all(ModelVersion, SAMPLES) if each.spec.model_name == WAITS_FOR_A_PERSON
        ]
        judged = [each for each in versions if each.status.condition("Approved")]
        return judged[0] if judged else None

    version = until("a version of the digits", waiting, seconds=120, explain=applied.operator_log)
    approved = version.status.condition("Approved")
    service = applied.api.read(InferenceService, SAMPLES, WAITS_FOR_A_PERSON)
    assert approved is not None and service is not None
    assert (approved.status, approved.reason) == ("False", Reason.AWAITING_APPROVAL)
    assert service.status.stable is None

    user = kubectl(applied.cluster, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    approval = {"policy": "Manual", "requiredApprovals": 1, "decisions": [{"user": user, "verdict": "Approved"}]}
    applied.api.patch("ModelVersion", SAMPLES, version.name, {"spec": {"approval": approval}})

    await_ready(applied, "InferenceService", WAITS_FOR_A_PERSON)


def test_applying_every_sample_again_changes_nothing(applied: Environment) -> None:
    assert untouched.applying_again(applied.cluster, SAMPLES, *PATHS) == {"unchanged"}
    assert untouched.touched(applied.api, SAMPLES) == []


def test_deleting_the_samples_takes_everything_they_made_along_but_the_versions(applied: Environment) -> None:
    kubectl(applied.cluster, "delete", "-n", SAMPLES, *(word for path in PATHS for word in ("-f", path)))

    def left() -> list[str]:
        kinds = ("Dataset", "TrainingJob", "InferenceService", "DriftMonitor", "Job", "Deployment", "Service", "Pod")
        return [
            f"{kind}/{manifest['metadata']['name']}" for kind in kinds for manifest in applied.api.all(kind, SAMPLES)
        ]

    until("the children going", lambda: not left(), seconds=90, explain=lambda: str(left()))
    assert {version.spec.model_name for version in applied.api.read_all(ModelVersion, SAMPLES)} == {
        "iris",
        "wine",
        "diabetes",
        "digits",
        "irises",
    }
    kubectl(applied.cluster, "delete", "modelversions.tidemill.dev", "--all", "-n", SAMPLES)
    assert applied.api.all("ModelVersion", SAMPLES) == []
