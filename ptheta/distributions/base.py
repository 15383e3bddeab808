"""What a conditional p(x_j | ·) must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import ClassVar, Self

from torch import Tensor

from ptheta.distributions.warps import Warp
from ptheta.errors import DensityError, UsageError

Spelling = Generator[tuple[Tensor, Tensor | None], Tensor, Tensor]
"""Values as short sequences of symbols, for coding. It yields the next symbol's probabilities [r, K], float64 on the
CPU, and the symbols [r] if the values are known; it is sent the symbols, and returns the values [n]."""


class Distribution(ABC):
    """A batch of distributions of one scalar value each.

    `batch_shape` is the shape of the batch ([n, m] for all conditionals of a batch, [n] for one decoding step).
    """

    noise_size: ClassVar[int] = 1
    """r: uniforms used by one draw."""

    @property
    @abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, float64, for values x of the batch's shape."""

    @abstractmethod
    def sample(self, noise: Tensor) -> Tensor:
        """Values of the batch's shape, a deterministic function of uniforms [*batch_shape, r]."""

    def cdf(self, x: Tensor, *, below: bool = False) -> Tensor:
        """P(X ≤ x), or P(X < x), for values x of the batch's shape; float64.

        Args:
            x: values; levels are ordered by their numbers.
            below: leave out the mass on x itself; a density has none.

        Raises:
            DensityError: the distribution knows no such function.
        """
        raise DensityError(f"{type(self).__name__} has no distribution function", "use log_prob")

    def level_logits(self) -> Tensor:
        """Log-probabilities of the levels up to a constant, [*batch_shape, K].

        Raises:
            UsageError: the values are real numbers.
        """
        raise UsageError("guidance mixes probabilities of levels, and this model's values are real", "leave it at 1")

    def smoothed_log_prob(self, x: Tensor, smoothing: float) -> Tensor:
        """(1 − ε) log p(x) + ε × the mean log p of all possible levels, nats, float64 (Szegedy et al. 2016,
        arXiv:1512.00567, section 7).

        Args:
            x: levels [*batch_shape].
            smoothing: ε.

        Raises:
            UsageError: there are no logits of levels.
        """
        what = f"label smoothing is for logits of levels, and this model's conditionals are {type(self).__name__}"
        raise UsageError(what, "leave out --label-smoothing")

    def spelled(self, values: Tensor | None) -> Spelling:
        """Spell values of a batch [n] as symbols that each have a finite table.

        Encoder and decoder walk through the same generator, so their tables are the same.

        Args:
            values: [n] to be encoded; None when they are decoded.

        Raises:
            UsageError: the values are real numbers.
        """
        raise UsageError(f"values of a {type(self).__name__} have a density, not a probability", "use discrete events")

    @classmethod
    def mix(cls, parts: Sequence[Self], log_weights: Tensor) -> Distribution:
        """Σ_k w_k p_k, as a distribution that can do what its parts can.

        Args:
            parts: K distributions of this class over batches of one shape.
            log_weights: log w_k, float64 [K, *batch_shape], whose exponentials sum to 1 over k.

        Raises:
            UsageError: the class does not say what a mixture of its distributions is.
        """
        raise UsageError(f"conditionals of class {cls.__name__} cannot be mixed", "fit one member: --members 1")

    @abstractmethod
    def __getitem__(self, index) -> Self:
        """The distributions at `index` of the batch."""

    def warped(self, warp: Warp) -> Self:
        """This distribution, reshaped by temperature, top-k, top-p and min-p.

        Raises:
            UsageError: the distribution is continuous, where these have no closed form.
        """
        if warp.is_identity:
            return self
        raise UsageError(
            "temperature, top-k, top-p and min-p reshape discrete conditionals, and this model's are continuous",
            "sample without them",
        )
