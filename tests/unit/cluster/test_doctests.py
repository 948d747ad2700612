"""The examples in the docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

import cluster

MODULES = [module.name for module in pkgutil.iter_modules(cluster.__path__) if module.name != "__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"cluster.{name}"))

    assert 0 == results.failed
