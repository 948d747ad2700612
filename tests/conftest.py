"""What all tests share: the option that writes golden files again, and how properties are tried."""

import os

import hypothesis
import pytest

# No deadlines, since machines differ. The same examples are tried each time, so that a change is judged by itself; finding
# new ones is the work of `make search`, whose findings somebody can follow up.
hypothesis.settings.register_profile("tidemill", deadline=None, derandomize="TIDEMILL_SEARCH" not in os.environ)
hypothesis.settings.load_profile("tidemill")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden texts of the stories anew")
