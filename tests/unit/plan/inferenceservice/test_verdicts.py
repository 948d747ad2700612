"""A verdict is local: what a service holds against a version, for how long, and how a person ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support import monitors as make
from tidemill.api import InferenceService
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import InferenceServiceStatus, Outcome, Rejection
from tidemill.children import names
from tidemill.plan.inferenceservice import verdicts

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
BAD = make.version("fraud-2", hour=2)


def ended(*, reason: str = "quality", minutes_ago: float = 1.0, version: str = "fraud-2", **fields: Any) -> Outcome:
    at = NOW - timedelta(minutes=minutes_ago)
    outcome = {"outcome": "RolledBack", "digest": BAD.spec.artifact.digest, "message": "0.7 is too low", **fields}
    return Outcome.model_validate({"version": version, "reason": reason, "started_at": at, "at": at, **outcome})


def service(
    *history: Outcome,
    rejected: tuple[Rejection, ...] | None = (),
    generation: int = 2,
    **annotations: str,
) -> InferenceService:
    """Return a service with this history and these annotations, whose names are those of `names`."""
    live = make.service()
    given = {getattr(names, name): value for name, value in annotations.items()}
    return live.model_copy(
        update={
            "metadata": live.metadata.model_copy(update={"annotations": given, "generation": generation}),
            "status": InferenceServiceStatus(history=history, rejected=rejected),
        }
    )


def message(of: InferenceService, now: datetime = NOW) -> str:
    result = verdicts.objection(of, BAD, now)
    return result.message if result else ""


def test_a_verdict_becomes_a_rejection_that_says_how_to_end_it() -> None:
    rejected = verdicts.after(service(), ended(), NOW)

    assert ["fraud-2"] == [entry.version for entry in rejected]
    assert "run kubectl tidemill retry fraud to try it again" in message(service(rejected=rejected))


def test_a_version_of_another_name_with_the_same_digest_is_rejected_too() -> None:
    rejected = verdicts.after(service(), ended(version="fraud-2-again"), NOW)

    assert "rejected by this service (quality: 0.7 is too low)" in message(service(rejected=rejected))


def test_a_history_of_an_earlier_release_is_carried_over() -> None:
    assert message(service(ended(), rejected=None))
    assert "" == message(service(ended(), rejected=()))


def test_rejections_outlive_the_history_and_are_bounded() -> None:
    rejected: tuple[Rejection, ...] = ()
    for number in range(verdicts.MAX_REJECTIONS + 5):
        outcome = ended(version=f"v{number}", digest=f"sha256:{number:064x}")
        rejected = verdicts.after(service(rejected=rejected), outcome, NOW)

    assert verdicts.MAX_REJECTIONS == len(rejected)
    assert "v68" == rejected[0].version


@pytest.mark.parametrize(
    ("retry", "lifted"),
    [
        ("fraud-2/2026-01-05T12:00:00Z", True),
        ("fraud-2/2026-01-05T13:00:00+01:00", True),
        ("fraud-2/2026-01-05T11:00:00Z", False),
        ("fraud-3/2026-01-05T12:00:00Z", False),
        ("fraud-2/2099-01-01T00:00:00Z", False),
        ("fraud-2/2026-01-05T12:00:00", False),
        ("fraud-2", False),
        ("fraud-2/now", False),
    ],
)
def test_a_person_lifts_the_rejections_of_a_version_until_a_time(retry: str, lifted: bool) -> None:
    rejected = verdicts.after(service(), ended(), NOW)

    assert lifted == ("" == message(service(rejected=rejected, RETRY=retry)))


def test_a_retry_is_answered_once() -> None:
    asked = service(RETRY="fraud-2/2026-01-05T12:00:00Z")
    again = verdicts.after(asked, ended(minutes_ago=-5), NOW + timedelta(minutes=5))

    assert ["fraud-2"] == [entry.version for entry in again]


def test_an_abort_that_is_still_asked_for_stands_against_a_retry() -> None:
    both = service(ABORT="fraud-2", RETRY="fraud-2/2026-01-05T12:00:00Z")

    assert "aborted by annotation tidemill.dev/abort" in message(both)


def test_a_promotion_ends_the_rejection_of_an_earlier_try() -> None:
    rejected = verdicts.after(service(), ended(), NOW)

    assert () == verdicts.after(service(rejected=rejected), ended(outcome="Promoted", reason="Promoted"), NOW)


@pytest.mark.parametrize("reason", sorted(verdicts.SURROUNDINGS))
def test_a_failure_of_the_surroundings_is_no_verdict_and_is_tried_again(reason: Reason) -> None:
    failed = ended(reason=reason)
    waiting = service(failed)

    assert () == verdicts.after(service(), failed, NOW)
    assert "tried again at 2026-01-05T12:04:00Z" == message(waiting)
    assert "" == message(waiting, NOW + timedelta(minutes=4))


def test_each_failure_of_the_surroundings_doubles_the_pause_up_to_an_hour() -> None:
    pauses = []
    for count in range(1, 7):
        failures = [ended(reason=Reason.UNSCHEDULABLE, minutes_ago=float(ago)) for ago in range(count)]
        result = verdicts.objection(service(*failures), BAD, NOW)
        assert result is not None and result.until is not None
        pauses.append((result.until - NOW) / timedelta(minutes=1))

    assert [5, 10, 20, 40, 60, 60] == pauses


def test_an_edit_of_the_spec_and_a_person_end_the_pause() -> None:
    failed = ended(reason=Reason.OUT_OF_MEMORY, generation=2)

    assert message(service(failed))
    assert "" == message(service(failed, generation=3))
    assert "" == message(service(failed, RETRY="fraud-2/2026-01-05T12:00:00Z"))


def test_a_version_is_rolled_out_as_soon_as_its_quarantine_is_lifted() -> None:
    assert "" == message(service(ended(reason=Reason.QUARANTINED)))
