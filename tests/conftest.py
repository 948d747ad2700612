"""What all tests share: the option that writes golden files anew, and how properties are tried."""

import os

import hypothesis
import pytest

# No deadlines, since machines differ. Continuous integration tries the same examples each time: finding new ones is for
# people at work, who can follow them up.
hypothesis.settings.register_profile("tidemill", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tidemill")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden texts of the stories anew")
