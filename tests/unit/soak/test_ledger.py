"""A soak's ledger: whatever was lost, misnamed or left out is a problem, and nothing else is."""

from __future__ import annotations

import doctest
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from soak import terms
from soak.disturbances import Disturbance
from soak.ledger import Ledger, Rollout
from soak.terms import SHORT, Terms
from soak.versions import Breed
from tidemill.api.rollout import Outcome
from traffic.remote import Counters

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WANTED = Terms(SHORT, rate=60, most=10_000, seconds=420, least=5_000)
ANSWERED = Counters(
    sent=6_000, answered=6_000, failed=0, labels_sent=6_000, labels_failed=0,
    versions={"soaked-1": {"digests": ["sha256:1"]}},
    failures=(), recent_accuracy=0.97, recent_labelled=500, p95=0.01, slowest=0.2,
)  # fmt: skip


def rollout(breed: Breed, disturbance: Disturbance, outcome: Any = None) -> Rollout:
    ended = Outcome(version="soaked-1", outcome=outcome or breed.outcome, started_at=NOON, at=NOON)
    return Rollout("soaked-1", breed, disturbance, ended, 30.0)


GOOD = Ledger(WANTED, [rollout(*short) for short in SHORT], ANSWERED, {"soaked-1": "sha256:1"})


def test_a_soak_in_which_nothing_was_lost_has_no_problem() -> None:
    assert [] == GOOD.problems


@pytest.mark.parametrize(
    ("ledger", "problem"),
    [
        pytest.param(replace(GOOD, rollouts=GOOD.rollouts[:-1]), "4 rollouts of 5", id="a rollout too few"),
        pytest.param(replace(GOOD, counted=replace(ANSWERED, answered=4_999)), "4999 requests", id="an answer too few"),
        pytest.param(replace(GOOD, counted=replace(ANSWERED, failed=1)), "1 requests failed", id="a failure"),
        pytest.param(replace(GOOD, digests={"soaked-1": "sha256:2"}), "answered as sha256:1", id="another's bytes"),
        pytest.param(replace(GOOD, digests={}), "answered as sha256:1", id="a version that nobody knows"),
        pytest.param(
            replace(GOOD, rollouts=[*GOOD.rollouts[:-1], rollout(Breed.GOOD, Disturbance.NOTHING, "RolledBack")]),
            "ended RolledBack",
            id="a good version that was rolled back",
        ),
        pytest.param(
            replace(GOOD, rollouts=[*GOOD.rollouts[:-1], rollout(Breed.WRONG, Disturbance.NOTHING, "Promoted")]),
            "ended Promoted",
            id="a wrong version that was promoted",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_a_problem(ledger: Ledger, problem: str) -> None:
    [result] = ledger.problems
    assert problem in result


def test_a_long_soak_has_every_breed_and_every_disturbance() -> None:
    planned = terms.programme(50)

    assert set(Breed) == {breed for breed, _ in planned}
    assert set(Disturbance) == {disturbance for _, disturbance in planned}
    assert 0 == doctest.testmod(terms).failed
