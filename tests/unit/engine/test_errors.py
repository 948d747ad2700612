"""The one map from answers of the API server to what the engine knows how to go on from."""

from __future__ import annotations

import aiohttp
import pytest

from tidemill.engine import errors

MAP = {
    400: errors.Refused,
    401: errors.Unavailable,
    403: errors.Refused,
    404: errors.Missing,
    405: errors.Refused,
    409: errors.Conflict,
    410: errors.Expired,
    413: errors.Refused,
    422: errors.Invalid,
    429: errors.Unavailable,
    500: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}


@pytest.mark.parametrize(("status", "expected"), MAP.items())
def test_every_answer_has_its_place_in_the_tree(status: int, expected: type[errors.OperatorError]) -> None:
    assert expected is type(errors.from_answer(status, b"{}", "apply Job default/iris"))


def test_an_error_says_what_was_tried_and_what_the_server_said() -> None:
    problem = errors.from_answer(
        422, b'{"kind": "Status", "message": "Job is invalid: spec.template"}', "apply Job default/iris"
    )

    assert str(problem) == "apply Job default/iris: 422 Job is invalid: spec.template"


def test_an_answer_that_is_not_json_is_quoted() -> None:
    assert (
        str(errors.from_answer(502, b"<html>Bad gateway</html>", "list jobs"))
        == "list jobs: 502 <html>Bad gateway</html>"
    )


@pytest.mark.parametrize(("header", "seconds"), {"7": 7.0, "3600": 60.0, "-1": 0.0, "soon": 0.0, None: 0.0}.items())
def test_the_server_is_left_alone_for_as_long_as_it_asks_but_no_longer_than_a_minute(
    header: str | None, seconds: float
) -> None:
    problem = errors.from_answer(429, b"", "list jobs", retry_after=header)

    assert isinstance(problem, errors.Unavailable)
    assert seconds == problem.retry_after


@pytest.mark.parametrize("failure", [aiohttp.ClientPayloadError("cut"), TimeoutError(), ConnectionResetError("reset")])
def test_no_answer_at_all_is_a_reason_to_wait(failure: Exception) -> None:
    assert isinstance(failure, errors.UNREACHABLE)
    assert type(failure).__name__ in str(errors.from_failure(failure, "list jobs"))
