"""Settings, and who learns which parameter."""

from collections import Counter

import pytest
import torch
from torch import nn

from ptheta.errors import FitError
from ptheta.models import ZOO, Counting
from ptheta.spaces import Discrete, Image, Label, Sequence
from ptheta.training import Settings
from ptheta.training.optimisers import optimisers, set_rate
from ptheta.training.precision import autocast

NEURAL = [name for name, row in ZOO.items() if not issubclass(row.load(), Counting)]
SPACES = [Discrete((3,), 3), Image(2, 2, levels=4), Sequence(4, 3)]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize(
    ("name", "space"),
    [
        pytest.param(name, space, id=f"{name}-{space.kind}")
        for name in NEURAL
        for space in SPACES
        if isinstance(space, ZOO[name].load().spaces)
    ],
)
def test_every_parameter_is_held_by_exactly_one_optimiser(name, optimizer, space):
    model = ZOO[name].load()(space, Label(("cat", "dog")), **ZOO[name].small)
    many = optimisers(model, Settings.of(model, optimizer=optimizer))
    held = Counter(id(p) for o in many for group in o.param_groups for p in group["params"])
    assert held == Counter(id(p) for p in model.parameters() if p.requires_grad)


def test_frozen_parameters_are_held_by_nobody():
    model = ZOO["made"].load()(SPACES[0], **ZOO["made"].small)
    model.out.requires_grad_(False)
    held = {id(p) for o in optimisers(model, Settings()) for g in o.param_groups for p in g["params"]}
    assert not held & {id(p) for p in model.out.parameters()}
    assert held


def test_muon_takes_the_matrices_inside_blocks_and_nothing_else():
    model = ZOO["transformer"].load()(SPACES[1], **ZOO["transformer"].small)
    adamw, muon = optimisers(model, Settings(optimizer="muon"))
    assert isinstance(muon, torch.optim.Muon)
    taken = {id(p) for g in muon.param_groups for p in g["params"]}
    inside = {id(m.weight) for block in model.blocks for m in block.modules() if isinstance(m, nn.Linear)}
    assert taken == inside
    assert id(model.out.weight) in {id(p) for g in adamw.param_groups for p in g["params"]}


def test_only_weights_of_linear_layers_decay():
    model = ZOO["markov_mlp"].load()(SPACES[0], **ZOO["markov_mlp"].small)
    (adamw,) = optimisers(model, Settings(weight_decay=0.3))
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    for group in adamw.param_groups:
        for p in group["params"]:
            assert group["weight_decay"] == (0.3 if id(p) in linear else 0.0)


def test_one_rate_reaches_all_groups():
    model = ZOO["transformer"].load()(SPACES[1], **ZOO["transformer"].small)
    many = optimisers(model, Settings(optimizer="muon"))
    set_rate(many, 0.125)
    assert {g["lr"] for o in many for g in o.param_groups} == {0.125}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0; give at least 1"),
        ({"accumulate": 0}, "accumulate is 0; give at least 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give a number above 0"),
        ({"average": 1.0}, "average is 1.0; give a number from 0 to below 1"),
        ({"hold": 1.0}, "hold is 1.0; give a number from 0 to below 1"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds is -1.0; give a number of at least 0"),
        ({"optimizer": "adam"}, "no optimizer is called 'adam'; did you mean adamw?"),
        ({"precision": "float31"}, "no precision is called 'float31'; did you mean float32?"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, said):
    with pytest.raises(FitError) as caught:
        Settings(**setting)
    assert str(caught.value) == said


def test_a_family_recipe_is_the_default_and_none_counts_as_not_given():
    model = ZOO["transformer"].load()(SPACES[1], **ZOO["transformer"].small)
    assert Settings.of(model).optimizer == "muon"
    assert Settings.of(model, optimizer=None, batch_size=7) == Settings.of(model, batch_size=7)
    assert Settings.of(model, optimizer="adamw").optimizer == "adamw"


def test_native_precision_is_bfloat16_only_where_the_processor_has_it(monkeypatch):
    for capable in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda capable=capable: {"avx512_bf16": capable})
        with autocast("native", "cpu")():
            assert torch.is_autocast_enabled("cpu") == capable
        with autocast("auto", "cpu")():
            assert not torch.is_autocast_enabled("cpu")
