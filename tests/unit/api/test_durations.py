"""Durations: what may be written, and that no arithmetic can leave its range."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from tidemill.api.base import Duration
from tidemill.api.durations import delta, seconds

duration = TypeAdapter(Duration)
LONGEST = "9999d99999h999999m99999999s999999999ms"


@pytest.mark.parametrize("text", ["90s", "15m", "1h30m", "30d", "250ms", "0s", "1d12h", LONGEST])
def test_a_duration_is_written_from_days_to_milliseconds(text: str) -> None:
    assert text == duration.validate_python(text)


@pytest.mark.parametrize("text", ["", "5", "m", "1.5h", "-1h", "1w", "30m1h", "1h1h", "10000d", "1 h", "1H"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        duration.validate_python(text)


def test_the_longest_one_fits_into_the_seconds_of_a_job() -> None:
    assert seconds(LONGEST) < 2**31


def test_the_longest_one_can_be_added_to_and_taken_from_any_time_of_ours() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert now - delta(LONGEST) < now < now + delta(LONGEST)
