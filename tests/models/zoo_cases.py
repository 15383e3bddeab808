"""The cases of the contract: every family of the zoo, and its variants, on every tiny space it accepts."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from rows import TOYS
from scipy import stats
from torch import Tensor

from ptheta.distributions import Distribution
from ptheta.errors import UsageError
from ptheta.models import ZOO, Autoregressive, Counting, Density, Model
from ptheta.models.ensembles.kinds import ensemble_of
from ptheta.models.zoo import Family
from ptheta.spaces import (
    Column,
    Discrete,
    Document,
    Grid,
    Image,
    Joint,
    Label,
    Real,
    Sequence,
    Space,
    Spectrogram,
    Table,
    Waveform,
)

SPACES = {
    "discrete": Discrete((3,), 3),
    "sizes": Discrete((2, 2), 4, (2, 3, 4, 1)),
    "image": Image(2, 2, levels=2),
    "rgb": Image(2, 1, 3, levels=3),
    "grid": Grid(2, 2, levels=3),
    "waveform": Waveform(3, levels=4),
    "sequence": Sequence(4, 3, end=2),
    "document": Document(3, 3, end=1),
    "label": Label(("ant", "bee", "cow")),
    "real": Real((3,)),
    "table": Table((Column("kind", 2), Column("count", per=1, low=0, atoms=(0.0,)), Column("size", atoms=(1.0,)))),
}
CONTEXTS: dict[str, Space | None] = {
    "": None,
    "labelled": Label(("cat", "dog")),
    "told": Document(4, 3),
    "shown": Image(2, 3, 3, levels=4),
    "gridded": Grid(2, 2, levels=5),
    "heard": Spectrogram(5, 2, levels=4),
    "waved": Waveform(40, levels=8),
    "measured": Real((3,)),
    "joint": Joint({"kind": Label(("a", "b", "c")), "size": Real(()), "look": Image(2, 2, levels=2)}),
}
OTHER_CONTEXTS = {"image": None, "real": "measured", "document": "joint", "table": "joint"}
"""Spaces on which contexts other than labels are tried, and which one; None: all."""


ROWS = {**ZOO, **TOYS}
"""Families of the zoo, and small ones with a bound and without a density."""


TOGETHER = [
    ("made", "sizes", "labelled", ""),
    ("markov_mlp", "real", "", ""),
    ("pixelcnn", "rgb", "", "logistic"),
    ("transformer", "sequence", "", ""),
    ("transformer", "document", "labelled", ""),
    ("transformer", "grid", "", "any-order"),
    ("table", "table", "labelled", ""),
    ("flow", "real", "", ""),
    ("independent", "discrete", "", ""),
    ("toy_vae", "discrete", "labelled", ""),
]
"""Cases of which ensembles are tested, too."""


class Case(NamedTuple):
    family: str
    space_name: str
    context_name: str
    variant: str = ""
    members: int = 1

    @property
    def row(self) -> Family:
        return ROWS[self.family]

    @property
    def space(self) -> Space:
        return SPACES[self.space_name]

    @property
    def context_space(self) -> Space | None:
        return CONTEXTS[self.context_name]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return {**self.row.small, **self.row.variants.get(self.variant, {})}


def cases(kind: type = Model, density: Density | None = None) -> list[Any]:
    """Every family that is a `kind`, and its variants, × every space × every context that it accepts."""
    found = []
    for name, row in ROWS.items():
        cls = row.load()
        if not issubclass(cls, kind) or (density is not None and cls.density is not density):
            continue
        for space, context, variant in itertools.product(SPACES, CONTEXTS, ["", *row.variants]):
            case = Case(name, space, context, variant)
            if accepts(case):
                found.append(case)
        found += [Case(*case, members=3) for case in TOGETHER if case[0] == name]
    together = ["", "together"]
    return [pytest.param(case, id="-".join(filter(None, [*case[:4], together[case.members > 1]]))) for case in found]


@functools.cache
def accepts(case: Case) -> bool:
    cls = case.row.load()
    if not isinstance(case.space, cls.spaces):
        return False
    if case.context_space is not None and not isinstance(case.context_space, cls.context_spaces):
        return False
    tried = OTHER_CONTEXTS.get(case.space_name, "")
    if case.context_name not in ("", "labelled") and (case.variant or tried not in (None, case.context_name)):
        return False
    try:
        new(case)
    except UsageError:  # a variant for other spaces
        return not case.variant
    return True


@functools.cache
def new(case: Case) -> Any:
    """The case's model as it is made; shared."""
    return case.row.load()(case.space, case.context_space, **case.hyperparameters)


def only(parameters: list[Any], *space_names: str) -> list[Any]:
    return [p for p in parameters if p.values[0].space_name in space_names]


def discrete(parameters: list[Any]) -> list[Any]:
    return [p for p in parameters if isinstance(p.values[0].space, Discrete)]


def conditioned(parameters: list[Any]) -> list[Any]:
    return [p for p in parameters if p.values[0].context_space is not None]


ALL = cases()
EXACT = cases(density=Density.EXACT)
BOUNDED = cases(density=Density.LOWER_BOUND)
IMPLICIT = cases(density=Density.IMPLICIT)
AUTOREGRESSIVE = cases(Autoregressive)
every_model = pytest.mark.parametrize("case", ALL)
exact = pytest.mark.parametrize("case", EXACT)
exact_conditioned = pytest.mark.parametrize("case", conditioned(EXACT))
bounded = pytest.mark.parametrize("case", BOUNDED)
implicit = pytest.mark.parametrize("case", IMPLICIT)
exact_discrete = pytest.mark.parametrize("case", discrete(EXACT))
autoregressive = pytest.mark.parametrize("case", AUTOREGRESSIVE)
autoregressive_discrete = pytest.mark.parametrize("case", discrete(AUTOREGRESSIVE))
autoregressive_real = pytest.mark.parametrize("case", only(AUTOREGRESSIVE, "real"))


# Instances


def random_events(space: Space, n: int, seed: int) -> Tensor:
    return _random_events(space, n, seed).clone()


@functools.cache
def _random_events(space: Space, n: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    if isinstance(space, Discrete):
        sizes = torch.tensor(space.sizes or [space.levels]).expand(space.dimensions)
        return (torch.rand(n, space.dimensions, generator=g) * sizes).long().reshape(n, *space.shape)
    x = torch.randn(n, *space.shape, generator=g, dtype=torch.float64) * 2 + 1
    if isinstance(space, Table):  # half of the last cells are its atom
        atom = torch.where(torch.rand(n, generator=g) < 0.5, 1.0, x[:, 2])
        x = torch.stack([(x[:, 0] > 1).double(), x[:, 1].abs().round(), atom], 1)
    return x


@functools.cache
def all_events(space: Space) -> Tensor:
    assert isinstance(space, Discrete)
    sizes = space.sizes or (space.levels,) * space.dimensions
    return torch.tensor(list(itertools.product(*map(range, sizes)))).reshape(-1, *space.shape)


def build(row: Family, space: Space, context_space: Space | None, **hyperparameters: Any) -> Model:
    """A small instance whose distribution is far from uniform: perturbed weights, or counts of random events."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = row.load()(space, context_space, **{**row.small, **hyperparameters})
    x = random_events(space, 14, seed=1)
    context = None if context_space is None else random_contexts(context_space, 14, seed=3)
    if isinstance(model, Counting):
        model.observe(x, context)
        model.finish()
    else:
        if not isinstance(space, Discrete):
            model.prepare(x)
        if context is not None:
            model.prepare_context(context)
        g = torch.Generator().manual_seed(2)
        size = 0.4 if isinstance(space, Discrete) else 0.15
        with torch.no_grad():
            for name, parameter in model.named_parameters():  # wide encoders of contexts would saturate the rest
                scale = 0.05 if name.startswith("condition.") else 1.0
                parameter.add_(torch.randn(parameter.shape, generator=g) * size * scale)
    return model.eval()


def members_of(case: Case) -> list[Model]:
    """The case's models, each with weights of its own."""
    members = [build(case.row, case.space, case.context_space, **case.hyperparameters) for _ in range(case.members)]
    for number, member in enumerate(members[1:]):
        g = torch.Generator().manual_seed(number)
        if isinstance(member, Counting):
            x = random_events(case.space, 9, seed=6 + number)
            member.observe(x, None if case.context_space is None else random_contexts(case.context_space, 9, seed=7))
            member.finish()
        with torch.no_grad():
            for parameter in member.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=g) * 0.1)
    return members


@functools.cache
def model_of(case: Case, dtype: torch.dtype = torch.float64) -> Any:
    """The case's instance; shared between tests, which leave it as it is."""
    members = members_of(case)
    return (members[0] if case.members == 1 else ensemble_of(members).eval()).to(dtype)


def random_contexts(space: Space, n: int, seed: int) -> Tensor:
    if isinstance(space, Label):
        return torch.arange(n) % space.levels
    if isinstance(space, Joint):
        return space.join({name: random_contexts(part, n, seed + i) for i, (name, part) in enumerate(space.parts)})
    x = random_events(space, n, seed)
    return space.pad([row[: row.tolist().index(space.end)] if space.end in row else row for row in x]) if isinstance(
        space, Document) else x  # fmt: skip


@functools.cache
def contexts(case: Case, n: int) -> Tensor | None:
    space = case.context_space
    if space is None or isinstance(space, Label):
        return None if space is None else random_contexts(space, n, seed=4)
    return random_contexts(space, 3, seed=4)[torch.arange(n) % 3]


@functools.cache
def each_context(case: Case) -> list[Any]:
    space = case.context_space
    if space is None:
        return [None]
    if isinstance(space, Label):
        return [[y] for y in range(space.levels)]
    return [contexts(case, 3)[i : i + 1] for i in range(2)]  # type: ignore[index]


def likely_events(case: Case, n: int) -> Tensor:
    """Events of positive probability."""
    return _likely_events(case, n).clone()


@functools.cache
def _likely_events(case: Case, n: int) -> Tensor:
    return model_of(case).sample(n, contexts(case, n), seed=5)


def probe(conditional: Distribution, space: Space) -> Tensor:
    """What a conditional says: its log-densities at all levels, or at some values, [*batch, P]."""
    values = torch.linspace(-3, 3, 5) if isinstance(space, Real) else torch.tensor([0.0, 1.0])
    probes = torch.arange(space.levels) if isinstance(space, Discrete) else values.double()
    return torch.stack([conditional.log_prob(p.expand(conditional.batch_shape)) for p in probes], -1)


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Equal up to a tolerance in log-probability, with equal −∞ and no NaN."""
    return torch.allclose(a, b, rtol=0, atol=tolerance, equal_nan=False)


def frequencies_agree(counts: Tensor, probabilities: Tensor) -> float:
    """p-value of a χ² test; cells that expect under 5 are pooled. Impossible cells must be empty."""
    assert counts[probabilities == 0].sum() == 0, "an event of probability 0 was drawn"
    expected = probabilities * counts.sum()
    rare = expected < 5
    observed = torch.cat([counts[~rare], counts[rare].sum()[None]]).double()
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    observed, expected = observed[expected > 0], expected[expected > 0]
    if len(expected) == 1:
        return 1.0
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


def tally(samples: Tensor, space: Space) -> Tensor:
    """How often each of `all_events` is among the samples."""
    assert isinstance(space, Discrete)
    sizes = space.sizes or (space.levels,) * space.dimensions
    index = np.ravel_multi_index(samples.reshape(len(samples), -1).T.numpy(), sizes)
    return torch.from_numpy(np.bincount(index, minlength=math.prod(sizes)))
