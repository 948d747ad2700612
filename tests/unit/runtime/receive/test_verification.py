"""Whose calls are taken, and which of them only look like it."""

import doctest
from pathlib import Path

import pytest

from tidemill.runtime.receive import payloads, verification
from tidemill.runtime.receive.verification import SIGNATURE, TIMESTAMP, sign, standing

NOW = 1767603600.0
BODY = b'{"status": "failing"}'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "hmac-key").write_text("key\n")
    return tmp_path


def signed(moment: float = NOW, key: bytes = b"key", body: bytes = BODY) -> dict[str, str]:
    return {TIMESTAMP: str(int(moment)), SIGNATURE: sign(key, str(int(moment)), body)}


CALLS: dict[str, tuple[str, dict[str, str]]] = {
    "the right token": ("Bearer", {"authorization": "Bearer t0ken"}),
    "a token in another case of the scheme": ("Bearer", {"authorization": "bearer t0ken"}),
    "the right signature of now": ("Signed", signed()),
    "a clock that is four minutes off": ("Signed", signed(NOW - 240)),
    "nothing": ("Refused", {}),
    "another token": ("Refused", {"authorization": "Bearer t0keN"}),
    "an empty token": ("Refused", {"authorization": "Bearer "}),
    "a token as basic authentication": ("Refused", {"authorization": "Basic t0ken"}),
    "a signature with another key": ("Refused", signed(key=b"other")),
    "a signature of another body": ("Refused", signed(body=b"{}")),
    "a signature with another moment": ("Refused", {**signed(), TIMESTAMP: str(int(NOW) + 1)}),
    "a signature without its moment": ("Refused", {SIGNATURE: signed()[SIGNATURE]}),
    "an old call sent again": ("Stale", signed(NOW - 301)),
    "a call from the future": ("Stale", signed(NOW + 301)),
    "a moment that is no number": ("Stale", {TIMESTAMP: "now", SIGNATURE: sign(b"key", "now", BODY)}),
    "a moment without an end": ("Stale", {TIMESTAMP: "9" * 400, SIGNATURE: sign(b"key", "9" * 400, BODY)}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_with(name: str, secret: Path) -> None:
    expected, headers = CALLS[name]

    assert expected == standing(headers, BODY, secret, NOW)


def test_without_a_secret_nobody_is_believed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")

    assert "NoSecret" == standing({"authorization": "Bearer "}, BODY, tmp_path, NOW)


def test_with_a_key_alone_no_token_is_taken_and_with_a_token_alone_no_signature(secret: Path) -> None:
    (secret / "token").unlink()
    assert "Refused" == standing({"authorization": "Bearer "}, BODY, secret, NOW)
    (secret / "token").write_text("t0ken")
    (secret / "hmac-key").unlink()
    assert "Refused" == standing(signed(key=b""), BODY, secret, NOW)


def test_a_secret_that_is_replaced_counts_at_once(secret: Path) -> None:
    (secret / "token").write_text("new")

    assert "Bearer" == standing({"authorization": "Bearer new"}, BODY, secret, NOW)


def test_the_examples_hold() -> None:
    assert [0, 0] == [doctest.testmod(module).failed for module in (payloads, verification)]
