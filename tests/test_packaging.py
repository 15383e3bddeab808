"""What is installed with ptheta is what it imports."""

import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import ptheta

ROOT = Path(__file__).parent.parent
PACKAGE = Path(ptheta.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _name(requirement: str) -> str:
    """The normalised name of a distribution, PEP 503."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


DECLARED = {_name(line) for line in PROJECT["dependencies"]}
EXTRAS = {_name(line) for lines in PROJECT["optional-dependencies"].values() for line in lines}


@functools.cache
def imported() -> dict[str, set[str]]:
    """Top-level module outside the standard library → files that import it."""
    found: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for top in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"ptheta"}:
                found.setdefault(top, set()).add(str(file.relative_to(PACKAGE)))
    return found


def test_what_is_imported_is_a_declared_dependency():
    distributions = packages_distributions()
    undeclared = {
        module: sorted(files)
        for module, files in imported().items()
        if not {_name(name) for name in distributions.get(module, [module])} & (DECLARED | EXTRAS)
    }
    assert undeclared == {}


def test_the_imports_that_are_looked_for_are_seen():
    assert {"torch", "numpy", "PIL", "huggingface_hub", "threadpoolctl"} <= imported().keys()


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (PACKAGE / "py.typed").is_file(), "PEP 561"


def test_constraints_pin_what_every_constrained_extra_names():
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"}
    free = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ptheta"]["without-constraints"]
    extras = PROJECT["optional-dependencies"]
    named = {_name(line) for name, lines in extras.items() if name not in free for line in lines}
    assert (DECLARED | named) - {"ptheta"} <= pinned
