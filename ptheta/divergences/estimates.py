"""From log p and log q of events to divergences: exact sums, or means with standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ptheta.numbers import plural

NAMES = {
    "forward_kl": "KL(p‖q)",
    "reverse_kl": "KL(q‖p)",
    "jensen_shannon": "Jensen–Shannon",
    "total_variation": "total variation",
    "chi_squared": "χ²(p‖q)",
}
"""Divergences by name, and as they are written."""

CLOSE = 0.5
"""Effective part of the draws from which on E[q/p] = 1 is trusted as a control variate. For a normal log q/p of
variance s² the part is e^{−s²}; here the control variate still cuts the standard error by a third, and from 0.28 on
downwards it raises it. Between the two, taking whichever error looks smaller would favour draws that miss the tail."""

CARRIED = 100.0
"""Draws that must carry a sum for its standard error to mean something."""


@dataclass(frozen=True)
class Estimate:
    """A divergence, and how it was computed.

    Attributes:
        value: KL and Jensen–Shannon in nats.
        se: standard error; 0 if exact, infinite if the value is.
        n: events listed, or drawn.
        exact: whether all events were summed.
        method: `enumeration`, `control variate`, `plain` or `mixture`.
        outside: where the value is infinite, the probability (estimated, if not exact) of what one side can produce and
            the other gives probability 0; else 0.
        outside_n: listed or drawn events of that kind.
        ess: draws that carry the value, (Σ v)² / Σ v² of the summands v; None if exact, or if their tails are light.
        reliable: False if so few draws carry the value that its standard error means little.
        se_plain, se_control: for a drawn KL, standard errors of both estimators; `method` says which one is reported.
    """

    value: float
    se: float
    n: int
    exact: bool
    method: str
    outside: float = 0.0
    outside_n: int = 0
    ess: float | None = None
    reliable: bool = True
    se_plain: float | None = None
    se_control: float | None = None

    def __str__(self) -> str:
        if math.isinf(self.value):
            if not self.outside_n:
                return f"more than float64 holds ({self.method}, {plural(self.n, 'event')})"
            about = "" if self.exact else "about "
            where = f"{plural(self.outside_n, 'event')} of {self.n:,}, {about}{self.outside:.3g} of the probability"
            return f"∞: the other side assigns probability 0 to {where}"
        if self.exact:
            return f"{self.value:.6g} (exact, {plural(self.n, 'event')})"
        how = f"{self.method}, {plural(self.n, 'draw')}"
        if not self.reliable:
            how += f"; unreliable: {self.ess:.0f} draws carry it"
        return f"{self.value:.4g} ± {self.se:.2g} ({how})"

    def to_json(self) -> dict[str, Any]:
        """All fields, by name, and whether the value is infinite, which JSON cannot hold."""
        return {**vars(self), "infinite": math.isinf(self.value)}


@dataclass
class Outside:
    """Events that one side can produce and the other gives probability 0.

    Attributes:
        mass: their probability.
        n: their number.
    """

    mass: float = 0.0
    n: int = 0

    def add(self, probabilities: Tensor, weight: float) -> None:
        """Note some of them."""
        self.mass += weight * float(probabilities.sum())
        self.n += len(probabilities)


def from_enumeration(chunks: Iterable[tuple[Tensor, Tensor, float]]) -> dict[str, Estimate]:
    """Exact divergences.

    Args:
        chunks: log p and log q [n], float64, of different events, and what they weigh; together all of them.
    """
    sums = dict.fromkeys(NAMES, 0.0)
    only_p, only_q = Outside(), Outside()
    n = 0
    for log_p, log_q, weight in chunks:
        n += len(log_p)
        p, q = log_p.exp(), log_q.exp()
        no_p, no_q = torch.isinf(log_p), torch.isinf(log_q)
        only_p.add(p[no_q & ~no_p], weight)
        only_q.add(q[no_p & ~no_q], weight)
        log_ratio = (log_p - log_q)[~no_p | ~no_q]
        half = ((p + q) / 2)[~no_p | ~no_q]
        sums["jensen_shannon"] += weight * float((half * _shannon(log_ratio)).sum())
        sums["total_variation"] += weight * float((p - q).abs().sum()) / 2
        common = ~no_p & ~no_q
        p, q, d = p[common], q[common], (log_p - log_q)[common]
        # − p + q sums to 0 over all events, and with it every term is at least 0: nothing cancels
        sums["forward_kl"] += weight * float((p * d - p + q).sum())
        sums["reverse_kl"] += weight * float((-q * d - q + p).sum())
        sums["chi_squared"] += weight * float((log_q[common] + 2 * _log_abs_expm1(d)).exp().sum())
    found = {name: Estimate(max(0.0, value), 0.0, n, True, "enumeration") for name, value in sums.items()}
    for name, outside, rest in (
        ("forward_kl", only_p, only_q),
        ("reverse_kl", only_q, only_p),
        ("chi_squared", only_p, only_q),
    ):
        if outside.n:
            found[name] = Estimate(math.inf, math.inf, n, True, "enumeration", outside.mass, outside.n)
        else:  # where p is 0, the terms of KL(p‖q) and of χ² are q
            found[name] = replace(found[name], value=found[name].value + rest.mass)
    return found


def from_draws(of_p: tuple[Tensor, Tensor], of_q: tuple[Tensor, Tensor]) -> dict[str, Estimate]:
    """Divergences estimated from draws.

    Args:
        of_p: log p and log q of events drawn from p, nats [k, n] for k rows of context.
        of_q: log p and log q of events drawn from q, [k, n].
    """
    under_p, under_q = of_p[0] - of_p[1], of_q[0] - of_q[1]  # log p/q
    both = torch.stack([under_p, under_q])  # [2, k, n]: draws from the mixture, half from each side
    return {
        "forward_kl": _drawn_kl(under_p, -under_q),
        "reverse_kl": _drawn_kl(-under_q, under_p),
        "jensen_shannon": _bounded(_shannon(both)),
        "total_variation": _bounded((both / 2).tanh().abs()),
        "chi_squared": _drawn_chi_squared(both),
    }


def _drawn_kl(d: Tensor, backwards: Tensor) -> Estimate:
    """E[d] for d = log p/q of draws from p [k, n].

    Args:
        d: log p/q of draws from p.
        backwards: log q/p of draws from q; infinite where p has no mass.
    """
    n = d.numel()
    if infinite := _infinite(d, "plain"):
        return infinite
    value, se = _mean(d)
    ratio = (-d).exp()  # q/p
    controlled, se_controlled = _mean(torch.expm1(-d) + d)
    unbiased = not bool(torch.isinf(backwards).any())
    if unbiased and se_controlled < se and _ess(ratio) >= CLOSE * n:
        return Estimate(controlled, se_controlled, n, False, "control variate", se_plain=se, se_control=se_controlled)
    return Estimate(value, se, n, False, "plain", se_plain=se, se_control=se_controlled)


def _drawn_chi_squared(both: Tensor) -> Estimate:
    """E_m[2 (w − 1)² / (w + 1)] for w = p/q and draws from the mixture m, of which both [2, k, n] holds log w."""
    n = both.numel()
    if infinite := _infinite(both[0], "mixture"):
        return infinite
    log_terms = math.log(2) + 2 * _log_abs_expm1(both) - torch.nn.functional.softplus(both)
    top = float(log_terms.max())
    if not math.isfinite(top):  # all terms are 0
        return Estimate(0.0, 0.0, n, False, "mixture", ess=float(n))
    terms = (log_terms - top).exp()
    value, se = _mean(terms.flatten(0, 1))
    scale, ess = float(torch.tensor(top, dtype=torch.float64).exp()), _ess(terms)
    return Estimate(value * scale, se * scale, n, False, "mixture", ess=ess, reliable=ess >= CARRIED)


def _bounded(values: Tensor) -> Estimate:
    """Mean of a bounded integrand [2, k, n] over draws from the mixture."""
    value, se = _mean(values.flatten(0, 1))
    return Estimate(value, se, values.numel(), False, "mixture")


def _infinite(d: Tensor, method: str) -> Estimate | None:
    """The estimate ∞, if log p/q of draws from p is infinite anywhere."""
    n, outside = d.numel(), int(torch.isinf(d).sum())
    return Estimate(math.inf, math.inf, n, False, method, outside / n, outside) if outside else None


def _mean(values: Tensor) -> tuple[float, float]:
    """Mean of values [k, n] and its standard error, each of the k strata having been drawn n times."""
    k, n = values.shape
    return float(values.mean()), math.sqrt(float(values.var(1).sum()) / n) / k


def _ess(weights: Tensor) -> float:
    """(Σ w)² / Σ w² (Kish 1965)."""
    scaled = weights / weights.max()
    return float(scaled.sum() ** 2 / scaled.square().sum())


def _shannon(d: Tensor) -> Tensor:
    """log 2 − H(s) for s = p / (p + q), of d = log p/q: Jensen–Shannon is its mean under the mixture of both."""
    s, t = d.sigmoid(), (-d).sigmoid()
    return math.log(2) + torch.special.xlogy(s, s) + torch.special.xlogy(t, t)


def _log_abs_expm1(d: Tensor) -> Tensor:
    """log |e^d − 1|, without overflow."""
    return torch.relu(d) + (-torch.expm1(-d.abs())).log()
