"""How far two distributions are apart: forward and reverse KL, Jensen–Shannon, total variation, χ².

    forward_kl(p, q)        KL(p‖q) = E_p[log p − log q]                      nats, 0 … ∞
    reverse_kl(p, q)        KL(q‖p)                                           nats, 0 … ∞
    jensen_shannon(p, q)    ½ KL(p‖m) + ½ KL(q‖m) with m = ½ p + ½ q          nats, 0 … log 2
    total_variation(p, q)   ½ Σ |p − q|                                       0 … 1
    chi_squared(p, q)       χ²(p‖q) = Σ (p − q)² / q                          0 … ∞

p and q are models with an exact density over one space. Where its events can be listed, all of them are summed and
the value is exact; elsewhere events are drawn from both sides and an `Estimate` carries its standard error. Where one
side gives probability 0 to what the other can produce, KL and χ² are infinite, which is reported and never averaged.

>>> import ptheta
>>> coin = ptheta.models.Independent(ptheta.Discrete((1,), 2))
>>> total_variation(coin, coin).value
0.0
"""

from __future__ import annotations

from typing import Any

from ptheta.divergences.estimates import NAMES, Estimate, from_draws, from_enumeration
from ptheta.divergences.sides import MOST_ENUMERATED, both_sides, drawn_pairs, listed_pairs
from ptheta.errors import UsageError
from ptheta.models import Model
from ptheta.numbers import plural

__all__ = [
    "NAMES",
    "Estimate",
    "chi_squared",
    "divergences",
    "forward_kl",
    "jensen_shannon",
    "reverse_kl",
    "total_variation",
]

DRAWS = 10_000
"""Events drawn from each side."""


def divergences(
    p: Model, q: Model, context: Any = None, *, n: int = DRAWS, seed: int = 0, exact: bool | None = None
) -> dict[str, Estimate]:
    """All five divergences, from the same events.

    Args:
        p, q: models with an exact density over the same space.
        context: of those that need one: one row, or k rows, over which the divergences are averaged; None: p(x), of
            models that learned it too (`context_dropout`).
        n: events drawn from each side, shared out evenly over the context's rows, if not all are listed.
        seed: of the draws.
        exact: list all events, or draw; None: list them if there are at most 2^22, over all rows of the context.

    Returns:
        Name → estimate.

    Raises:
        DensityError: a side has no exact density, or the events cannot be listed.
        SpaceError: the two are over different spaces.
        ContextError: the context is missing or unwanted.
    """
    sides = both_sides(p, q, context)
    if exact is None:
        events = sides.space.event_count
        exact = events is not None and events * sides.rows <= MOST_ENUMERATED
    if exact:
        return from_enumeration(listed_pairs(sides))
    if n < 2 * sides.rows:
        raise UsageError(f"{plural(n, 'draw')} for {plural(sides.rows, 'row')} of context", "draw at least 2 for each")
    return from_draws(*drawn_pairs(sides, n, seed))


def forward_kl(p: Model, q: Model, context: Any = None, **how: Any) -> Estimate:
    """KL(p‖q) = E_p[log p − log q], nats: what maximum likelihood minimises over q, if p made the data.

    Args:
        p, q, context: see `divergences`.
        how: n, seed and exact, see `divergences`.

    Drawn, it is the mean of r − 1 − log r over events of p with r = q/p (Schulman 2020, "Approximating KL
    divergence", k3): each term is at least 0, and far less noisy than log p − log q where p and q are close. That is
    unbiased only if E_p[r] = 1, so only if q has no mass where p has none. If a draw of q shows such mass, or if p and
    q are so far apart that few draws carry most of r, the plain mean of log p − log q is taken. `Estimate.method` says
    which, and both standard errors are given.
    """
    return divergences(p, q, context, **how)["forward_kl"]


def reverse_kl(p: Model, q: Model, context: Any = None, **how: Any) -> Estimate:
    """KL(q‖p), nats: `forward_kl` with the sides exchanged."""
    return divergences(p, q, context, **how)["reverse_kl"]


def jensen_shannon(p: Model, q: Model, context: Any = None, **how: Any) -> Estimate:
    """Jensen–Shannon divergence, nats, at most log 2 (Lin 1991).

    Args:
        p, q, context: see `divergences`.
        how: n, seed and exact, see `divergences`.

    Drawn, half of the events come from each side, and the integrand lies between 0 and log 2 whatever the two are.
    """
    return divergences(p, q, context, **how)["jensen_shannon"]


def total_variation(p: Model, q: Model, context: Any = None, **how: Any) -> Estimate:
    """Total variation distance, from 0 to 1: the largest difference in the probability of any set of events.

    Args:
        p, q, context: see `divergences`.
        how: n, seed and exact, see `divergences`.

    Drawn, half of the events come from each side, and the integrand |p − q| / (p + q) lies between 0 and 1.
    """
    return divergences(p, q, context, **how)["total_variation"]


def chi_squared(p: Model, q: Model, context: Any = None, **how: Any) -> Estimate:
    """Pearson's χ²(p‖q) = E_q[(p/q − 1)²].

    Args:
        p, q, context: see `divergences`.
        how: n, seed and exact, see `divergences`.

    Drawn from the mixture of both sides, its integrand grows with p/q without bound: where few draws carry the sum,
    the estimate is too low more often than not and its standard error means little. `ess` says how many carry it, and
    `reliable` is False below 100.
    """
    return divergences(p, q, context, **how)["chi_squared"]
