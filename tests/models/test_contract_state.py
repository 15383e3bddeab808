"""What every model of the zoo must do: its state, its parameters and its visiting order; see `test_contract`."""

from __future__ import annotations

import contextlib
import copy
import inspect
import itertools
import json
from typing import Any

import pytest
import torch
from zoo_cases import (
    ALL,
    AUTOREGRESSIVE,
    ROWS,
    SPACES,
    Case,
    all_events,
    build,
    cases,
    contexts,
    each_context,
    every_model,
    model_of,
    only,
    random_events,
)

from ptheta.configs import build_model, describe_model
from ptheta.errors import SpaceError, UsageError
from ptheta.models import ZOO, Counting, Density, name_of, zoo
from ptheta.spaces import Real, Space
from ptheta.training import OBJECTIVES

# State


@every_model
def test_state_and_hyperparameters_make_the_same_model(case: Case, monkeypatch):
    monkeypatch.setattr(zoo, "ZOO", ROWS)
    model = model_of(case)
    assert name_of(model) == case.family
    assert model.density.value == case.row.density
    assert isinstance(model.free_parameters, int)
    assert model.free_parameters > 0
    for space in filter(None, (model.space, model.context_space)):
        assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space
    spaces = {"space": model.space, "context_space": model.context_space}
    config = {"seed": 0, "model": describe_model(model)} | {k: v and v.to_json() for k, v in spaces.items()}
    twin = build_model(json.loads(json.dumps(config))).to(torch.float64).eval()
    assert twin.hyperparameters() == model.hyperparameters()
    assert set(case.row.small) <= set(config["model"]["hyperparameters"])
    twin.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    assert twin.free_parameters == model.free_parameters
    assert torch.equal(twin.sample(30, contexts(case, 30), seed=0), model.sample(30, contexts(case, 30), seed=0))
    if model.density is Density.EXACT:
        x, context = random_events(case.space, 30, seed=3), contexts(case, 30)
        assert torch.equal(twin.log_prob(x, context), model.log_prob(x, context))


@pytest.mark.parametrize("family", ZOO)
def test_spaces_that_a_family_cannot_model_are_refused(family):
    cls = ZOO[family].load()
    for space in SPACES.values():
        if not isinstance(space, cls.spaces):
            with pytest.raises(SpaceError):
                cls(space, **ZOO[family].small)
    if not issubclass(Real, cls.context_spaces):
        with pytest.raises(SpaceError):
            cls(SPACES["discrete"], Real((2,)), **ZOO[family].small)


@pytest.mark.parametrize("case", [p for p in ALL if not issubclass(p.values[0].row.load(), Counting)])
def test_every_parameter_takes_part_in_the_loss(case: Case):
    model = copy.deepcopy(model_of(case))
    x, context = random_events(case.space, 8, seed=3), contexts(case, 8)
    for loss in OBJECTIVES[model.objective].trial(model, contextlib.nullcontext).values():
        loss.zero_grad()
        loss(x.to(model.dtype) if x.is_floating_point() else x, context).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in loss.parameters())


@pytest.mark.parametrize("case", cases(Counting))
def test_counts_do_not_depend_on_how_the_data_are_cut(case: Case):
    n = 60
    x, context = random_events(case.space, n, seed=3), contexts(case, n)
    states = []
    for cuts in ([n], [1] * n, [0, 7, 0, 50, 3]):
        model = case.row.load()(case.space, case.context_space, **case.row.small)
        ends = list(itertools.accumulate(cuts))
        for begin, end in zip([0, *ends], ends):
            model.observe(x[begin:end].to(torch.uint8), None if context is None else context[begin:end])
        model.finish()
        states.append(model.state_dict())
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[name], states[0][name]) for name in state)


# Visiting order


def ordered_cases() -> list[Any]:
    def takes_order(cls: type) -> bool:
        order = inspect.signature(cls, eval_str=True).parameters.get("order")
        return order is not None and "tuple" in str(order.annotation)

    return [p for p in only(AUTOREGRESSIVE, "discrete", "sizes", "rgb") if takes_order(p.values[0].row.load())]


@pytest.mark.parametrize("case", ordered_cases())
def test_any_visiting_order_gives_a_distribution(case: Case):
    m = case.space.dimensions
    order = tuple(torch.randperm(m, generator=torch.Generator().manual_seed(4)).tolist())
    model: Any = build(case.row, case.space, case.context_space, order=order).double()
    assert model.hyperparameters()["order"] == order
    events, context = all_events(case.space), each_context(case)[0]
    p = model.log_prob(events, context).exp()
    assert abs(p.sum().item() - 1) < 1e-10
    first = events.reshape(len(events), m)[:, order[0]]
    marginal = torch.zeros(int(first.max()) + 1, dtype=torch.float64).index_add(0, first, p)
    said = model.conditionals(events, context).log_prob(model.flatten(events)).exp()
    assert torch.allclose(said[:, 0], marginal[first], rtol=0, atol=1e-10)
    decoder = model.decoder(len(events), context)
    for j in range(m):
        z = model.flatten(events)
        step = decoder.step(None if j == 0 else z[:, j - 1])
        assert torch.allclose(step.log_prob(z[:, j]).exp(), said[:, j], rtol=0, atol=1e-10)


@pytest.mark.parametrize("family", sorted({p.values[0].family for p in ordered_cases()}))
@pytest.mark.parametrize("order", [(0, 1), (0, 1, 1), (0, 1, 3)])
def test_an_order_that_is_no_permutation_is_refused(family, order):
    with pytest.raises(UsageError, match="permutation"):
        ZOO[family].load()(SPACES["discrete"], order=order, **ZOO[family].small)
