"""The examples in the docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

from tidemill.runtime import monitor, profile, receive

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (monitor, profile, receive)
    for module in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))

    assert 0 == results.failed
