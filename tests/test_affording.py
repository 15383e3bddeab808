"""What a step takes is known before the first one, and what cannot fit is refused with numbers."""

import re

import numpy as np
import pytest
import torch

import ptheta
from ptheta.errors import FitError
from ptheta.fitting import affording
from ptheta.fitting.affording import Affording
from ptheta.fitting.means import Means
from ptheta.models import family
from ptheta.models.limits import Exceeded, Limited
from ptheta.spaces import Discrete, Image, Real, Sequence, Spectrogram
from ptheta.training import Settings
from ptheta.training import cost as costs
from ptheta.training.cost import Cost, Estimate, random_events
from ptheta.training.extrapolation import extrapolated
from ptheta.training.objectives.likelihood import LikelihoodLoss

CPU = torch.device("cpu")
SMALL = {"width": 16, "layers": 2}

CASES = [
    ("made", Image(12, 12, 1, 8), {"width": 64}),
    ("made", Real((40,)), {"width": 64}),
    ("markov_mlp", Sequence(60, 30), {"width": 32, "window": 4}),
    ("pixelcnn", Image(10, 14, 3), {**SMALL, "reach": 2}),
    ("pixelcnn", Spectrogram(20, 8), {**SMALL, "reach": 2}),
    ("transformer", Sequence(96, 50), {**SMALL, "heads": 2}),
    ("transformer", Image(8, 8, 1, 4), {**SMALL, "heads": 2, "any_order": True}),
    ("flow", Real((6,)), {"transforms": 2, "width": 16, "bins": 4}),
]


def estimate(name, limit=4e9, **hyperparameters):
    cls = family(name).load()
    return Estimate(lambda space: cls(space, None, **hyperparameters), {}, None, CPU, limit)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def kept_by(model, x):
    """Bytes of the distinct storages that a loss keeps for its backward pass, weights apart."""
    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers(), x]}
    held = {}

    def pack(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = LikelihoodLoss(model.train())(x)
    del loss
    return sum(size for place, size in held.items() if place not in own)


@pytest.mark.parametrize(("name", "space", "hyperparameters"), CASES, ids=lambda case: str(case)[:24])
def test_estimates_are_within_a_factor_of_two_of_what_a_step_keeps(name, space, hyperparameters):
    model = family(name).load()(space, None, **hyperparameters)
    x = random_events(space, 32)
    assert x is not None
    found = estimate(name, **hyperparameters).at(space)
    measured = kept_by(model, x)
    assert measured / 2 < found.fixed + 32 * found.each < 2 * measured
    assert found.weights == sum(p.nbytes for p in model.parameters())


@pytest.mark.parametrize(("name", "space", "hyperparameters"), CASES[:6], ids=lambda case: str(case)[:24])
def test_smaller_spaces_tell_of_larger_ones(name, space, hyperparameters, monkeypatch):
    truth = estimate(name, **hyperparameters).at(space)
    monkeypatch.setattr(costs, "TRIED", 0)
    monkeypatch.setattr(costs, "QUICK", 1e9)
    told = estimate(name, **hyperparameters)._extrapolated(space)
    assert told is not None
    assert not told.exact
    assert truth.each / 2 < told.each < 2 * truth.each
    assert truth.weights / 2 < told.weights < 2 * truth.weights


def test_polynomials_are_extrapolated_exactly():
    def cost(m):
        return 7 + 3 * m + 2 * m * m

    assert extrapolated({m: cost(m) for m in (4, 16, 64)}, 1000) == pytest.approx(cost(1000))
    assert extrapolated({4: 5.0, 16: 5.0, 64: 5.0}, 9999) == 5.0


def test_nothing_larger_than_the_limit_is_ever_allocated():
    with pytest.raises(Exceeded), Limited(2**20):
        torch.zeros(2**40)
    with pytest.raises(Exceeded), Limited(2**20):
        torch.ones(2**9)[:, None].add(torch.ones(2**14)[None])
    with pytest.raises(Exceeded):
        estimate("made", 1e9, width=200_000).at(Discrete((4,), 2))


def test_the_parameters_of_made_on_long_texts_are_known_without_building_it():
    found = estimate("made", width=16).at(Sequence(3000, 256))
    assert not found.exact
    truth = 3000 * 256 * (3000 * 256 + 16)  # direct and output weights, the rest is small
    assert found.parameters == pytest.approx(truth, rel=0.6)


def test_an_estimate_leaves_random_states_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    estimate("pixelcnn", **SMALL).at(Image(8, 8, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_moment_of_other_work_does_not_make_steps_look_slow(monkeypatch):
    """Of several measurements the least counts."""
    real, calls = Estimate._pass, []

    def disturbed(self, losses, x, context, limit, patience):
        kept, _ = real(self, losses, x, context, limit, patience)
        calls.append(len(x))
        busy = calls.count(len(x)) == 1  # the first pass over as many events
        return kept, (0.12 if busy else 0.001) * len(x)

    monkeypatch.setattr(Estimate, "_pass", disturbed)
    found = estimate("made", **SMALL).at(Image(6, 6, 1, 4))
    assert found.seconds(16) == pytest.approx(0.016 + found.update, rel=0.01)
    assert calls.count(1) == calls.count(4) == costs.REPEATS


def test_a_batch_is_made_smaller_only_if_steps_are_slow_twice(monkeypatch):
    data = ptheta.load("digits", limit=60)
    model = family("made").load()(data.space, None, **SMALL)
    measured = iter([cost(pace=10.0), cost(pace=0.01), cost(pace=10.0), cost(pace=8.0)])
    monkeypatch.setattr(Estimate, "at", lambda *_, **__: next(measured))
    monkeypatch.setattr("ptheta.fitting.affording.is_easy", lambda *_: False)
    for batch in (16, 4):
        affording = Affording.of_model(model, {}, data, CPU, Means(1e12, seconds=64 * 8 * 4))
        chosen, notes = affording._settled(model, Settings(batch_size=16))
        assert chosen.batch_size == batch
        assert bool(notes) == (batch < 16)


def test_what_is_learned_does_not_depend_on_the_estimate(tmp_path, monkeypatch):
    data = ptheta.load("digits", limit=60)
    runs = []
    for easy in (2**60, 0):
        monkeypatch.setattr(costs, "EASY", easy)
        runs.append(ptheta.fit("made", data, steps=4, out=tmp_path / str(easy), hyperparameters=SMALL))
    one, two = (run.model.state_dict() for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert runs[0].config["fit"] == runs[1].config["fit"]


def cost(**changed):
    given = {"parameters": 1e3, "weights": 4e3, "buffers": 0.0, "fixed": 0.0, "each": 1e6, "start": 0.0, "pace": 1.0}
    return Cost(**(given | {"update": 0.0, "scored": 1} | changed))


def test_batches_are_cut_for_memory_and_shrink_for_time():
    small = cost().memory(4)
    assert Means(small).plan(cost(), 16).parts == 4
    assert Means(small, parts=False).plan(cost(), 16).fits is False
    assert Means(1e12, seconds=64).plan(cost(), 16).batch == 2
    assert Means(1e12, seconds=30).plan(cost(), 16).batch == 1
    assert Means(1e12, seconds=64, wanted=8).plan(cost(), 16).batch == 8
    assert Means(1e12, seconds=200, wanted=640, fewest=6).plan(cost(), 16).batch == 8
    assert Means(1e12, seconds=200, wanted=640).plan(cost(), 16).batch == 2
    assert Means(1e12, seconds=1024).plan(cost(), 16).batch == 16
    assert Means(1e12, seconds=0.5).plan(cost(), 16).fits is False
    assert Means(1e12, seconds=64).plan(cost(update=100.0), 16).batch == 16  # fewer events would not help


@pytest.mark.parametrize(
    ("make", "model", "hyperparameters", "flag"),
    [
        (lambda: ptheta.load(noise(12, 150, 150, 3)), "pixelcnn", SMALL, r"size=\"\d+x\d+\" takes"),
        (lambda: ptheta.load("digits", limit=40), "made", {"width": 9000}, r"width=\d+ takes"),
        (lambda: ptheta.load("digits", limit=40), "made", {"width": 300_000}, r"width=\d+ takes"),
    ],
)
def test_refusals_carry_numbers_and_leave_nothing_behind(make, model, hyperparameters, flag, tmp_path):
    with pytest.raises(FitError) as caught:
        ptheta.fit(model, make(), steps=3, out=tmp_path / "run", memory=0.1, hyperparameters=hyperparameters)
    assert re.search(r"^[\d,]+ values an event: .*\d GB", caught.value.problem)
    assert "0.11 GB" in caught.value.problem
    assert re.search(flag, caught.value.remedy)
    assert not (tmp_path / "run").exists()


def test_a_model_far_beyond_the_machine_is_refused_before_a_part_of_its_size_is_allocated(monkeypatch):
    data = ptheta.load(np.random.default_rng(0).integers(0, 16, (12, 4, 4), dtype=np.uint8))
    huge = Cost(parameters=4e9, weights=1.6e10, buffers=0, fixed=0, each=1e6, start=0.1, pace=0.1, update=0.1, scored=1)
    monkeypatch.setattr(Estimate, "at", lambda *_, **__: huge)
    monkeypatch.setattr(affording, "CHEAP", 2**12)
    allowed, whole = [], Limited.__init__
    monkeypatch.setattr(Limited, "__init__", lambda self, most: (allowed.append(most), whole(self, most))[1])
    made = family("made").load()
    build = lambda space, hyperparameters: made(space, None, **hyperparameters)  # noqa: E731
    asked = Affording(made, build, {}, {}, data, CPU, Means(2**30))
    with pytest.raises(FitError, match=r"would have 4 billion parameters and its fit take"):
        asked.model()
    assert allowed == [2**12]


def test_the_remedy_works(tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.fitting.results.write_overview", lambda *_, **__: [])
    data = noise(12, 150, 150, 3)
    with pytest.raises(FitError) as caught:
        ptheta.fit("pixelcnn", ptheta.load(data), steps=1, out=tmp_path / "a", memory=0.1, hyperparameters=SMALL)
    size = re.search(r'size="(\d+x\d+)"', caught.value.remedy)
    assert size
    small = ptheta.load(data, size=size[1])
    ptheta.fit("pixelcnn", small, steps=1, out=tmp_path / "b", memory=0.1, hyperparameters=SMALL)


def test_a_step_longer_than_the_budget_is_refused(tmp_path):
    data = ptheta.load(np.zeros((12, 24, 24, 3), np.uint8))
    with pytest.raises(FitError, match=r"a step of .* would take .* and .*s, and .* GB and .* s of learning are"):
        ptheta.fit("pixelcnn", data, minutes=1e-6, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_memory_must_make_sense(tmp_path):
    with pytest.raises(FitError, match="memory is -1; give a number of GiB above 0"):
        ptheta.fit("made", "digits", steps=1, out=tmp_path / "run", memory=-1)
