"""Zero loss, in short: good and bad versions rolled out under traffic, with a pod evicted meanwhile. `make soak-serving` is the long one."""

import pytest

from soak.campaign import Soak, Terms
from soak.ledger import Ledger
from support.grounds import SOAK, Grounds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
TERMS = Terms(rollouts=4, rate=60, most=60_000, seconds=420)


@pytest.fixture(scope="module")
def soaked(grounds: Grounds) -> Ledger:
    return Soak(grounds, SOAK, TERMS, print).play()


def test_no_request_fails_and_every_rollout_ends_as_it_should(soaked: Ledger) -> None:
    assert len(soaked.rollouts) == TERMS.rollouts, soaked.told()
    assert soaked.problems == [], soaked.told()


def test_every_answer_comes_from_the_version_and_the_bytes_that_it_names(soaked: Ledger) -> None:
    assert soaked.counted.answered > 1000
    assert soaked.misnamed == {}
