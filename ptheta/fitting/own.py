"""What a family of one's own returns, checked before it learns: samples are events, and probabilities sum to 1."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.data import Data
from ptheta.errors import FitError
from ptheta.evaluation.enumeration import enumerate_events
from ptheta.models import Counting, Density, Model
from ptheta.models.building import build
from ptheta.models.zoo import PACKAGE, name_of
from ptheta.spaces import Discrete, Image, Space

FEW = 4096
"""Events over which probabilities are summed, at most."""

TOLERANCE = 1e-2
"""By how much their sum may differ from 1, for families that compute in float32."""


def check_own(model: Model, data: Data) -> None:
    """Check a family that is not of this package on what can be known before learning.

    It draws one event; and of levels its probabilities are summed over all events of a small space: its own, or one of
    two dimensions, if it can be built over that.

    Args:
        model: about to be fitted.
        data: whose first context it is given.

    Raises:
        FitError: a sample is no event, or the sum is not 1.
    """
    if type(model).__module__.startswith(PACKAGE) or isinstance(model, Counting):
        return
    context = data.train.context
    given = None if context is None or not len(context) else torch.from_numpy(context[:1])
    given = given.long() if given is not None and not given.is_floating_point() else given
    with _quietly():
        model.sample(1, given, seed=0)
    if model.density is not Density.EXACT or not isinstance(model.space, Discrete):
        return
    total = None
    with _quietly():
        small = _small(model)
        total = None if small is None else _total(small, given)
    if total is not None and not abs(total - 1) <= TOLERANCE:
        raise FitError(
            f"the probabilities of {name_of(model)} sum to {total:.4g} over all events of a small space, not to 1",
            "return log-probabilities of levels; a density is for real numbers, say so by `spaces = (Real,)`",
        )


class _quietly:
    """Context manager: what a family cannot do before it has learned is no fault; what it returns may be one."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        return isinstance(error, Exception) and not isinstance(error, FitError)


def _small(model: Model) -> Model | None:
    """The model if its events are few; else one of its family with the same hyperparameters over few events."""
    space, count = model.space, model.space.event_count
    assert isinstance(space, Discrete)
    if count is not None and count <= FEW:
        return model
    if model.parts():
        return None
    levels = min(space.levels, 3)
    kinds: list[Space] = [Discrete((2,), levels), Image(1, 2, 1, levels)]
    small = next((kind for kind in kinds if isinstance(kind, model.spaces)), None)
    return None if small is None else build(type(model), small, model.context_space, model.hyperparameters(), seed=0)


def _total(model: Model, context: Tensor | None) -> float:
    """Σ p(x | context) over all events."""
    with torch.no_grad():
        return float(model.log_prob(enumerate_events(model.space), context).exp().sum())
