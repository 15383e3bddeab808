"""Models of table rows that fill in missing cells, whichever they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ptheta.distributions import Scale
from ptheta.distributions.warps import UNCHANGED, Warp
from ptheta.errors import UsageError
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.checks import checked_count, evaluating, scoring
from ptheta.sampling import generator_for, uniforms
from ptheta.spaces import Column, Table

IMPUTED = 4_096
"""Rows drawn together where cells are imputed."""


class Imputing(Autoregressive):
    """Base of families over the columns of a table in any order.

    Attributes:
        columns: of the table.
        scale: in which numbers of every column are seen.
    """

    columns: tuple[Column, ...]
    scale: Scale

    @abstractmethod
    def _filled(self, x: Tensor, context: Tensor | None, noise: Tensor, warp: Warp = UNCHANGED) -> Tensor:
        """Rows [n, m] with their missing cells drawn from noise [n, `_imputing_noise`, r]."""

    @abstractmethod
    def _log_prob_of_part(self, x: Tensor, left_out: Tensor, context: Tensor | None) -> Tensor:
        """log p of the cells of rows [n, m] that are not left out, visited before those that are; nats [n], float64."""

    @property
    def _imputing_noise(self) -> int:
        """Draws of noise that a row takes."""
        return self.space.dimensions

    def log_prob_of_part(self, x: Any, left_out: Tensor, context: Any = None) -> Tensor:
        """log p of the cells of each row that are not left out, the others being integrated over.

        Exact, since the cells that are left out are visited last: the others come in the model's own order.

        Args:
            x: rows [n, m]; what a cell holds that is left out does not matter.
            left_out: bool [n, m].
            context: n rows, or one.

        Returns:
            Nats [n], float64: of a row of which nothing is left out, `log_prob`.

        Raises:
            UsageError: the model knows its own order only.
        """
        if not self.any_order and bool(left_out.any()):
            raise UsageError("this table model was trained for one order only", "fit it without --no-any-order")
        left_out = left_out.to(self.device)
        x = torch.where(left_out, self._fillers(), self.space.as_batch(x).to(self.device).double())
        x, context = self._validated(x, context)
        with scoring(self, x, context):
            return self._log_prob_of_part(x, left_out, context)

    def impute(
        self,
        x: Any,
        n: int = 1,
        context: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        warp: Warp = UNCHANGED,
    ) -> Tensor:
        """Draw the missing cells of rows, each given that row's present cells and that it is not missing.

        Args:
            x: rows [b, m] of the table, NaN where a cell is to be drawn; each row may lack other cells.
            n: draws of each row.
            context: b rows, or one.
            seed, generator: of the draws.
            warp: of every cell that is drawn, see `Cell.warped`.

        Returns:
            Rows [b, n, m] without missing cells.

        Raises:
            UsageError: the model knows its own order only.
            SpaceError: a present cell that its column does not allow.
        """
        parts = list(self.imputed(x, n, context, generator_for(seed, generator), warp))
        return torch.cat(parts) if parts else self._partial(x)[:, None].expand(-1, n, -1).clone()

    def imputed(
        self,
        x: Any,
        n: int,
        context: Any,
        generator: torch.Generator,
        warp: Warp = UNCHANGED,
    ) -> Iterator[Tensor]:
        """What `impute` returns, some rows [k, n, m] after the other, in memory that does not grow with b or n · b."""
        n = checked_count(n)
        if not self.any_order:
            raise UsageError("this table model was trained for one order only", "fit it without --no-any-order")
        x = self._partial(x)
        context = self._validated_context(context, len(x))
        for part in torch.arange(len(x), device=x.device).split(max(1, IMPUTED // max(n, 1))) if n and len(x) else ():
            rows = x[part].repeat_interleave(n, 0)
            given = None if context is None else context[part].repeat_interleave(n, 0)
            noise = uniforms(len(rows), self._imputing_noise, self.noise_size, generator=generator).to(self.device)
            holes = torch.isnan(rows).any(1).nonzero()[:, 0]
            with torch.inference_mode(), evaluating(self):
                for some in holes.split(IMPUTED) if len(holes) else ():
                    rows[some] = self._filled(rows[some], None if given is None else given[some], noise[some], warp)
            yield rows.reshape(len(part), n, -1)

    def _partial(self, x: Any) -> Tensor:
        """Rows of which any cell may be missing, [b, m] float64, the present ones checked."""
        x = self.space.as_batch(x).to(self.device).double()
        x = x.reshape(len(x), self.space.dimensions)
        Table(self.columns).validate(torch.where(torch.isnan(x), self._fillers(), x))
        return x

    def _fillers(self) -> Tensor:
        """A value of every column [m], where none is known yet."""
        return torch.tensor([column.filler for column in self.columns], dtype=torch.float64, device=self.device)
