from datetime import UTC, datetime, timedelta

from tidemill.api.inferenceservice import Analysis, AnalysisMetric, Rollout, RolloutStatus, Step
from tidemill.contract import Arm
from tidemill.plan.analysis import Pair
from tidemill.plan.rollout import Candidate, Turn, advance, begin

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
READY = Candidate(ready=1)
SPEC = Rollout(
    steps=(Step(weight=10, pause="30s"), Step(weight=50, pause="30s")),
    analysis=Analysis(
        interval="10s", failure_limit=1, metrics=(AnalysisMetric(name="errors", type="ErrorRate", maximum=0.01),)
    ),
)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def pair(requests: int = 100, errors: int = 0) -> Pair:
    return Pair(Arm(version="", digest=""), Arm(version="", digest="", requests=requests, errors=errors), 0, 0)


def play(spec: Rollout, moments: list[tuple[float, Pair]], candidate: Candidate = READY) -> list[Turn]:
    """The turns of a rollout that begins NOW, one at each moment."""
    status, turns = begin("v2", NOW), []
    for seconds, seen in moments:
        turn = advance(spec, status, candidate, seen, after(seconds))
        turns.append(turn)
        status = turn.status
    return turns


def test_a_candidate_that_is_not_ready_gets_no_weight() -> None:
    turn = advance(SPEC, begin("v2", NOW), Candidate(), pair(), after(5))

    assert (0, "Starting") == (turn.status.weight, turn.status.phase)


def test_a_good_candidate_climbs_and_is_promoted() -> None:
    turns = play(SPEC, [(5, pair()), (20, pair()), (36, pair()), (50, pair()), (67, pair())])

    assert [10, 10, 50, 50, 50] == [turn.status.weight for turn in turns]
    assert ["GoOn", "GoOn", "GoOn", "GoOn", "Promote"] == [turn.verdict for turn in turns]


def test_one_failed_judgement_is_forgiven_and_a_second_one_is_not() -> None:
    turns = play(SPEC, [(5, pair()), (16, pair(errors=50)), (27, pair(errors=50))])

    assert ["GoOn", "GoOn", "RollBack"] == [turn.verdict for turn in turns]
    assert turns[-1].reason == "errors"


def test_too_little_traffic_pauses_at_the_end_of_the_step_and_never_promotes() -> None:
    turns = play(SPEC, [(5, pair(0)), (36, pair(0)), (300, pair(0)), (900, pair(0))])

    assert ["Progressing", "Paused", "Paused", "Paused"] == [turn.status.phase for turn in turns]


def test_a_paused_rollout_goes_on_when_there_is_enough_to_judge_by() -> None:
    turns = play(SPEC, [(5, pair(0)), (36, pair(0)), (60, pair(100))])

    assert (50, "Progressing") == (turns[-1].status.weight, turns[-1].status.phase)


def test_inconclusive_can_mean_rollback_or_go_on() -> None:
    moments = [(5.0, pair(0)), (36.0, pair(0))]

    assert play(SPEC.model_copy(update={"on_inconclusive": "Rollback"}), moments)[-1].verdict == "RollBack"
    assert play(SPEC.model_copy(update={"on_inconclusive": "Continue"}), moments)[-1].status.weight == 50


def test_a_crashing_candidate_is_rolled_back_whatever_its_numbers_say() -> None:
    turn = advance(SPEC, begin("v2", NOW), Candidate(ready=1, restarts=2, trouble="OOMKilled"), pair(), after(5))

    assert ("RollBack", "CandidateCrashed") == (turn.verdict, turn.reason)
    assert "OOMKilled" in turn.message


def test_a_candidate_that_never_gets_ready_is_rolled_back() -> None:
    turn = advance(SPEC, begin("v2", NOW), Candidate(), pair(), after(200))

    assert ("RollBack", "CandidateNotReady") == (turn.verdict, turn.reason)


def test_a_rollout_has_a_deadline() -> None:
    status: RolloutStatus = begin("v2", NOW)
    turn = advance(SPEC.model_copy(update={"deadline": "10m"}), status, READY, pair(), after(601))

    assert ("RollBack", "DeadlineExceeded") == (turn.verdict, turn.reason)
