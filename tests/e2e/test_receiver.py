"""A monitor of a service that is not Tidemill's: its receiver's pod is sent what KServe's logger sends, and a signal."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from support.biopsies import SAMPLES as FOLDER
from support.environment import RECEIVER, Environment
from support.kubectl import apply
from support.runner import FOLDER as MOUNTED
from support.runner import PodRunner, Recipe
from support.waiting import until
from tidemill.api import DriftMonitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
OWN_NAMESPACE = RECEIVER
PORT = 9300
PROGRAM = Path(__file__).parents[1] / "support/inside/sidecar.py"
MONITOR = "sklearn-iris"


@pytest.fixture(scope="module")
def sidecar(environment: Environment) -> Iterator[PodRunner]:
    apply(environment.cluster, RECEIVER, FOLDER / "kserve")
    files = {"sidecar": {"sidecar.py": PROGRAM.read_text()}}
    command = ("python", f"{MOUNTED}/sidecar/sidecar.py")
    runner = PodRunner.start(
        environment.api, RECEIVER, Recipe("sidecar", environment.images["workload"], command, files, PORT)
    )
    until(
        "the receiver listening",
        lambda: set(send(runner, "probe", load_iris().data[:1])) == {200},
        seconds=120,
        explain=environment.operator_log,
    )
    yield runner
    runner.stop()


def send(sidecar: PodRunner, name: str, rows: np.ndarray, **more: object) -> list[int]:
    """The answers to the rows as requests of ten rows each."""
    values = {
        "url": f"http://{MONITOR}-receiver/",
        "service": MONITOR,
        "name": name,
        "requests": [rows[index : index + 10].tolist() for index in range(0, len(rows), 10)],
        **more,
    }
    return json.loads(sidecar.ask("/", method="POST", body=json.dumps(values).encode()))


def verdicts(environment: Environment) -> dict[str, str]:
    monitor = environment.api.read(DriftMonitor, RECEIVER, MONITOR)
    return {check.name: check.verdict for check in monitor.status.checks} if monitor else {}


def test_payloads_of_another_service_and_a_signal_become_verdicts(environment: Environment, sidecar: PodRunner) -> None:
    rows = load_iris().data[np.random.default_rng(1).integers(0, 150, 300)] + np.array([0, 0, 2.0, 0])

    answered = send(
        sidecar, "moved", rows, signal={"status": "failing", "message": "seen elsewhere"}, token="only-for-trying"
    )

    assert ([200] * 60, 202) == (answered[:-1], answered[-1])
    until(
        "the check's verdicts",
        lambda: {"sound": "Passing", "inputs": "Failing", "outside": "Failing"} == verdicts(environment),
        seconds=240,
        explain=lambda: f"{verdicts(environment)}\n{environment.operator_log()}",
    )


def test_who_does_not_bear_the_token_is_turned_away(sidecar: PodRunner) -> None:
    assert 401 == send(sidecar, "none", load_iris().data[:0], signal={"status": "failing"}, token="wrong")[-1]
