"""The words of a person to a rollout, with a kubectl that is a script on the PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KUBECTL = """\
#!{python}
import json, pathlib, sys
here = pathlib.Path({folder!r})
with (here / "said").open("a") as said:
    print(json.dumps(sys.argv[1:]), file=said)
if "get" in sys.argv:
    print((here / "service.json").read_text())
"""


class Desk:
    """A folder with a kubectl that knows one service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL.format(python=sys.executable, folder=str(folder)))
        kubectl.chmod(0o755)

    def under_way(self, **rollout: Any) -> None:
        self.status({"rollout": {"version": "fraud-2", "phase": "Progressing", **rollout}})

    def status(self, status: dict[str, Any]) -> None:
        (self.folder / "service.json").write_text(json.dumps({"status": status}))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from tidemill.cli.main import main; main()", *arguments]
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    @property
    def annotated(self) -> list[list[str]]:
        said = (self.folder / "said").read_text().splitlines() if (self.folder / "said").exists() else []
        return [line for line in map(json.loads, said) if "annotate" in line]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.under_way(step=1)
    return made


WORDS = {
    "promote lets the candidate leave the stage it is in": (("promote", "fraud"), "tidemill.dev/promote=fraud-2/2"),
    "promote --full skips all that is left": (("promote", "fraud", "--full"), "tidemill.dev/promote=fraud-2"),
    "abort names the candidate": (("abort", "fraud"), "tidemill.dev/abort=fraud-2"),
    "pause names the candidate": (("pause", "fraud"), "tidemill.dev/pause=fraud-2"),
    "resume takes the pause away": (("resume", "fraud"), "tidemill.dev/pause-"),
}


@pytest.mark.parametrize("case", WORDS)
def test_a_word_becomes_an_annotation(desk: Desk, case: str) -> None:
    command, annotation = WORDS[case]

    done = desk.run(*command)

    assert 0 == done.returncode, done.stderr
    assert [
        [
            "annotate",
            "inferenceservices.tidemill.dev/fraud",
            annotation,
            "--overwrite",
            "--field-manager=kubectl-tidemill",
        ]
    ] == desk.annotated


def test_the_namespace_and_the_context_are_kubectls(desk: Desk) -> None:
    desk.run("abort", "fraud", "-n", "shop", "--context", "test")

    assert ["--context", "test", "--namespace", "shop"] == desk.annotated[0][:4]


@pytest.mark.parametrize("command", ["promote", "abort", "pause"])
@pytest.mark.parametrize("phase", ["", "Promoting", "RollingBack"])
def test_there_is_nothing_to_say_where_no_candidate_is_on_trial(desk: Desk, command: str, phase: str) -> None:
    if phase:
        desk.under_way(phase=phase)
    else:
        desk.status({})

    done = desk.run(command, "fraud")

    assert (1, []) == (done.returncode, desk.annotated)
    assert done.stderr


def test_a_candidate_that_is_not_ready_has_no_stage_to_leave(desk: Desk) -> None:
    desk.under_way(phase="Starting", step=0)

    assert desk.run("promote", "fraud").returncode != 0
    assert 0 == desk.run("promote", "fraud", "--full").returncode
    assert "tidemill.dev/promote=fraud-2" in desk.annotated[0]
