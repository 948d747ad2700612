"""A monitor whose checks are asked of a warm worker: its pod is replaced under way, and no window is missed for long."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from support.biopsies import SAMPLES as FOLDER
from support.environment import WARM, Environment
from support.irises import NAME, Irises
from support.kubectl import apply
from support.waiting import until
from tidemill.api import DriftMonitor
from tidemill.children import names

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = WARM


class Watch:
    """The monitor, and what is asked of the service that it watches."""

    def __init__(self, environment: Environment) -> None:
        self.environment, self.api = environment, environment.api
        self.irises = Irises(environment, WARM)

    @property
    def monitor(self) -> DriftMonitor:
        resource = self.api.read(DriftMonitor, WARM, NAME)
        assert resource is not None, "it must exist until the last test"
        return resource

    def pods(self, component: str) -> list[str]:
        manifest = self.api.all("Pod", WARM, f"{names.COMPONENT}={component}")
        return [pod["metadata"]["name"] for pod in manifest if not pod["metadata"].get("deletionTimestamp")]

    def jobs(self) -> list[str]:
        return [job["metadata"]["name"] for job in self.api.all("Job", WARM, f"{names.COMPONENT}=check")]

    def newest(self) -> datetime | None:
        run = self.monitor.status.last_run
        return run.end if run else None

    def ask(self, shift: float, *, count: int = 150) -> None:
        """Have the service answer rows of the set, moved by `shift`, through the API server."""
        moved = np.array([0, 0, shift, shift / 2])
        rows = load_iris().data[np.random.default_rng(7).integers(0, 150, count)] + moved
        self.irises.predict(rows.tolist())

    def explain(self) -> str:
        return f"{self.monitor.status.model_dump_json(indent=1)}\n{self.environment.operator_log()}"

    def until(self, what: str, claim: Any, *, seconds: float = 120) -> Any:
        return until(what, claim, seconds=seconds, explain=self.explain)


@pytest.fixture(scope="module")
def watch(environment: Environment) -> Iterator[Watch]:
    made = Watch(environment)
    apply(environment.cluster, WARM, FOLDER / "warm-worker")
    made.until("the worker getting ready", lambda: made.monitor.status.is_true("WorkerReady"))
    yield made


def test_windows_follow_one_another_without_a_job(watch: Watch) -> None:
    watch.until("a run of the worker", lambda: (run := watch.monitor.status.worker) is not None and not run.given_up)
    before = set(watch.jobs())
    seen: set[datetime] = set()

    def four() -> bool:
        if (end := watch.newest()) is not None:
            seen.add(end)
        return len(seen) > 4

    watch.until("four more windows", four, seconds=90)

    assert set(watch.jobs()) <= before


def test_what_it_finds_becomes_the_verdict(watch: Watch) -> None:
    watch.ask(2.0)

    watch.until("the shift being found", lambda: watch.monitor.status.is_true("DriftDetected"), seconds=90)
    run = watch.monitor.status.last_run
    assert run is not None
    assert run.report_uri.endswith("report.html")


def test_a_worker_whose_pod_is_taken_away_is_stood_in_for(watch: Watch) -> None:
    [pod] = watch.pods("worker")
    before = watch.newest()
    assert before is not None

    watch.api.delete("Pod", WARM, pod, grace=0)

    watch.until("a window after it", lambda: (end := watch.newest()) is not None and end > before, seconds=60)
    watch.until("another worker", lambda: [item for item in watch.pods("worker") if item != pod])
    watch.until("it being ready", lambda: watch.monitor.status.is_true("WorkerReady"))


def test_with_the_monitor_its_worker_goes(watch: Watch) -> None:
    watch.api.delete("DriftMonitor", WARM, NAME)

    until(
        "the worker gone",
        lambda: not watch.pods("worker") and watch.api.get("Deployment", WARM, f"{NAME}-worker") is None,
        seconds=60,
        explain=watch.environment.operator_log,
    )
