"""What all tests share: the option that writes golden files anew, and no deadlines, since machines differ."""

import hypothesis
import pytest

hypothesis.settings.register_profile("tidemill", deadline=None)
hypothesis.settings.load_profile("tidemill")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden texts of the stories anew")
