"""What a serving process reads from its environment."""

from __future__ import annotations

import pytest

from tidemill.runtime.serve.server import ServerSettings


@pytest.mark.parametrize(("value", "loads"), [("yes", True), ("no", False)])
def test_bentoml_is_left_out_on_request(monkeypatch: pytest.MonkeyPatch, value: str, loads: bool) -> None:
    monkeypatch.setenv("TIDEMILL_BENTOML", value)

    assert loads is ServerSettings.from_environment().bentoml


def test_without_an_environment_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_BENTOML", raising=False)

    assert ServerSettings.from_environment().bentoml


@pytest.mark.parametrize(("variable", "value"), [("TIDEMILL_BENTOML", "maybe"), ("TIDEMILL_LOG_SECONDS", "often")])
def test_what_does_not_parse_is_an_error(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ValueError, match=value):
        ServerSettings.from_environment()


def test_numbers_are_read_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_RETENTION_FIRST_SECONDS", "0.5")
    monkeypatch.setenv("TIDEMILL_BATCH_ROWS", "7")

    settings = ServerSettings.from_environment()

    assert (0.5, 7) == (settings.retention_first_seconds, settings.batch_rows)
