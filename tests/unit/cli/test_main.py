"""The group of all commands."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tidemill.cli.commands import COMMANDS, PODS
from tidemill.cli.main import app

HEAVY = ("pydantic", "pyarrow", "numpy", "sklearn", "kopf", "kubernetes", "aiohttp", "bentoml", "yaml")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidemill", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_lists_every_command_of_people_and_none_of_pods() -> None:
    done = CliRunner().invoke(app(), ["--help"])
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}

    assert 0 == done.exit_code
    assert {name for name, entry in COMMANDS.items() if entry.panel != PODS} <= listed
    assert set() == {name for name, entry in COMMANDS.items() if entry.panel == PODS} & listed
    assert "Exit codes:" in done.stdout


def test_help_imports_no_library_of_a_command() -> None:
    code = f"""
import sys
from tidemill.cli.main import main
sys.argv = ["tidemill", "--help"]
try:
    main()
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if name != "serve"])
def test_every_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(app(), [name, "--help"])

    assert 0 == done.exit_code, done.output
    assert "Usage" in done.output


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if entry.panel and name != "serve"])
def test_the_help_of_a_command_documents_its_exit_codes(name: str) -> None:
    assert "Exit code" in CliRunner().invoke(app(), [name, "--help"]).output


def test_a_misspelt_command_is_answered_with_the_right_one() -> None:
    done = CliRunner().invoke(app(), ["promot"])

    assert 2 == done.exit_code
    assert "Did you mean 'promote'?" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",), ("version",)], ids=str)
def test_help_and_version_succeed(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert (0, "") == (done.returncode, done.stderr)
    assert "tidemill" in done.stdout
