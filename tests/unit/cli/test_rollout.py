"""The requests of a person about a rollout, with a kubectl that is a script on the PATH."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unit.cli.kubectl_script import FakeKubectl

AT = "2026-01-05T09:00:00Z"


def service(
    kubectl: FakeKubectl, *, annotations: dict[str, str] | None = None, suspend: bool = False, **rollout: Any
) -> None:
    """An InferenceService, with a rollout where it has a phase."""
    status = {"rollout": {"version": "fraud-2", "startedAt": AT, "stepStartedAt": AT, **rollout}} if rollout else {}
    spec = {"model": {"name": "fraud"}, "suspend": suspend}
    kubectl.know("InferenceService", "fraud", spec, status, annotations=annotations or {})


@pytest.fixture
def kubectl(tmp_path: Path) -> FakeKubectl:
    made = FakeKubectl(tmp_path)
    service(made, phase="Progressing", step=1)
    return made


REQUESTS = {
    "promote lets the candidate leave the stage it is in": (("promote", "fraud"), "tidemill.dev/promote=fraud-2/2"),
    "promote --full skips all that is left": (("promote", "fraud", "--full"), "tidemill.dev/promote=fraud-2"),
    "abort names the candidate": (("abort", "fraud"), "tidemill.dev/abort=fraud-2"),
    "pause names the candidate": (("pause", "fraud"), "tidemill.dev/pause=fraud-2"),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_becomes_an_annotation(kubectl: FakeKubectl, case: str) -> None:
    command, annotation = REQUESTS[case]

    done = kubectl.run(*command)

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("requested")
    assert [
        [
            "annotate",
            "inferenceservices.tidemill.dev/fraud",
            annotation,
            "--overwrite",
            "--field-manager=kubectl-tidemill",
        ]
    ] == kubectl.annotated


def test_resume_takes_the_pause_away(kubectl: FakeKubectl) -> None:
    service(kubectl, phase="Paused", annotations={"tidemill.dev/pause": "fraud-2"})

    done = kubectl.run("resume", "fraud")

    assert 0 == done.returncode, done.stderr
    assert "tidemill.dev/pause-" == kubectl.annotated[0][2]


def test_the_namespace_and_the_context_are_kubectls(kubectl: FakeKubectl) -> None:
    kubectl.run("abort", "fraud", "-n", "shop", "--context", "test")

    assert ["--context", "test", "--namespace", "shop"] == kubectl.annotated[0][:4]


@pytest.mark.parametrize("command", ["promote", "abort", "pause", "resume"])
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, "no rollout in progress"),
        ({"phase": "RollingBack"}, "is being rolled back already"),
    ],
    ids=str,
)
def test_a_request_without_effect_is_refused(
    kubectl: FakeKubectl, command: str, state: dict[str, Any], reason: str
) -> None:
    service(kubectl, **state)

    done = kubectl.run(command, "fraud")

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert reason in done.stderr
    assert "" == done.stdout


@pytest.mark.parametrize("command", ["promote", "pause", "resume"])
def test_a_rollout_of_a_suspended_service_can_only_be_aborted(kubectl: FakeKubectl, command: str) -> None:
    service(kubectl, phase="Progressing", suspend=True)

    done = kubectl.run(command, "fraud")

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert "is suspended" in done.stderr
    assert 0 == kubectl.run("abort", "fraud").returncode


def rolled_back(kubectl: FakeKubectl, **annotations: str) -> None:
    """A service that rolled fraud-2 back and fraud-1 before it; the second one when this machine's clock was not there yet."""
    outcome = {"outcome": "RolledBack", "reason": "Aborted", "startedAt": AT}
    history = [
        {**outcome, "version": "fraud-2", "at": "2099-01-05T09:00:00Z"},
        {**outcome, "version": "fraud-1", "at": AT},
    ]
    spec = {"model": {"name": "fraud"}}
    kubectl.know("InferenceService", "fraud", spec, {"history": history, "rejected": []}, annotations=annotations)


def test_retry_names_the_version_rolled_back_last_and_a_time_that_its_verdict_does_not_survive(
    kubectl: FakeKubectl,
) -> None:
    rolled_back(kubectl)

    done = kubectl.run("retry", "fraud")

    assert 0 == done.returncode, done.stderr
    assert ["tidemill.dev/retry=fraud-2/2099-01-05T09:00:00Z", "--overwrite"] == kubectl.annotated[0][2:4]


def test_retry_takes_an_abort_back_in_the_same_request(kubectl: FakeKubectl) -> None:
    rolled_back(kubectl, **{"tidemill.dev/abort": "fraud-1"})

    done = kubectl.run("retry", "fraud", "--version", "fraud-1")

    assert 0 == done.returncode, done.stderr
    assert kubectl.annotated[0][2].startswith("tidemill.dev/retry=fraud-1/20")
    assert "tidemill.dev/abort-" == kubectl.annotated[0][3]


@pytest.mark.parametrize("options", [(), ("--version", "fraud-3")], ids=str)
def test_retry_is_refused_where_nothing_was_rolled_back(kubectl: FakeKubectl, options: tuple[str, ...]) -> None:
    if options:
        rolled_back(kubectl)

    done = kubectl.run("retry", "fraud", *options)

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert "there is nothing to try again" in done.stderr


@pytest.mark.parametrize("command", ["promote", "pause", "resume"])
def test_a_promotion_can_only_be_aborted(kubectl: FakeKubectl, command: str) -> None:
    service(kubectl, phase="Promoting")

    done = kubectl.run(command, "fraud")

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert "is being promoted already" in done.stderr
    assert 0 == kubectl.run("abort", "fraud").returncode
    assert "tidemill.dev/abort=fraud-2" == kubectl.annotated[0][2]


PAUSED = {"tidemill.dev/pause": "fraud-2"}
FULL = {"tidemill.dev/promote": "fraud-2"}
HALF = {"tidemill.dev/promote": "fraud-2/2"}
WITHOUT_EFFECT: dict[str, tuple[str, dict[str, Any], str]] = {
    "pause a rollout that is paused": ("pause", {"annotations": PAUSED}, "is paused already"),
    "promote a rollout that is paused": ("promote", {"annotations": PAUSED}, "kubectl tidemill resume fraud first"),
    "promote twice": ("promote", {"annotations": HALF}, "may leave stage 2 already"),
    "promote in full twice": ("promote", {"annotations": FULL}, "is requested already"),
    "resume a rollout that is not paused": ("resume", {}, "was not paused by a person"),
    "resume a rollout that waits for promote": ("resume", {"phase": "Paused"}, "run kubectl tidemill promote fraud"),
    "resume another candidate": ("resume", {"annotations": {"tidemill.dev/pause": "fraud-1"}}, "was not paused"),
}


@pytest.mark.parametrize("case", WITHOUT_EFFECT)
def test_a_request_that_changes_nothing_is_refused(kubectl: FakeKubectl, case: str) -> None:
    command, state, reason = WITHOUT_EFFECT[case]
    service(kubectl, **{"phase": "Progressing", "step": 1, **state})

    done = kubectl.run(command, "fraud")

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert reason in done.stderr


def test_a_request_about_an_earlier_candidate_does_not_stand_in_the_way(kubectl: FakeKubectl) -> None:
    earlier = {"tidemill.dev/pause": "fraud-1", "tidemill.dev/promote": "fraud-1", "tidemill.dev/abort": "fraud-1"}
    service(kubectl, phase="Progressing", annotations=earlier)

    assert [0, 0] == [kubectl.run(command, "fraud").returncode for command in ("promote", "pause")]


def test_a_candidate_that_is_not_ready_has_no_stage_to_leave(kubectl: FakeKubectl) -> None:
    service(kubectl, phase="Starting", step=0)

    assert 1 == kubectl.run("promote", "fraud").returncode
    assert [] == kubectl.annotated
    assert 0 == kubectl.run("promote", "fraud", "--full").returncode
    assert "tidemill.dev/promote=fraud-2" in kubectl.annotated[0]


def test_a_service_that_does_not_exist_is_refused_in_kubectls_words(kubectl: FakeKubectl) -> None:
    done = kubectl.run("abort", "other")

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert "NotFound" in done.stderr
