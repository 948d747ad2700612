"""One soak: a service under steady traffic, versions of every breed rolled out one after the other, something disturbed each time."""

import time
from collections.abc import Callable, Sequence

from soak.disturbances import Disturbance, Disturber
from soak.ledger import Ledger, Rollout
from soak.terms import Terms
from soak.versions import Breed, Nursery, Trained
from support import biopsies
from support.api import Manifest
from support.environment import REAPER, Environment
from support.kubectl import apply_manifests
from support.reaper import Reaper
from support.store_client import StoreClient
from support.waiting import until
from tidemill.api import API_VERSION, InferenceService, ModelVersion, TrainingJob
from tidemill.api.inferenceservice import Outcome
from tidemill.children import names
from traffic.client import Schedule
from traffic.remote import Orders, Traffic

MODEL = "soaked"
MIXED_UP = "sources/soak-mixed-up.csv"


class Soak:
    """A service that is soaked."""

    def __init__(self, environment: Environment, namespace: str, terms: Terms, say: Callable[[str], None]) -> None:
        self.environment = environment
        self.api = environment.api
        self.namespace = namespace
        self.terms = terms
        self.say = say

    def play(self) -> Ledger:
        """Set up, roll out, and count."""
        store_client = StoreClient.start(self.api, self.namespace, self.environment.images["workload"])
        reaper = Reaper.start(self.api, REAPER, self.environment.images["workload"], name="soak-reaper")
        try:
            nursery = self._nursery(store_client)
            until("the first version answering", lambda: self._service().status.is_true("Ready"), seconds=120)
            traffic = self._traffic()
            try:
                return self._roll(nursery, traffic, reaper)
            finally:
                traffic.stop()
        finally:
            reaper.stop()
            store_client.stop()

    def _nursery(self, store_client: StoreClient) -> Nursery:
        store_client.put(MIXED_UP, biopsies.everything(biopsies.mixed_up))
        apply_manifests(self.environment.cluster, self.namespace, _manifests())
        good, wrong, forest = (Trained.fetch(store_client, self._published(run)) for run in (MODEL, "wrong", "forest"))
        return Nursery(self.api, store_client, self.namespace, MODEL, good, wrong, forest)

    def _traffic(self) -> Traffic:
        schedule = Schedule(
            url=f"http://{MODEL}.{self.namespace}.svc",
            model=MODEL,
            rate=self.terms.rate,
            label_delay=0.5,
            most=self.terms.most,
            seconds=self.terms.seconds + 600,
        )
        orders = Orders(schedule, biopsies.TARGET, biopsies.held_out().asked)
        return Traffic.start(self.api, self.namespace, self.environment.images["server"], orders, name="soak-traffic")

    def _roll(self, nursery: Nursery, traffic: Traffic, reaper: Reaper) -> Ledger:
        disturber = Disturber(self.environment, self.namespace)
        digests = {nursery.good.version.name: nursery.good.version.spec.artifact.digest}
        rollouts: list[Rollout] = []
        began = time.monotonic()
        for serial, (breed, disturbance) in enumerate(self.terms.programme):
            if time.monotonic() - began > self.terms.seconds:
                self.say(f"time is up after {len(rollouts)} of {len(self.terms.programme)} rollouts")
                break
            brought, started = nursery.bring(breed, serial), time.monotonic()
            digests[brought.name] = brought.spec.artifact.digest
            outcome = self._await_end(brought, breed, disturbance, disturber, reaper)
            rollouts.append(Rollout(brought.name, breed, disturbance, outcome, time.monotonic() - started))
            counted = traffic.counters()
            self.say(
                f"{len(rollouts):>3} {brought.name}: {outcome.outcome} {outcome.reason} in {rollouts[-1].seconds:.0f} s"
                + (f", with {disturbance}" if disturbance is not Disturbance.NOTHING else "")
                + f"; {counted.answered} answered, {counted.failed} failed"
            )
        left = self.terms.least - traffic.counters().answered
        if left > 0 and len(rollouts) == len(self.terms.programme):
            self.say(f"{left} requests to go")
            enough = 1.5 * left / self.terms.rate + 30
            until("the last requests", lambda: traffic.counters().answered >= self.terms.least, seconds=enough, poll=2)
        return Ledger(self.terms, rollouts, traffic.counters(), digests)

    def _await_end(
        self, version: ModelVersion, breed: Breed, disturbance: Disturbance, disturber: Disturber, reaper: Reaper
    ) -> Outcome:
        undo: Callable[[], None] | None = None

        def ended() -> Outcome | None:
            nonlocal undo
            service = self._service()
            rollout = service.status.rollout
            answering = rollout is not None and rollout.version == version.name and rollout.weight > 0
            if answering and breed is Breed.CRASHING:
                for pod in self.api.all("Pod", self.namespace, f"{names.ROLE}=candidate"):
                    reaper.kill(self.namespace, pod["metadata"]["name"])
            if answering and undo is None:
                undo = disturber.begin(disturbance)
                if disturbance is Disturbance.STORE_OUTAGE:
                    # New pods read the version from the store, so it has to be back before the promotion is to end.
                    time.sleep(3)
                    undo()
            over = next((each for each in service.status.history if each.version == version.name), None)
            return over if over and service.status.rollout is None else None

        return until(f"the rollout of {version.name} ending", ended, seconds=330, explain=self._explain)

    def _service(self) -> InferenceService:
        resource = self.api.read(InferenceService, self.namespace, MODEL)
        assert resource is not None, "the service must exist"
        return resource

    def _published(self, run: str) -> ModelVersion:
        def published() -> ModelVersion | None:
            job = self.api.read(TrainingJob, self.namespace, run)
            assert job is None or not job.status.is_true("Failed"), f"{run} failed: {job.status.condition('Failed')}"
            name = job.status.model_version if job else ""
            return self.api.read(ModelVersion, self.namespace, name) if name else None

        return until(f"{run} publishing a version", published, seconds=180, explain=self.environment.operator_log)

    def _explain(self) -> str:
        return f"{self._service().status.model_dump_json(indent=1)}\n{self.environment.operator_log()}"


def _manifests() -> Sequence[Manifest]:
    """A service with short steps, and the runs that its versions are made of."""
    logistic = {"name": "sklearn.linear_model.LogisticRegression"}
    tree = {"name": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 8}}
    forest = {"name": "sklearn.ensemble.BaggingClassifier", "parameters": {"n_estimators": 150}}
    service = {
        "model": {"name": MODEL},
        "replicas": 2,
        "protocol": {"timeout": "1s"},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "448Mi"}},
        "rollout": {
            "steps": [{"weight": 25, "pause": "4s"}, {"weight": 50, "pause": "4s"}],
            "analysis": {
                "interval": "2s",
                "failureLimit": 1,
                "metrics": [
                    {"name": "errors", "type": "ErrorRate", "maximum": 0.05},
                    {"name": "latency", "type": "LatencyP95", "maximumIncrease": 1, "minimumSamples": 40},
                    {
                        "name": "quality",
                        "type": "Labelled",
                        "metric": "accuracy",
                        "maximumRegression": 0.1,
                        "minimumSamples": 30,
                    },
                ],
            },
            "deadline": "10m",
        },
    }
    objects = [
        ("Dataset", MODEL, {"source": {"uri": biopsies.SET}}),
        (
            "Dataset",
            "mixed-up",
            {
                "source": {"uri": f"s3://tidemill/{MIXED_UP}"},
                "columns": [{"name": biopsies.TARGET, "role": "Target"}],
            },
        ),
        ("TrainingJob", MODEL, {"modelName": MODEL, "dataset": {"name": MODEL}, "estimator": logistic}),
        ("TrainingJob", "wrong", {"modelName": "wrong", "dataset": {"name": "mixed-up"}, "estimator": tree}),
        ("TrainingJob", "forest", {"modelName": "forest", "dataset": {"name": MODEL}, "estimator": forest}),
        ("InferenceService", MODEL, service),
    ]
    return [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for kind, name, spec in objects
    ]
