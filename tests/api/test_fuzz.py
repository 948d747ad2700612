"""A part, bounded by count, of what `python -m fuzz run` tries by the ten thousand: wrong, odd and extreme specs do no harm."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fuzz import schemas
from fuzz.campaign import Campaign, Extent
from fuzz.cases import Failure, summary
from fuzz.harness import Harness, harness

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]
PART = Extent(step=4, hosts=1, random=300, reconciled=240, walks=40, tamperings=80)
NO_CLOCK = 24 * 60.0
"""Minutes: the part is bounded by count, so that every run tries the same."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def campaign(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Campaign]:
    async with harness(tmp_path_factory.mktemp("fuzz")) as made:
        yield played(made)


def played(made: Harness) -> Campaign:
    return Campaign(made, seed=1, minutes=NO_CLOCK, folder=None, say=print)


def failures(campaign: Campaign, before: int = 0) -> list[Failure]:
    return campaign.counts.failures[before:]


async def test_what_the_api_server_admits_and_refuses_is_what_the_schemas_say(campaign: Campaign) -> None:
    admission = await campaign.admission(PART)

    assert not failures(campaign), summary(failures(campaign))
    assert admission.tried > 1000
    leaves = [location for location in schemas.locations() if location.is_leaf]
    assert [] == [str(leaf) for leaf in leaves if not admission.ways.get(str(leaf))]

    await campaign.reconciling(PART, list(admission.admitted.values()))

    assert not failures(campaign), summary(failures(campaign))

    await campaign.walks(PART, list(admission.admitted.values()))

    assert not failures(campaign), summary(failures(campaign))


async def test_whoever_gets_it_wrong_is_told_so_by_name(campaign: Campaign) -> None:
    before = len(failures(campaign))
    await campaign.misoperations()

    assert not failures(campaign, before), summary(failures(campaign, before))


async def test_a_poisoned_object_harms_nobody_and_can_be_deleted(campaign: Campaign) -> None:
    before = len(failures(campaign))
    await campaign.tampering(PART)

    assert not failures(campaign, before), summary(failures(campaign, before))
