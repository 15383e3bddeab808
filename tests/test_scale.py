"""The size of a network and of its batches that a budget in minutes is given."""

import numpy as np
import pytest
import torch

import ptheta
from ptheta.errors import UsageError
from ptheta.fitting.affording import Affording
from ptheta.fitting.means import Means
from ptheta.fitting.networks import _can_be_built, suit
from ptheta.fitting.scale import enough_steps, smaller_networks
from ptheta.models import ZOO, Counting, family
from ptheta.reporting.report.about import fit_command
from ptheta.spaces import Image, Real, Table
from ptheta.spaces.table import Column
from ptheta.training import World
from ptheta.training.cost import Cost, Estimate

CPU = torch.device("cpu")
TABLE = Table((Column("colour", 3), Column("height")))
ALONE = World(0, 1, CPU)
DATA = ptheta.load(np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8))


@pytest.fixture
def paced(monkeypatch):
    """An event takes a step as many milliseconds as the network is wide times its layers; which networks were tried."""
    tried = []

    def at(self, space, x=None, *, cheaply=False):
        own = self.build(space.reduced(4) or space).hyperparameters()
        tried.append((own["width"], own["layers"]))
        pace = own["width"] * own["layers"] / 1000
        return Cost(1e3, 4e3, 0.0, 0.0, 1e3, 0.0, pace, 0.0, 1)

    monkeypatch.setattr(Estimate, "at", at)
    monkeypatch.setattr("ptheta.fitting.networks.is_easy", lambda *_: False)
    return tried


def affording(seconds, hyperparameters=None, given=(), shrinks=True, processes=1):
    cls = family("pixelcnn").load()
    means = Means(1e12, seconds, shrinks, True, processes, enough_steps(seconds) if seconds else 64)
    return Affording(
        cls, lambda space, own: cls(space, None, **own), hyperparameters or {}, {}, DATA, CPU, means, given
    )


def test_smaller_networks_are_parts_of_the_recipe_and_every_family_can_be_built_so():
    found = [own for _, own in smaller_networks(family("pixelcnn").load(), {"reach": 3}, ())]
    assert [(own["width"], own["layers"], own["reach"]) for own in found] == [(48, 6, 3), (32, 4, 3), (24, 3, 3)]
    kinds = [row.load() for row in ZOO.values() if not issubclass(row.load(), Counting)]
    assert len(kinds) >= 6
    for cls in kinds:
        sizes = list(smaller_networks(cls, {}, ()))
        assert sizes, cls
        space = next(s for s in (Image(4, 4, 1, 8), Real((4,)), TABLE) if isinstance(s, cls.spaces))
        counts = [sum(p.numel() for p in cls(space, None, **own).parameters()) for own in ({}, *(s for _, s in sizes))]
        assert counts == sorted(counts, reverse=True)
        assert len(set(counts)) == len(counts)


def test_the_size_of_a_network_that_was_asked_for_stays(paced):
    assert list(smaller_networks(family("pixelcnn").load(), {"width": 64}, {"width"})) == []
    assert suit(affording(0.001, given={"layers"}), ALONE) == ([], [])
    assert suit(affording(None), ALONE) == ([], [])
    assert paced == []


@pytest.mark.parametrize(
    ("width", "layers", "tried"),
    [(64, 8, [(24, 3), (64, 8)]), (48, 6, [(24, 3), (48, 6)]), (32, 4, [(24, 3), (32, 4)]), (24, 3, [(24, 3)])],
)
def test_the_largest_network_of_which_enough_steps_fit_is_chosen(width, layers, tried, paced):
    """By the model of costs above, a step of 4 events takes 4 · width · layers milliseconds."""
    seconds = np.interp(4 * width * layers / 1000 * 1.01, *table_of_times())
    asked = affording(seconds)
    names, said = suit(asked, ALONE)
    own = {"width": 64, "layers": 8} | asked.hyperparameters
    assert (own["width"], own["layers"]) == (width, layers)
    assert paced == tried
    assert (names, bool(said)) == (([], False) if width == 64 else (["width", "layers"], True))
    if said:
        assert said[0].startswith(f"width {width} and layers {layers} instead of 64 and 8, so that about ")
        assert said[0].endswith("--width and --layers choose another size")


def table_of_times():
    """Seconds of a step → seconds of learning in which enough of them fit."""
    times = np.geomspace(1, 1e7, 2000)
    return [t / enough_steps(t) for t in times], times


def test_a_network_that_is_still_too_large_is_the_smallest(paced):
    asked = affording(1.0)
    suit(asked, ALONE)
    assert (asked.hyperparameters["width"], asked.hyperparameters["layers"]) == (24, 3)
    assert paced == [(24, 3)], "the others would not do, and were not tried"


def test_a_batch_that_was_asked_for_stays_and_networks_are_smaller_for_it(paced):
    seconds = np.interp(4 * 32 * 4 / 1000 * 1.01, *table_of_times())
    asked = affording(seconds, shrinks=False)
    suit(asked, ALONE)
    assert asked.hyperparameters["width"] == 24, "its batches are those of the recipe"


def test_all_processes_take_what_the_first_one_chose(paced):
    class Second(World):
        def first(self, value):
            return {"sizes": {"width": 24, "layers": 3}, "said": "chosen"}

    asked = affording(1e6)
    assert suit(asked, Second(1, 2, CPU)) == (["width", "layers"], ["chosen"])
    assert asked.hyperparameters == {"width": 24, "layers": 3}
    assert paced == []


def test_what_was_chosen_is_noted_and_chosen_again(tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.fitting.means.enough_steps", lambda seconds: 1e6)
    monkeypatch.setattr("ptheta.fitting.networks.is_easy", lambda *_: False)
    run = ptheta.fit("made", DATA, minutes=0.1, out=tmp_path / "run")
    assert run.config["model"]["hyperparameters"]["width"] < 512
    assert run.plan()["settled"] == ["width", "layers", "batch_size"]
    assert any(note.startswith("width ") and "choose another size" in note for note in run.notes)
    assert "--width" not in fit_command(run)
    asked = ptheta.fit("made", DATA, minutes=0.05, out=tmp_path / "asked", hyperparameters={"width": 500})
    assert asked.config["model"]["hyperparameters"]["width"] == 500


def test_a_network_that_is_so_small_that_it_needs_no_estimate_is_chosen_too(paced, monkeypatch):
    monkeypatch.setattr("ptheta.fitting.networks.is_easy", lambda model, batch: model.hyperparameters()["width"] < 64)
    asked = affording(1.0)
    names, said = suit(asked, ALONE)
    assert names == ["width", "layers"]
    assert "about" in said[0]


def test_sizes_that_are_no_whole_numbers_or_that_a_family_refuses_stay(paced):
    class Own(family("made").load()):
        def __init__(self, space, context_space=None, *, width: int = 1024, layers: tuple = (2,)):
            if width % 512:
                raise UsageError(f"width is {width}", "give a multiple of 512")
            super().__init__(space, context_space, width=width, layers=layers[0])
            self.layers = layers

    assert [own for _, own in smaller_networks(Own, {}, ())] == [{"width": 768}, {"width": 512}, {"width": 384}]
    means = Means(1e12, 1e-3, True, True, 1, 1000)
    asked = Affording(Own, lambda space, own: Own(space, None, **own), {}, {}, DATA, CPU, means)
    assert _can_be_built(asked, {"width": 512})
    assert not _can_be_built(asked, {"width": 768})
