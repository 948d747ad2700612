"""Features joined from two tables by SQL: what was known at the time, made again when a table changes, and learned from."""

from collections.abc import Iterator

import numpy as np
import pytest

from support.biopsies import SAMPLES
from support.environment import FEATURES, Environment
from support.kubectl import apply
from support.store_client import StoreClient
from support.waiting import until
from tidemill.api import Dataset, ModelVersion, TrainingJob

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = FEATURES
FOLDER = f"{FEATURES}/sources"


class Bank:
    """Payments of customers whose balances change."""

    def __init__(self, environment: Environment) -> None:
        self.environment, self.api = environment, environment.api
        self.store_client = StoreClient.start(environment.api, FEATURES, environment.images["workload"])
        rng = np.random.default_rng(3)
        lines = ["customer,at,balance,country"] + [
            f"c{customer},2026-01-{day:02}T00:00:00Z,{rng.integers(10, 1000)},{'de' if customer % 2 else 'fr'}"
            for customer in range(100)
            for day in (1, 10, 20)
        ]
        self.store_client.put(f"{FOLDER}/customers.csv", ("\n".join(lines) + "\n").encode())
        self.pay(days=15)

    def pay(self, days: int) -> None:
        rng = np.random.default_rng(4)
        lines = ["customer,at,amount,fraud"]
        for day in range(1, days + 1):
            for customer in range(100):
                amount = int(rng.integers(1, 500))
                lines.append(f"c{customer},2026-01-{day:02}T12:00:00Z,{amount},{'yes' if amount > 400 else 'no'}")
        self.store_client.put(f"{FOLDER}/payments.csv", ("\n".join(lines) + "\n").encode())

    @property
    def features(self) -> Dataset:
        resource = self.api.read(Dataset, FEATURES, "payment-features")
        assert resource is not None, "it must exist"
        return resource

    def until_rows(self, rows: int) -> Dataset:
        def there() -> Dataset | None:
            revision = self.features.status.revision
            return self.features if revision is not None and revision.rows == rows else None

        made: Dataset = until(f"{rows} rows of features", there, seconds=200, explain=self.explain)
        return made

    def explain(self) -> str:
        return f"{self.features.status.model_dump_json(indent=1)}\n{self.environment.operator_log()}"


@pytest.fixture(scope="module")
def bank(environment: Environment) -> Iterator[Bank]:
    made = Bank(environment)
    apply(environment.cluster, FEATURES, SAMPLES / "features")
    yield made
    made.store_client.stop()


def test_features_are_joined_and_learned_from(bank: Bank) -> None:
    features = bank.until_rows(1500)

    revision = features.status.revision
    assert revision is not None
    assert {"payments", "customers"} == {parent.name for parent in revision.parents}
    assert ("fraud", 4) == (revision.target, revision.features)

    def trained() -> str | None:
        run = bank.api.read(TrainingJob, FEATURES, "payments")
        return run.status.model_version if run is not None and run.status.is_true("Complete") else None

    name = until("the model", trained, seconds=180, explain=bank.explain)
    version = bank.api.read(ModelVersion, FEATURES, name)
    assert version is not None
    assert revision.digest == version.spec.lineage.datasets[0].digest


def test_a_table_that_grows_makes_the_features_again(bank: Bank) -> None:
    before = bank.features.status.revision
    bank.pay(days=20)

    after = bank.until_rows(2000)

    assert before is not None and before.digest == after.status.revisions[0].digest


def test_a_statement_that_cannot_be_run_keeps_the_last_revision(bank: Bank) -> None:
    bank.api.patch(
        "Dataset", FEATURES, "payment-features", {"spec": {"transform": {"sql": "SELECT * FROM '/etc/passwd'"}}}
    )

    def refused() -> bool:
        condition = bank.features.status.condition("Fetched")
        return condition is not None and condition.reason == "TransformFailed"

    until("the refusal", refused, seconds=120, explain=bank.explain)
    condition = bank.features.status.condition("Fetched")
    assert condition is not None
    assert "spec.transform.sql cannot be run: Catalog Error" in condition.message
    assert "stays in use" in condition.message
    assert bank.features.status.revision is not None
