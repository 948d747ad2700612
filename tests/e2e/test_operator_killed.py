"""The operator killed with SIGKILL at each stage of the loop: the end state is that of an undisturbed life."""

from collections.abc import Iterator

import pytest

from demo import ending, tide
from support import untouched
from support.grounds import CRASH, REAPER, Grounds
from support.life import Life, live, shape
from support.reaper import Reaper
from support.saboteur import MOMENTS, Saboteur

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def saboteur(grounds: Grounds) -> Iterator[Saboteur]:
    reaper = Reaper.start(grounds.api, REAPER, grounds.images["workload"])
    yield Saboteur(grounds, reaper, CRASH)
    reaper.stop()


@pytest.fixture(scope="module")
def sabotaged(grounds: Grounds, saboteur: Saboteur) -> Life:
    """The tide's story, with the operator dying all along."""
    return live(grounds, CRASH, tide.STAGES, accident=saboteur, patience=2.5)


def test_the_operator_died_at_every_stage(sabotaged: Life, saboteur: Saboteur) -> None:
    assert saboteur.struck == [moment.name for moment in MOMENTS]


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


def test_what_was_applied_is_unchanged(sabotaged: Life, grounds: Grounds) -> None:
    assert untouched.touched(grounds.api, CRASH) == []
    assert untouched.applying_again(grounds.cluster, CRASH, tide.SAMPLE) == {"unchanged"}
