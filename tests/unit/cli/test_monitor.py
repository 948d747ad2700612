"""What a person asks of a monitor, with a kubectl that is a script on the PATH."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

WORDS = {
    "check": "tidemill.dev/check",
    "retrain": "tidemill.dev/retrain",
    "reset": "tidemill.dev/reset-circuit",
}


def run(
    folder: Path, *arguments: str, script: str = 'printf "%s\\n" "$@" > "$HOME/said"'
) -> subprocess.CompletedProcess[str]:
    kubectl = folder / "kubectl"
    kubectl.write_text(f"#!/bin/sh\n{script}\n")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    command = [sys.executable, "-c", "from tidemill.cli.main import main; main()", *arguments]
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_an_annotation_with_the_moment(word: str, tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    done = run(tmp_path, word, "fraud", "-n", "shop", "--context", "test")

    said = (tmp_path / "said").read_text().splitlines()
    expected = ["--context", "test", "--namespace", "shop", "annotate", "driftmonitors.tidemill.dev/fraud"]
    assert (0, expected) == (done.returncode, said[:6])
    annotation, _, moment = said[6].partition("=")
    assert WORDS[word] == annotation
    assert before <= datetime.fromisoformat(moment) <= datetime.now(UTC)
    assert "--overwrite" in said


def test_what_kubectl_refuses_is_passed_on(tmp_path: Path) -> None:
    done = run(tmp_path, "retrain", "fraud", script='echo "Error: no such monitor" >&2; exit 1')

    assert (1, "Error: no such monitor") == (done.returncode, done.stderr.strip())
