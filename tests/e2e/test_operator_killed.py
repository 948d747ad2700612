"""The operator killed with SIGKILL at each stage of the loop: the end state is that of an undisturbed life."""

from collections.abc import Iterator

import pytest

from demo import drift, ending
from support import untouched
from support.environment import CRASH, REAPER, Environment
from support.life import Life, live, shape
from support.operator_killer import MOMENTS, OperatorKiller
from support.reaper import Reaper

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
OWN_NAMESPACE = CRASH


@pytest.fixture(scope="module")
def operator_killer(environment: Environment) -> Iterator[OperatorKiller]:
    reaper = Reaper.start(environment.api, REAPER, environment.images["workload"])
    yield OperatorKiller(environment, reaper, CRASH)
    reaper.stop()


@pytest.fixture(scope="module")
def sabotaged(environment: Environment, operator_killer: OperatorKiller) -> Life:
    """The first half of the demo, with the operator killed at each stage."""
    return live(environment, CRASH, drift.STAGES, accident=operator_killer, patience=2.5)


def test_the_operator_died_at_every_stage(sabotaged: Life, operator_killer: OperatorKiller) -> None:
    assert operator_killer.struck == [moment.name for moment in MOMENTS]


def test_the_end_state_is_that_of_an_undisturbed_life(sabotaged: Life) -> None:
    assert shape(sabotaged.story) == {
        "revisions": 1,
        "runs": [("biopsies", "first", 1), ("retraining", "second", 1)],
        "versions": [("first", ""), ("second", "Stable")],
        "jobs": [("ingest", "biopsies"), ("train", "biopsies"), ("train", "retraining")],
        "deployments": ["biopsies-stable"],
        "services": ["biopsies"],
        "rollouts": [("second", "Promoted")],
    }


def test_no_client_noticed(sabotaged: Life) -> None:
    ending.settle(sabotaged.story)


def test_what_was_applied_is_unchanged(sabotaged: Life, environment: Environment) -> None:
    assert untouched.touched(environment.api, CRASH) == []
    assert untouched.applying_again(environment.cluster, CRASH, drift.SAMPLE) == {"unchanged"}
