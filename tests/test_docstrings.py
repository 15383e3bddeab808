"""Every example in a docstring is true."""

import doctest
import importlib
import pkgutil

import ptheta

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(ptheta.__path__, "ptheta.") if not module.name.endswith("__main__")
)


def test_every_module_is_imported_and_its_examples_run():
    results = {name: doctest.testmod(importlib.import_module(name)) for name in MODULES}
    assert {name: result for name, result in results.items() if result.failed} == {}
    assert sum(result.attempted for result in results.values()) > 20
