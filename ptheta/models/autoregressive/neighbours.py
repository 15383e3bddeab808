"""The values around a slot that it is conditioned on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.models.levels import level_embedding
from ptheta.spaces import Discrete


class Neighbourhood(nn.Module):
    """Embeds the values of a dimension's nearest neighbours that were visited before it.

    Neighbours are dimensions whose coordinates differ by at most `radius` along each of the first two axes (rows and
    columns; all channels of a pixel). Each offset has its own weights.

    Args:
        coordinates: [m, axes] in visiting order.
        radius: in pixels.
        space: of the events.
        width: of the output.
        all_around: whether neighbours that come later are listed too, because the order may change.
        size: of the embedding of one value.
    """

    index: Tensor

    def __init__(
        self, coordinates: Tensor, radius: int, space: Discrete, width: int, all_around: bool = False, size: int = 16
    ):
        super().__init__()
        index = neighbours(coordinates, radius, all_around)
        self.register_buffer("index", index, persistent=False)  # [m, s], −1 where there is none
        self.none = space.levels
        self.value = level_embedding(space, size, std=0.5)  # the last one: no such neighbour, or not visited yet
        self.mix = nn.Linear(index.shape[1] * size, width, bias=False)

    def of(self, z: Tensor, slots: slice) -> Tensor:
        """Values around some slots, [n, t, s], of z [n, m] in the order of the coordinates; `none` if not visited."""
        index = self.index[slots]
        values = z[:, index.clamp(min=0).flatten()].view(len(z), *index.shape)
        return torch.where(index >= 0, values, self.none)

    @property
    def count(self) -> int:
        """s, values given to a slot."""
        return self.index.shape[1]

    def before(self, values: Tensor, back: Tensor | None) -> Tensor:
        """Values around the slots of a sequence of any length, [n, t, s]: the s values before each, the nearest last.

        Args:
            values: those before the slots, the last s − 1 before the first slot's included [n, s − 1 + t].
            back: how many slots before itself each slot may see at most [n, t], or None.
        """
        around = values.unfold(1, self.count, 1)  # [n, t, s]
        if back is None:
            return around
        distance = torch.arange(self.count - 1, -1, -1, device=values.device)
        return torch.where(distance <= back[..., None], around, self.none)

    def in_order(self, z: Tensor, slots: Tensor) -> Tensor:
        """Values around every slot, [n, m, s], as far as they were visited before.

        Args:
            z: values in the order of the coordinates [n, m].
            slots: the order in which each row is visited [n, m].
        """
        n, m = slots.shape
        time = torch.empty_like(slots).scatter_(1, slots, torch.arange(m, device=z.device).expand(n, m))
        index = self.index[slots]  # [n, m, s]
        flat = index.clamp(min=0).flatten(1)
        before = time.gather(1, flat).view_as(index) < torch.arange(m, device=z.device)[:, None]
        return torch.where((index >= 0) & before, z.gather(1, flat).view_as(index), self.none)

    def forward(self, around: Tensor) -> Tensor:
        """[n, t, s] → [n, t, width]."""
        return self.mix(self.value(around).flatten(2))


def neighbours(coordinates: Tensor, radius: int, all_around: bool) -> Tensor:
    """For every slot, the slots of its neighbours, [m, s], −1 where there is none or it comes later.

    Columns are offsets (Δrow, Δcolumn, channel); offsets that no slot can use are left out.

    Args:
        coordinates: [m, axes] in visiting order.
        radius: in pixels.
        all_around: list later neighbours too.
    """
    m, axes = coordinates.shape
    places = [tuple(c) for c in coordinates.tolist()]
    slot_of = {place: j for j, place in enumerate(places)}
    steps = range(-radius, radius + 1)
    if axes == 1:
        offsets = [(d,) for d in steps]
    else:
        channels = range(int(coordinates[:, 2].max()) + 1) if axes > 2 else [0]
        offsets = [(dr, dc, c) for dr in steps for dc in steps for c in channels]
    columns: list[list[int]] = []
    for offset in offsets:
        column = []
        for j, here in enumerate(places):
            there = (here[0] + offset[0], *(h + o for h, o in zip(here[1:2], offset[1:2])), *offset[2:axes])
            neighbour = slot_of.get(there, j)
            column.append(-1 if neighbour == j or (neighbour > j and not all_around) else neighbour)
        if max(column) >= 0:
            columns.append(column)
    return torch.tensor(columns or [[-1] * m]).T.contiguous()
