"""Timestamps as the API server takes them, also where a calendar has its ends."""

from __future__ import annotations

from datetime import datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from tidemill.api.base import Timestamp

timestamps: TypeAdapter[datetime] = TypeAdapter(Timestamp)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_timestamp_outside_of_the_calendar_is_a_value_that_does_not_parse(text: str) -> None:
    with pytest.raises(ValidationError, match="between the years 1 and 9999"):
        timestamps.validate_python(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0999-12-31T23:59:59Z", "2026-01-02T03:04:05Z"])
def test_a_timestamp_is_written_as_it_was_read(text: str) -> None:
    assert f'"{text}"'.encode() == timestamps.dump_json(timestamps.validate_python(text))
