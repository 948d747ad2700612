from datetime import UTC, datetime, timedelta

import pytest

from tidemill.api.analysis import JobProbe, PrometheusQuery
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import Analysis, AnalysisMetric, AnalysisResult, Rollout, RolloutStatus, Shadow, Step
from tidemill.contract.serving import Arm
from tidemill.plan.diagnosis import Problem
from tidemill.plan.inferenceservice.analysis import ExternalVerdict, VersionComparison
from tidemill.plan.inferenceservice.canary import (
    NO_CONTROL,
    CanaryDecision,
    CandidateState,
    ManualControl,
    advance,
    begin,
)
from tidemill.plan.inferenceservice.stages import stages

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
READY = CandidateState(ready=1)
SPEC = Rollout(
    steps=(Step(weight=10, pause="30s"), Step(weight=50, pause="30s")),
    analysis=Analysis(
        interval="10s", failure_limit=1, metrics=(AnalysisMetric(name="errors", type="ErrorRate", maximum=0.01),)
    ),
)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def pair(requests: int = 100, errors: int = 0) -> VersionComparison:
    return VersionComparison(
        Arm(version="", digest=""), Arm(version="", digest="", requests=requests, errors=errors), 0, 0
    )


def play(
    spec: Rollout, moments: list[tuple[float, VersionComparison]], candidate: CandidateState = READY
) -> list[CanaryDecision]:
    """The turns of a rollout that begins NOW, one at each moment."""
    status, turns = begin("v2", NOW), []
    for seconds, seen in moments:
        turn = advance(spec, status, candidate, seen, after(seconds))
        turns.append(turn)
        status = turn.status
    return turns


def test_a_candidate_that_is_not_ready_gets_no_weight() -> None:
    turn = advance(SPEC, begin("v2", NOW), CandidateState(), pair(), after(5))

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
    turn = advance(SPEC, begin("v2", NOW), CandidateState(ready=1, restarts=2, problem="OOMKilled"), pair(), after(5))

    assert ("RollBack", "CandidateCrashed") == (turn.verdict, turn.reason)
    assert "OOMKilled" in turn.message


def test_a_candidate_that_never_gets_ready_is_rolled_back() -> None:
    turn = advance(SPEC, begin("v2", NOW), CandidateState(unready_seconds=181.0), pair(), after(200))

    assert ("RollBack", "CandidateNotReady") == (turn.verdict, turn.reason)


def test_a_rollout_has_a_deadline() -> None:
    status: RolloutStatus = begin("v2", NOW)
    turn = advance(SPEC.model_copy(update={"deadline": "10m"}), status, READY, pair(), after(601))

    assert ("RollBack", "DeadlineExceeded") == (turn.verdict, turn.reason)


NO_ROOM = Problem(Reason.UNSCHEDULABLE, "the pod cannot be scheduled: 0/1 nodes are available; add one")
QUERY = AnalysisMetric(name="refunds", type="Prometheus", prometheus=PrometheusQuery(query="vector(1)"), maximum=0.05)
SMOKE = AnalysisMetric(name="smoke", type="Job", job=JobProbe(image="judge:1"))
UNHEARD = ExternalVerdict(message="nothing answers at http://prometheus:9090")
UNPLACED = ExternalVerdict(message="Job fraud-judge-1 does not run", problem=NO_ROOM)
IN_THE_WAY: dict[str, tuple[CandidateState, dict[str, ExternalVerdict], str]] = {
    "one of its pods finds no room": (CandidateState(ready=1, wanted=2, obstacle=NO_ROOM), {}, "Unschedulable"),
    "one of its pods has not started": (CandidateState(ready=1, wanted=2), {}, "Progressing"),
    "none of its pods has started": (CandidateState(), {}, "Progressing"),
    "one of its pods is not ready": (CandidateState(ready=1, wanted=2, unready_seconds=9.0), {}, "DeadlineExceeded"),
    "one of its pods crashed": (CandidateState(ready=1, wanted=2, restarts=1), {}, "DeadlineExceeded"),
    "its judge finds no room": (READY, {"smoke": UNPLACED}, "Unschedulable"),
    "its judge runs": (READY, {"smoke": ExternalVerdict(message="the Job is running")}, "DeadlineExceeded"),
    "its judge passed": (READY, {"smoke": ExternalVerdict(verdict="Successful")}, "DeadlineExceeded"),
    "Prometheus does not answer": (READY, {"refunds": UNHEARD}, "DependencyNotReady"),
    "Prometheus answers": (READY, {"refunds": ExternalVerdict(0.01)}, "DeadlineExceeded"),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_at_the_deadline_what_stood_in_the_way_decides(case: str) -> None:
    candidate, external, reason = IN_THE_WAY[case]
    analysis = SPEC.analysis.model_copy(update={"metrics": (QUERY, SMOKE)})
    spec = SPEC.model_copy(update={"deadline": "100s", "analysis": analysis})
    seen = VersionComparison(Arm(version="", digest=""), Arm(version="", digest=""), 0, 0, external)

    turn = advance(spec, begin("v2", NOW), candidate, seen, after(101))

    assert turn.message.startswith("the rollout did not end within 100s")
    assert ("RollBack", reason) == (turn.verdict, turn.reason)


def test_a_metric_that_fails_at_the_deadline_is_a_verdict_whatever_else_is_missing() -> None:
    analysis = SPEC.analysis.model_copy(update={"metrics": (*SPEC.analysis.metrics, SMOKE)})
    spec = SPEC.model_copy(update={"deadline": "60s", "analysis": analysis})
    failed = AnalysisResult(name="errors", verdict="Failed", failures=1)
    status = begin("v2", NOW).model_copy(update={"analysis": (failed,)})
    seen = VersionComparison(Arm(version="", digest=""), Arm(version="", digest=""), 0, 0, {"smoke": UNPLACED})

    turn = advance(spec, status, READY, seen, after(61))

    assert ("RollBack", "DeadlineExceeded") == (turn.verdict, turn.reason)


def parts(spec: Rollout) -> list[tuple[str, int, int, float, bool]]:
    return [(stage.phase, stage.weight, stage.shadow, stage.hold, stage.manual) for stage in stages(spec)]


STAGES: dict[str, tuple[Rollout, list[tuple[str, int, int, float, bool]]]] = {
    "a canary climbs": (SPEC, [("Progressing", 10, 0, 30, False), ("Progressing", 50, 0, 30, False)]),
    "a canary may begin with copies": (
        SPEC.model_copy(update={"shadow": Shadow(percent=20, duration="1m")}),
        [("Shadowing", 0, 20, 60, False), ("Progressing", 10, 0, 30, False), ("Progressing", 50, 0, 30, False)],
    ),
    "a step without a pause waits for a person": (
        Rollout(steps=(Step(weight=5),)),
        [("Progressing", 5, 0, 0, True)],
    ),
    "shadow is judged on copies": (Rollout(strategy="Shadow"), [("Shadowing", 0, 100, 300, False)]),
    "blue-green is judged on copies, switched, and kept": (
        Rollout(strategy="BlueGreen"),
        [("Shadowing", 0, 100, 300, False), ("Switched", 100, 0, 600, False)],
    ),
    "blue-green may stand dark, and keep nothing": (
        Rollout(strategy="BlueGreen", shadow=Shadow(percent=0, duration="10s"), keep_previous="0s"),
        [("Shadowing", 0, 0, 10, False)],
    ),
    "a canary may keep the previous version too": (
        Rollout(steps=(Step(weight=5, pause="1s"),), keep_previous="1h"),
        [("Progressing", 5, 0, 1, False), ("Switched", 100, 0, 3600, False)],
    ),
    "without autoPromote a person decides before the switch": (
        Rollout(strategy="BlueGreen", auto_promote=False),
        [("Shadowing", 0, 100, 300, True), ("Switched", 100, 0, 600, False)],
    ),
    "without autoPromote a person decides even where there is no stage": (
        Rollout(steps=(), auto_promote=False),
        [("Progressing", 0, 0, 0, True)],
    ),
}


@pytest.mark.parametrize("case", STAGES)
def test_the_strategy_decides_about_the_stages(case: str) -> None:
    spec, expected = STAGES[case]

    assert expected == parts(spec)


SHADOW = SPEC.model_copy(update={"strategy": "Shadow", "shadow": Shadow(duration="30s")})
BLUE_GREEN = SPEC.model_copy(update={"strategy": "BlueGreen", "shadow": Shadow(duration="30s"), "keep_previous": "60s"})


def test_a_shadowed_candidate_gets_copies_and_no_client() -> None:
    turns = play(SHADOW, [(5, pair()), (20, pair()), (36, pair())])

    assert [(0, 100), (0, 100), (0, 100)] == [(turn.status.weight, turn.status.shadow) for turn in turns]
    assert ["GoOn", "GoOn", "Promote"] == [turn.verdict for turn in turns]


def test_blue_green_switches_at_once_and_is_judged_on_after_it() -> None:
    turns = play(BLUE_GREEN, [(5, pair()), (36, pair()), (50, pair()), (97, pair())])

    assert [0, 100, 100, 100] == [turn.status.weight for turn in turns]
    assert ["Shadowing", "Switched", "Switched", "Switched"] == [turn.status.phase for turn in turns]
    assert turns[-1].verdict == "Promote"
    failed = play(BLUE_GREEN, [(5, pair()), (36, pair()), (50, pair(errors=50)), (61, pair(errors=50))])
    assert "RollBack" == failed[-1].verdict


def test_blue_green_switches_only_when_every_pod_of_the_candidate_is_ready() -> None:
    moments = [(5.0, pair()), (36.0, pair()), (50.0, pair())]

    turns = play(BLUE_GREEN, moments, CandidateState(ready=2, wanted=3))

    assert [0, 0, 0] == [turn.status.weight for turn in turns]
    assert "2 of 3" in turns[-1].status.message


def test_what_answers_everything_needs_no_further_proof_to_take_over() -> None:
    """Waiting for more would only keep its predecessor longer."""
    spec = BLUE_GREEN.model_copy(update={"on_inconclusive": "Rollback"})
    turns = play(spec, [(5, pair()), (36, pair()), (97, pair(0))])

    assert "Promote" == turns[-1].verdict


def by_hand(spec: Rollout, moments: list[tuple[float, ManualControl]]) -> list[CanaryDecision]:
    status, turns = begin("v2", NOW), []
    for seconds, hand in moments:
        turn = advance(spec, status, READY, pair(), after(seconds), hand)
        turns.append(turn)
        status = turn.status
    return turns


def test_a_person_lets_a_step_end_before_its_time() -> None:
    turns = by_hand(
        SPEC, [(5, NO_CONTROL), (16, NO_CONTROL), (27, ManualControl(released=1)), (38, ManualControl(released=1))]
    )

    assert [10, 10, 50, 50] == [turn.status.weight for turn in turns]


def test_a_pause_by_hand_holds_the_weight_and_does_not_count_for_the_deadline() -> None:
    spec = SPEC.model_copy(update={"deadline": "2m"})
    held = ManualControl(paused=True)
    turns = by_hand(
        spec, [(5, NO_CONTROL), (16, held), (1000, held), (1011, NO_CONTROL), (1022, NO_CONTROL), (1080, NO_CONTROL)]
    )

    assert [10, 10, 10, 50, 50, 50] == [turn.status.weight for turn in turns]
    assert "Paused" == turns[2].status.phase
    assert (None, 995) == (turns[3].status.waits_since, turns[3].status.waited_seconds)
    assert "Promote" == turns[-1].verdict


def test_the_deadline_goes_on_where_nobody_is_waited_for() -> None:
    spec = SPEC.model_copy(update={"deadline": "2m"})
    held = ManualControl(paused=True)

    turns = by_hand(
        spec, [(5, NO_CONTROL), (16, held), (1000, held), (1001, NO_CONTROL), (1011, NO_CONTROL), (1200, NO_CONTROL)]
    )

    assert ("RollBack", "DeadlineExceeded") == (turns[-1].verdict, turns[-1].reason)


def test_a_person_cannot_let_a_failing_candidate_go_on_step_by_step() -> None:
    status = play(SPEC, [(5, pair())])[-1].status

    turn = advance(SPEC, status, READY, pair(errors=50), after(16), ManualControl(released=1))

    assert (10, "GoOn") == (turn.status.weight, turn.verdict)


def at(weight: int, step: int, phase: str = "Progressing") -> RolloutStatus:
    """A candidate that was put on this step just now, and whose metrics are fine."""
    return begin("v2", NOW).model_copy(
        update={"phase": phase, "step": step, "weight": weight, "analysed_at": NOW, "step_started_at": NOW}
    )


def steps(*weights: tuple[int, str | None], **changes: object) -> Rollout:
    return SPEC.model_copy(update={"steps": tuple(Step(weight=w, pause=p) for w, p in weights), **changes})


EDITS: dict[str, tuple[RolloutStatus, Rollout, int, int]] = {
    "the share of the step is cut": (at(50, 1), steps((20, "20s"), (5, None)), 5, 1),
    "the step is gone": (at(50, 1), steps((10, "30s")), 10, 0),
    "the share is cut while it is paused": (at(50, 1, "Paused"), steps((20, "20s"), (5, None)), 5, 1),
    "steps are gone before a switch": (at(50, 1), steps((10, "30s"), keep_previous="10m"), 10, 0),
    "a share of everything is cut": (at(100, 1), steps((10, "30s"), (20, "30s")), 20, 1),
    "nothing is edited": (at(50, 1), SPEC, 50, 1),
}


@pytest.mark.parametrize(("status", "spec", "weight", "step"), EDITS.values(), ids=EDITS)
def test_steps_that_are_edited_change_the_traffic(status: RolloutStatus, spec: Rollout, weight: int, step: int) -> None:
    decision = advance(spec, status, READY, pair(), after(1))

    assert ("GoOn", weight, step) == (decision.verdict, decision.status.weight, decision.status.step)
    assert weight == 50 or f"{weight}%" in decision.status.message


def test_an_edited_step_applies_while_a_user_holds_the_candidate() -> None:
    decision = advance(
        steps((20, "20s"), (5, None)), at(50, 1, "Paused"), READY, pair(), after(1), ManualControl(paused=True)
    )

    assert 5 == decision.status.weight


def test_a_message_counts_the_steps_of_the_edited_spec() -> None:
    status = at(10, 0).model_copy(update={"message": "step 1 of 2: 10% of requests"})
    added = steps((10, "30s"), (30, "30s"), (50, "30s"))

    decision = advance(added, status, READY, pair(), after(1), ManualControl(edited=True))

    assert ("step 1 of 3: 10% of requests", NOW) == (decision.status.message, decision.status.step_started_at)


def test_a_candidate_whose_steps_are_all_removed_is_judged_once_more_and_then_promoted() -> None:
    waiting = advance(steps(), at(10, 0), READY, pair(), after(1), ManualControl(edited=True))
    promoted = advance(steps(), waiting.status, READY, pair(), after(11))

    assert ("GoOn", 10, "Promote") == (waiting.verdict, waiting.status.weight, promoted.verdict)
    assert "there are no more steps" in waiting.status.message


def test_a_candidate_that_answers_everything_is_promoted_if_no_stage_is_left() -> None:
    assert "Promote" == advance(steps(), at(100, 2, "Switched"), READY, pair(), after(1)).verdict


def test_a_shadow_whose_share_is_edited_copies_as_many() -> None:
    spec = Rollout(strategy="Shadow", shadow=Shadow(percent=20, duration="5m"), analysis=SPEC.analysis)
    status = at(0, 0, "Shadowing").model_copy(update={"shadow": 100})

    assert 20 == advance(spec, status, READY, pair(), after(1)).status.shadow


NO_ROOM = Problem(Reason.REFUSED, "ResourceQuota 'pods' is used up")


def test_a_candidate_without_room_is_not_judged_for_it() -> None:
    """A full cluster for three minutes, or for an hour, says nothing about a version."""
    spec = SPEC.model_copy(update={"deadline": "10m"})
    status = begin("v2", NOW)

    for seconds in (5, 200, 3600):
        decision = advance(spec, status, CandidateState(obstacle=NO_ROOM), pair(), after(seconds))
        status = decision.status
        assert ("GoOn", "Starting", "Refused") == (decision.verdict, status.phase, status.reason)
        assert "waiting for the candidate's pods: ResourceQuota 'pods' is used up" == status.message
        assert decision.wake is not None

    begun = advance(spec, status, READY, pair(), after(3610))
    assert ("GoOn", 10, "", 3605) == (
        begun.verdict,
        begun.status.weight,
        begun.status.reason,
        begun.status.waited_seconds,
    )


def test_a_pod_that_has_not_started_a_process_is_not_judged_for_it() -> None:
    """A slow pull of an image is not the model's."""
    status = begin("v2", NOW)
    early = advance(SPEC, status, CandidateState(), pair(), after(100))
    late = advance(SPEC, early.status, CandidateState(), pair(), after(200))

    assert ("GoOn", "") == (early.verdict, early.status.reason)
    assert ("GoOn", "Progressing") == (late.verdict, late.status.reason)
    assert "no pod of the candidate has started" in late.status.message


@pytest.mark.parametrize("phase", ["Progressing", "Shadowing", "Switched", "Paused"])
def test_a_candidate_that_loses_its_pods_to_the_surroundings_gives_its_share_back_and_begins_the_step_again(
    phase: str,
) -> None:
    status = at(10, 0, phase)
    lost = advance(SPEC, status, CandidateState(obstacle=NO_ROOM), pair(), after(100)).status
    back = advance(SPEC, lost, READY, pair(), after(160)).status

    assert ("Paused", 0, 0, "Refused") == (lost.phase, lost.weight, lost.shadow, lost.reason)
    assert ("Progressing", 10, "", after(160)) == (back.phase, back.weight, back.reason, back.step_started_at)


def test_a_candidate_whose_process_stops_being_ready_gives_its_share_back_and_is_rejected_in_the_end() -> None:
    status = at(10, 0)
    verdicts = []
    for unready in (0.0, 5.0, 30.0, 1.0, 181.0):
        decision = advance(SPEC, status, CandidateState(unready_seconds=unready), pair(), after(1))
        status = decision.status
        verdicts.append((decision.verdict, decision.reason, status.weight))

    kept, lost = ("GoOn", "", 10), ("GoOn", "", 0)
    assert [kept, kept, lost, lost, ("RollBack", "CandidateNotReady", 0)] == verdicts


def test_a_candidate_that_is_ready_again_is_no_longer_said_not_to_be() -> None:
    """As in a step without a share, which needs none given back."""
    spec = steps((0, "5m"))
    lost = advance(spec, at(0, 0), CandidateState(unready_seconds=30.0), pair(), after(30)).status

    back = advance(spec, lost, READY, pair(), after(31)).status

    assert "no pod of the candidate is ready" in lost.message
    assert ("", "step 1 of 1: 0% of requests") == (back.reason, back.message)
