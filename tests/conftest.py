"""One thread: tiny tensors are faster on it, and bits do not depend on how many cores are free."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from rows import TOYS

import ptheta
from ptheta.models import ZOO

LONG = (
    "models/test_contract_sampling.py",
    "models/test_contract.py",
    "models/test_contract_completion.py",
    "fuzz/test_fuzz.py",
    "training/test_processes.py",
    "reporting/test_report_page.py",
    "test_run_folders.py",
    "models/test_contract_bounds.py",
    "judging/test_judging.py",
    "training/test_reverse_kl.py",
    "test_affording.py",
    "models/test_flow.py",
)
"""Files that take longest: they start first, so that no process is left alone with one of them."""


def pytest_collection_modifyitems(items):
    places = {Path(__file__).parent / name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish():
    gc.collect()
    gc.freeze()  # thousands of tests are no garbage, and need not be looked through for it again and again


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def toys(monkeypatch):
    """Families with a bound and without a density as rows of the zoo."""
    for name, row in TOYS.items():
        monkeypatch.setitem(ZOO, name, row)


def draw_walks(n: int, seed: int) -> np.ndarray:
    """Events [n, 4] with levels 0 … 2 in which each value depends on the one before it."""
    g = np.random.default_rng(seed)
    steps = g.choice([0, 0, 0, 1, 2], size=(n, 4))
    return (steps.cumsum(1) % 3).astype(np.uint8)


@pytest.fixture(scope="session")
def walks():
    """Makes other data of that kind: number of events, seed → array."""
    return draw_walks


@pytest.fixture(scope="session")
def data() -> "ptheta.Data":
    """A data set in memory."""
    return ptheta.load({"train": draw_walks(60, 0), "validation": draw_walks(20, 1), "test": draw_walks(30, 2)})


@pytest.fixture
def array_file(tmp_path):
    """The same kind of data in a file."""
    path = tmp_path / "walks.npy"
    np.save(path, draw_walks(80, 0))
    return path
