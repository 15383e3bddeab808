"""Every example in a docstring is true."""

import doctest
import importlib
import pkgutil

import pytest

import ptheta

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(ptheta.__path__, "ptheta.") if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [e for name in MODULES for test in finder.find(importlib.import_module(name)) for e in test.examples]
    assert len(examples) > 20
