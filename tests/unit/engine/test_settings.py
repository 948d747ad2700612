"""The table of settings, and what is made from it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from typer.testing import CliRunner

from tidemill import app
from tidemill.children.installation import Installation
from tidemill.cli.main import app as commands
from tidemill.engine.settings import MISSING, Setting, Settings, build, table

ROWS = {row.name: row for row in table()}
IMAGES = {"TIDEMILL_WORKLOAD_IMAGE": "workload", "TIDEMILL_SERVER_IMAGE": "server"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which the operator is started."""
    results: list[Settings] = []

    def run(settings: Settings) -> int:
        results.append(settings)
        return 0

    monkeypatch.setattr(app, "run", run)
    return results


def sample(row: Setting) -> tuple[str, Any]:
    """Another value than the default, as text and as it is meant."""
    if row.choices:
        return row.choices[-1], row.choices[-1]
    if row.type is bool:
        return "true", True
    if row.type in (int, float):
        return "7", row.type(7)
    if row.type == tuple[str, ...]:
        return "a,b", ("a", "b")
    return (":8080", ":8080") if row.name == "metrics_address" else ("other", "other")


def value_of(settings: Settings, row: Setting) -> Any:
    return getattr(settings.installation if row.is_of_installation else settings, row.name)


@pytest.mark.parametrize("name", ROWS)
def test_every_setting_has_an_environment_variable(name: str, started: list[Settings]) -> None:
    text, meant = sample(ROWS[name])

    done = CliRunner().invoke(commands(), ["controller"], env={**IMAGES, ROWS[name].variable: text})

    assert 0 == done.exit_code, done.output
    assert meant == value_of(started[0], ROWS[name])


@pytest.mark.parametrize("name", ROWS)
def test_every_setting_has_an_option(name: str, started: list[Settings]) -> None:
    text, meant = sample(ROWS[name])
    option = f"--{name.replace('_', '-')}"

    done = CliRunner().invoke(commands(), ["controller", option, *([] if meant is True else [text])], env=IMAGES)

    assert 0 == done.exit_code, done.output
    assert meant == value_of(started[0], ROWS[name])


def test_what_is_not_given_has_the_default_of_the_table(started: list[Settings]) -> None:
    assert 0 == CliRunner().invoke(commands(), ["controller"], env=IMAGES).exit_code

    assert [Settings(Installation("workload", "server"))] == started
    assert socket.gethostname() == started[0].identity


WRONG = {
    "--log-level": "LOUD",
    "--log-format": "xml",
    "--image-pull-policy": "Sometimes",
    "--metrics-address": "nine",
    "--workers": "0",
    "--burst": "0",
    "--resync-seconds": "1",
}


@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_value_is_refused_by_name(option: str, started: list[Settings]) -> None:
    done = CliRunner().invoke(commands(), ["controller", option, WRONG[option]], env=IMAGES)

    assert (2, []) == (done.exit_code, started)
    assert option in done.output


def test_images_must_be_given(started: list[Settings]) -> None:
    assert {"workload_image", "server_image"} == {name for name, row in ROWS.items() if row.default is MISSING}
    assert 2 == CliRunner().invoke(commands(), ["controller"], env={"TIDEMILL_SERVER_IMAGE": "x"}).exit_code


def test_the_address_of_the_metrics_is_read_as_host_and_port() -> None:
    def read(address: str) -> tuple[str, int]:
        settings = build({"workload_image": "w", "server_image": "s", "metrics_address": address})
        return settings.metrics_host, settings.metrics_port

    assert [("0.0.0.0", 9090), ("127.0.0.1", 0), ("::1", 80)] == [*map(read, (":9090", "127.0.0.1:0", "[::1]:80"))]


def test_every_help_is_a_sentence() -> None:
    assert [] == [row.name for row in ROWS.values() if not (row.help[0].isupper() and row.help.endswith("."))]
