"""Labels that arrive in a table are joined with predictions by the key of each row, without a call of the feedback endpoint."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sklearn.datasets import load_iris

from support.environment import LABELS, Environment
from support.irises import Irises
from support.store_client import StoreClient
from support.waiting import until
from tidemill.api import DriftMonitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = LABELS
FILE = "sources/species.csv"


class Florist:
    """Who asks for the species of flowers, and determines them later."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.irises = Irises(environment, LABELS, sample="labels-from-a-table", name="flowers")
        self.store_client = StoreClient.start(environment.api, LABELS, environment.images["workload"])
        self.iris = load_iris()

    @property
    def monitor(self) -> DriftMonitor:
        resource = self.environment.api.read(DriftMonitor, LABELS, "flowers")
        assert resource is not None, "it must exist"
        return resource

    def ask(self) -> list[str]:
        return self.irises.predict(self.iris.data.tolist(), keys=[f"flower-{number}" for number in range(150)])

    def determine(self, turn: int = 0) -> None:
        """Write down each species, `turn` classes further on."""
        known = (datetime.now(UTC) + timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        species = self.iris.target_names[(self.iris.target + turn) % 3]
        lines = [f"flower-{number},{name},{known}" for number, name in enumerate(species)]
        self.store_client.put(FILE, ("flower,species,determined\n" + "\n".join(lines) + "\n").encode())

    def until(self, what: str, verdict: str, labelled: int) -> None:
        def judged() -> bool:
            status = self.monitor.status
            last = status.last_run
            return bool(last and last.labelled == labelled and [verdict] == [check.verdict for check in status.checks])

        until(what, judged, seconds=240, explain=self.explain)

    def explain(self) -> str:
        return f"{self.monitor.status.model_dump_json(indent=1)}\n{self.environment.operator_log()}"


@pytest.fixture(scope="module")
def florist(environment: Environment) -> Iterator[Florist]:
    made = Florist(environment)
    yield made
    made.store_client.stop()


def test_until_there_is_a_table_the_monitor_says_so_and_checks_go_on(florist: Florist) -> None:
    predicted = florist.ask()

    assert np.mean(np.array(predicted) == florist.iris.target_names[florist.iris.target]) > 0.9
    florist.until("a check without labels", "NoData", 0)
    condition = florist.monitor.status.condition("LabelsReady")
    assert condition is not None and "Dataset 'species' has no revision yet (SourceNotFound" in condition.message


def test_labels_of_the_table_are_judged(florist: Florist) -> None:
    florist.determine()

    florist.until("the quality passing", "Passing", 150)
    assert florist.monitor.status.is_true("LabelsReady")


def test_a_correction_of_the_table_is_another_verdict(florist: Florist) -> None:
    florist.determine(turn=1)

    florist.until("the quality failing", "Failing", 150)
