"""The examples in the docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

import tidemill

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tidemill.__path__, "tidemill.")
    # These do something when they are imported.
    if not module.name.endswith((".__main__", ".warm"))
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))

    assert 0 == results.failed
