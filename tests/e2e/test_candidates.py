"""Bad candidates: each is rolled back, no client notices, and it is not tried again."""

from collections.abc import Iterator

import pytest

from support import biopsies, untouched
from support.biopsies import SAMPLES
from support.environment import CANDIDATES, REAPER, Environment
from support.kubectl import apply
from support.reaper import Reaper
from support.rollouts import FollowedService, version_of
from support.store_client import StoreClient, key_of
from support.waiting import until
from tidemill.api import API_VERSION, InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import Outcome
from tidemill.children import names
from tidemill.runtime.model.predictor import COMPILED_FILE
from tidemill.runtime.store import manifest
from tidemill.runtime.store.manifest import Manifest
from traffic.client import Schedule
from traffic.remote import Orders, Traffic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FOLDER = SAMPLES / "candidates"
SERVICE = "screening"


class Screening(FollowedService):
    """A service with a good version, live traffic, and the means to harm it."""

    def __init__(self, environment: Environment, store_client: StoreClient, traffic: Traffic, first: str) -> None:
        super().__init__(environment, CANDIDATES, SERVICE, traffic)
        self.store_client = store_client
        self.first = first

    def outcome_of(self, version: str, *, seconds: float = 150) -> Outcome:
        """How the rollout of a version ended."""

        def ended() -> Outcome | None:
            service = self.service
            over = next((each for each in service.status.history if each.version == version), None)
            return over if over and service.status.rollout is None else None

        return until(f"the rollout of {version} ending", ended, seconds=seconds, explain=self.explain)


@pytest.fixture(scope="module")
def screening(environment: Environment) -> Iterator[Screening]:
    apply(environment.cluster, CANDIDATES, FOLDER / "service.yaml")
    store_client = StoreClient.start(environment.api, CANDIDATES, environment.images["workload"])
    store_client.put("sources/mixed-up.csv", biopsies.everything(biopsies.mixed_up))
    first = version_of(environment, CANDIDATES, SERVICE)

    def answering() -> bool:
        service = environment.api.read(InferenceService, CANDIDATES, SERVICE)
        return service is not None and service.status.is_true("Ready")

    until("the first version answering", answering, seconds=90, explain=environment.operator_log)
    schedule = Schedule(
        url=f"http://{SERVICE}.{CANDIDATES}.svc", model=SERVICE, rate=20, label_delay=1, most=20_000, seconds=900
    )
    rows = biopsies.held_out(FOLDER / "service.yaml")
    traffic = Traffic.start(
        environment.api, CANDIDATES, environment.images["server"], Orders(schedule, biopsies.TARGET, rows.asked)
    )
    yield Screening(environment, store_client, traffic, first)
    traffic.stop()
    store_client.stop()


def assert_rejected_for_good(screening: Screening, version: str) -> None:
    """Rolled back once and rejected by this service alone, with the first version answering everything and no failed request."""
    outcomes = [each.outcome for each in screening.service.status.history if each.version == version]
    resource = screening.api.read(ModelVersion, CANDIDATES, version)
    stable, counted = screening.service.status.stable, screening.traffic.counters()
    assert resource is not None and stable is not None
    ready = resource.status.condition("Ready")
    assert ready is not None

    assert outcomes == ["RolledBack"]
    assert (ready.status, ready.reason) == ("True", Reason.APPROVED)
    assert [version] == [entry.version for entry in screening.service.status.rejected or () if entry.version == version]
    assert (stable.version, stable.weight) == (screening.first, 100)
    assert (counted.failed, counted.labels_failed, list(counted.failures)) == (0, 0, [])
    # The status is written before the Deployment is deleted.
    until(
        "the candidate's Deployment going",
        lambda: screening.api.get("Deployment", CANDIDATES, names.candidate(SERVICE)) is None,
        seconds=30,
        explain=screening.explain,
    )


def test_a_candidate_that_answers_wrongly_is_rolled_back(screening: Screening) -> None:
    apply(screening.environment.cluster, CANDIDATES, FOLDER / "wrong.yaml")
    wrong = version_of(screening.environment, CANDIDATES, "wrong")

    outcome = screening.outcome_of(wrong)

    assert (outcome.outcome, outcome.reason) == ("RolledBack", "quality")
    assert_rejected_for_good(screening, wrong)


def test_a_candidate_that_crashes_is_rolled_back(screening: Screening) -> None:
    reaper = Reaper.start(screening.api, REAPER, screening.environment.images["workload"], name="reaper-of-candidates")
    apply(screening.environment.cluster, CANDIDATES, FOLDER / "crashing.yaml")
    crashing = version_of(screening.environment, CANDIDATES, "crashing")

    def has_weight() -> bool:
        rollout = screening.service.status.rollout
        return rollout is not None and rollout.version == crashing and rollout.weight > 0

    def killed_until_it_ends() -> Outcome | None:
        for pod in screening.api.all("Pod", CANDIDATES, f"{names.ROLE}=candidate"):
            reaper.kill(CANDIDATES, pod["metadata"]["name"])
        service = screening.service
        over = next((each for each in service.status.history if each.version == crashing), None)
        return over if over and service.status.rollout is None else None

    until("the candidate having weight", has_weight, seconds=90, explain=screening.explain)
    outcome = until("the roll-back", killed_until_it_ends, seconds=120, poll=1, explain=screening.explain)
    reaper.stop()

    assert outcome.outcome == "RolledBack"
    assert outcome.reason in {"CandidateCrashed", "errors"}
    assert_rejected_for_good(screening, crashing)


def test_a_candidate_that_is_slow_is_rolled_back(screening: Screening) -> None:
    apply(screening.environment.cluster, CANDIDATES, FOLDER / "slow.yaml")
    forest = version_of(screening.environment, CANDIDATES, "forest")
    compiled = screening.api.read(ModelVersion, CANDIDATES, forest)
    assert compiled is not None
    slow = uncompiled(screening, compiled)

    outcome = screening.outcome_of(slow)

    assert outcome.outcome == "RolledBack"
    # On a busy machine some of its answers come later than a client is made to wait for, which counts as an error.
    assert outcome.reason in {"latency", "errors"}
    assert_rejected_for_good(screening, slow)


def uncompiled(screening: Screening, version: ModelVersion) -> str:
    """Bring the same model to the service without its compiled form, as a user would: files, manifest, ModelVersion."""
    source, target = key_of(version.spec.artifact.uri), f"{CANDIDATES}/models/{SERVICE}/slow"
    listed = Manifest.verified(
        screening.store_client.get(f"{source}/{manifest.FILE}"), version.spec.artifact.digest, version.spec.artifact.uri
    )
    files = {name: screening.store_client.get(f"{source}/{name}") for name in listed.files if name != COMPILED_FILE}
    assert len(files) == len(listed.files) - 1, "the forest was compiled"
    for name, content in files.items():
        screening.store_client.put(f"{target}/{name}", content)
    written = Manifest.of(files)
    screening.store_client.put(f"{target}/{manifest.FILE}", written.to_json())
    brought = version.spec.to_wire() | {
        "modelName": SERVICE,
        "artifact": {"uri": f"s3://tidemill/{target}", "digest": written.digest, "format": "Skops"},
    }
    screening.api.create(
        {
            "apiVersion": API_VERSION,
            "kind": ModelVersion.kind_name,
            "metadata": {"name": "screening-slow", "namespace": CANDIDATES},
            "spec": brought,
        }
    )
    return "screening-slow"


def test_none_of_them_is_tried_again(screening: Screening) -> None:
    """Applying everything once more, and the operator starting again, change nothing."""
    pod = screening.environment.operator_pod()
    screening.api.delete("Pod", "tidemill-system", pod)
    until("another operator", lambda: screening.environment.operator_pod() != pod, seconds=60)

    assert untouched.applying_again(screening.environment.cluster, CANDIDATES, FOLDER) == {"unchanged"}
    # A rollout that is wanted begins with the visit after the first listing, seconds after the start.
    answered = screening.traffic.counters().answered
    until("300 more answers", lambda: screening.traffic.counters().answered >= answered + 300, seconds=60)
    assert screening.service.status.rollout is None
    assert sorted(each.outcome for each in screening.service.status.history) == ["RolledBack"] * 3
    assert screening.traffic.counters().failed == 0
