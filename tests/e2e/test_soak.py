"""Zero loss, in short: good and bad versions rolled out under traffic, while the node is drained and the store is gone.
`make soak-serving` is the long one."""

import pytest

from soak.campaign import Soak
from soak.ledger import Ledger
from soak.terms import SHORT, Terms
from support.environment import SOAK, Environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
OWN_NAMESPACE = SOAK
TERMS = Terms(SHORT, rate=60, most=60_000, seconds=420, least=5_000)


@pytest.fixture(scope="module")
def soaked(environment: Environment) -> Ledger:
    return Soak(environment, SOAK, TERMS, print).play()


def test_no_request_fails_and_every_rollout_ends_as_it_should(soaked: Ledger) -> None:
    assert soaked.problems == [], soaked.summary()


def test_every_answer_comes_from_the_version_and_the_bytes_that_it_names(soaked: Ledger) -> None:
    assert soaked.misnamed == {}
