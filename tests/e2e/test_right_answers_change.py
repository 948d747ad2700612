"""What is asked stays as it was and what is right changes: no drift, and still one retraining, which learns the new answers."""

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.datasets import load_iris

from support.environment import CHANGED, Environment
from support.irises import NAME, Irises
from support.kubectl import apply_manifests
from support.waiting import until
from tidemill.api import API_VERSION, Dataset, DriftMonitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = CHANGED
MONITOR = {
    "apiVersion": API_VERSION,
    "kind": "DriftMonitor",
    "metadata": {"name": NAME},
    "spec": {
        "target": {"inferenceService": NAME},
        "interval": "10s",
        "window": {"size": "5m", "minimumSamples": 100, "minimumLabels": 50},
        "checks": [
            {"name": "inputs", "type": "FeatureDrift", "failing": 0.25},
            {"name": "quality", "type": "Performance", "metric": "accuracy", "minimum": 0.8},
        ],
        "retraining": {
            "template": {"trainingJob": NAME, "data": {"combine": "Replace"}},
            "minimumInterval": "24h",
        },
    },
}


class Clients:
    """Who asks the service, and learns later what was right."""

    def __init__(self, environment: Environment) -> None:
        self.environment, self.api = environment, environment.api
        self.irises = Irises(environment, CHANGED)
        self._asked = 0

    @property
    def monitor(self) -> DriftMonitor:
        resource = self.api.read(DriftMonitor, CHANGED, NAME)
        assert resource is not None, "it must exist"
        return resource

    def verdicts(self) -> dict[str, str]:
        return {check.name: check.verdict for check in self.monitor.status.checks}

    def ask(self, turn: int, *, count: int) -> float:
        """Ask rows of the set, and say that each answer is `turn` classes further on; the share of answers that are right."""
        self._asked += 1
        iris, chosen = load_iris(), np.random.default_rng(self._asked).integers(0, 150, count)
        request = f"asked-{self._asked}"
        predicted = self.irises.predict(iris.data[chosen].tolist(), id=request)
        right = [str(iris.target_names[(target + turn) % 3]) for target in iris.target[chosen]]
        self.irises.tell(request, right)
        return float(np.mean([item == other for item, other in zip(predicted, right, strict=True)]))

    def explain(self) -> str:
        return f"{self.monitor.status.model_dump_json(indent=1)}\n{self.environment.operator_log()}"


@pytest.fixture(scope="module")
def clients(environment: Environment) -> Iterator[Clients]:
    made = Clients(environment)
    apply_manifests(environment.cluster, CHANGED, [MONITOR])
    yield made
    environment.api.delete("DriftMonitor", CHANGED, NAME)


def test_while_answers_are_right_nothing_is_retrained(clients: Clients) -> None:
    assert clients.ask(0, count=100) > 0.9

    wanted = {"inputs": "Passing", "quality": "Passing"}
    until("both checks passing", lambda: clients.verdicts() == wanted, seconds=120, explain=clients.explain)
    assert () == clients.monitor.status.history


def test_an_answer_is_explained_by_the_pod_that_gave_it(clients: Clients) -> None:
    rows = load_iris().data[[0, 75, 149]]

    explanation = clients.irises.explain(rows.tolist())

    outputs = {name: np.array(values) for name, values in explanation["outputs"].items() if name != "predict"}
    added = outputs["expected"] + outputs["attributions"].reshape(3, 4, 3).sum(axis=1)
    assert outputs["predict_proba"].reshape(3, 3) == pytest.approx(added, abs=1e-3)
    assert explanation["parameters"]["method"] in {"shap-tree", "shap-exact"}
    petals = np.abs(outputs["attributions"]).reshape(3, 4, 3)[:, 2:].sum()
    assert petals > np.abs(outputs["attributions"]).sum() / 2, "the petals tell irises apart"


def test_indices_instead_of_classes_are_named_and_start_no_retraining(clients: Clients) -> None:
    iris = load_iris()
    # Few enough that a retraining on all rows still learns what the later ones say.
    rows, targets = iris.data[::5], iris.target[::5]
    clients.irises.predict(rows.tolist(), id="by-index")

    answer = clients.irises.tell("by-index", targets.tolist())

    assert (30, 30) == (answer["accepted"], answer["unknown"])
    assert ["setosa", "versicolor", "virginica"] == answer["classes"]
    assert (
        "30 labels are indices of classes, not classes; send the names, such as 'setosa' instead of 0"
        == answer["message"]
    )
    until(
        "the labels being unknown",
        lambda: clients.monitor.status.is_true("LabelsUnknown"),
        seconds=120,
        explain=clients.explain,
    )
    assert "NoData" == clients.verdicts()["quality"]
    assert "LabelsUnknown" in clients.monitor.status.retraining.blocked
    assert () == clients.monitor.status.history

    corrected = clients.irises.tell("by-index", [str(iris.target_names[target]) for target in targets])

    assert {"accepted": 30, "unknown": 0} == corrected
    wanted = {"inputs": "Passing", "quality": "Passing"}
    until("both checks passing again", lambda: clients.verdicts() == wanted, seconds=120, explain=clients.explain)
    assert not clients.monitor.status.is_true("LabelsUnknown")


def test_when_what_is_right_changes_one_retraining_learns_it(clients: Clients) -> None:
    old = clients.irises.service.status.stable
    assert old is not None
    assert clients.ask(1, count=900) < 0.1

    def promoted() -> bool:
        history = clients.monitor.status.history
        return bool(history) and history[0].outcome == "Promoted"

    until("the retraining being promoted", promoted, seconds=240, explain=clients.explain)

    [outcome] = clients.monitor.status.history
    assert ("Drift", ("quality",)) == (outcome.cause, outcome.checks)
    assert clients.irises.service.status.stable is not None
    assert outcome.model_version == clients.irises.service.status.stable.version != old.version
    assert outcome.counterfactual is not None, clients.explain()
    assert outcome.counterfactual.before < 0.3 < 0.7 < outcome.counterfactual.after


def test_the_new_version_gives_the_new_answers_and_is_not_retrained_again(clients: Clients) -> None:
    assert clients.ask(1, count=300) > 0.8

    def passing() -> bool:
        return clients.verdicts() == {"inputs": "Passing", "quality": "Passing"}

    until("both checks passing", passing, seconds=120, explain=clients.explain)
    assert 1 == len(clients.monitor.status.history)
    assert 2 == len(clients.api.all("TrainingJob", CHANGED, ""))


def test_rows_that_were_served_and_labelled_are_a_dataset(clients: Clients) -> None:
    """After all the others: every row that was asked above has its label by now."""
    source = {"predictions": {"inferenceServiceRef": {"name": NAME}, "window": "1h"}}
    dataset = {"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": "served"}, "spec": {"source": source}}
    apply_manifests(clients.environment.cluster, CHANGED, [dataset])

    def ready() -> Dataset | None:
        resource = clients.api.read(Dataset, CHANGED, "served")
        return resource if resource is not None and resource.status.is_true("Ready") else None

    made = until("the Dataset getting ready", ready, seconds=120, explain=clients.environment.operator_log)

    assert made.status.revision is not None
    assert 1330 == made.status.revision.rows
    assert (4, "target") == (made.status.revision.features, made.status.revision.target)
