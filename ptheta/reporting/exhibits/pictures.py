"""Pictures: grids of samples, copies of training pictures, maps of surprise, veiled completions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from ptheta.anomalies import Scores
from ptheta.data import Split
from ptheta.data.codecs import ContextCodec
from ptheta.data.codecs.picture_files import eight_bit, open_picture
from ptheta.data.formats import PICTURES
from ptheta.errors import SourceError, UsageError
from ptheta.evaluation.nats import suited_batch
from ptheta.evaluation.samples import features
from ptheta.models import Autoregressive
from ptheta.numbers import nats, plural
from ptheta.reporting.copies import PATIENCE as SEARCHING
from ptheta.reporting.copies import copies_line, copy_check
from ptheta.reporting.exhibits.base import Exhibit
from ptheta.reporting.exhibits.given import Given
from ptheta.reporting.exhibits.ranking import Ranking
from ptheta.reporting.exhibits.sheets import CAPTION, gridded, shortened
from ptheta.reporting.markup import Html, figure, panels, paragraph, picture, tag
from ptheta.reporting.pictures import grid, headed, save_picture, surprise_grid, surprise_scale, together
from ptheta.runs import Run

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PictureT = TypeVar("PictureT", bound=ContextCodec)

STRANGEST = 24
"""Pictures whose surprise is drawn beside a file of scores: the strangest ones."""

SCORED = 1000
"""Events among which the most surprising ones are sought."""

MAPPED = 12
"""Most surprising events whose surprise is mapped, and as many typical, or least surprising, ones."""

NAME = 16
"""Characters of a file or a context below a map, at most."""

PATIENCE = 10.0
"""Seconds after which no more events are scored to find surprising ones."""

REPORTED = 64
"""Pictures of each kind in a report, at most."""

COMPLETED = 64
"""Events in a picture of completions, at most; their files are written all."""

VEIL = (70, 80, 110)
"""A dull blue that no grey picture has."""


class Pictures(Exhibit[PictureT]):
    """Events that a codec shows as pictures."""

    repeats = 8
    suffixes = PICTURES
    example = "photo.png"

    def remark(self, file: str | Path) -> str | None:
        """That a picture is resized."""
        return self.codec.remark(str(file))

    def drawn(self, x: Tensor) -> list[Picture]:
        """Events [n, *space.shape] as pictures large enough to look at."""
        return self.codec.pictures(x)

    # samples

    def sheet(self, x: Tensor, given: Given | None = None, *, most: int | None = None) -> Picture:
        """One grid of all; given contexts, rows of each with its caption or picture."""
        return gridded(self.drawn, x, given, most)

    def write_overview(self, x: Tensor, folder: Path, given: Given | None) -> list[Path]:
        """One grid."""
        return [save_picture(self.sheet(x, given), folder / "samples.png")]

    def extras(
        self, run: Run, x: Tensor | None, say: Callable[[str], None]
    ) -> dict[str, Callable[[float], list[Path]]]:
        """Copies of training pictures, and maps of surprise."""
        if not run.has_data:
            return {}
        return {
            "picture of copies": lambda seconds: self.write_copies(run, x, say, seconds=seconds),
            "picture of surprise": lambda seconds: self.write_surprise(run, seconds=seconds),
        }

    def write_copies(
        self, run: Run, x: Tensor | None, say: Callable[[str], None] = print, *, seconds: float = math.inf
    ) -> list[Path]:
        """Write copies.png, samples x [n, *space.shape] beside their nearest training pictures, and log the counts."""
        if x is None or not len(x):
            return []
        record, drawn = copy_check(self.codec, run.data, x, seconds=min(seconds, SEARCHING))
        run.log({"copies": record})
        if record["identical"] > record.get("heldout_identical", 0):
            say(copies_line(record))
        return [save_picture(drawn, run.path / "copies.png")]

    # surprise

    def write_surprise(self, run: Run, *, seconds: float = 2 * PATIENCE) -> list[Path]:
        """Write surprise.png: the surprise of every pixel of unseen events, the most surprising and typical ones.

        Args:
            run: whose data are shown.
            seconds: that it may take, about: half of them seek surprising events, half map them.

        Raises:
            UsageError: not even a few events could be mapped.
        """
        model = run.model
        name = next((name for name in ("test", "validation") if name in run.data.splits), None)
        if not isinstance(model, Autoregressive) or name is None:
            return []
        split = run.data.splits[name]
        rows = np.random.default_rng(0).choice(len(split), min(SCORED, len(split)), replace=False)
        size = suited_batch(model)
        parts: list[Tensor] = []
        clock = time.perf_counter()
        for start in range(0, len(rows), size):
            with torch.no_grad():
                parts.append(model.log_prob(*split.events(rows[start : start + size])).cpu())
            if time.perf_counter() - clock > min(seconds / 2, PATIENCE):
                break
        log_prob = torch.cat(parts)
        order = log_prob.argsort()
        pace = (time.perf_counter() - clock) / len(order)
        affordable = max(seconds / 2, PATIENCE / 8) / max(2 * pace, 1e-9)
        if affordable < 1:
            raise UsageError(f"the score of one takes {pace:.1f} s; ptheta report maps some", "wait for it")
        n, most = len(order), int(min(MAPPED, len(order), affordable))
        middle = max(most, n // 2 - most // 2)
        chosen = {
            f"the {most} most surprising of {n:,} {name} pictures": order[:most],
            "typical ones, around the median": order[middle : middle + most],
        }
        chosen = {line: part for line, part in chosen.items() if len(part)}
        pieces = {line: self._pieces(model, *split.events(rows[part.numpy()])) for line, part in chosen.items()}
        top = surprise_scale(torch.cat(list(pieces.values())))
        blocks = []
        for line, part in chosen.items():
            pictures = self.codec.pictures(split.x[rows[part.numpy()]])
            captions = [f"{-value:.1f}" if math.isfinite(value) else nats(-value) for value in log_prob[part].tolist()]
            blocks.append(headed(surprise_grid(pictures, pieces[line], top=top, captions=captions), [line]))
        scale = "pictures above −log p of their pixels, as the model visits them:"
        scale += f" black is 0 nats, the brightest {top:.2g} nats or more; below: nats of the whole picture"
        whole = headed(together(blocks, gap=12, down=True), [scale])
        return [save_picture(whole, run.path / "surprise.png")]

    def _pieces(self, model: Autoregressive, x: Tensor, context: Tensor | None) -> Tensor:
        """log p of every dimension, nats, as they lie in the pictures."""
        size, parts = suited_batch(model), []
        with torch.no_grad():
            for rows in torch.arange(len(x)).split(size):
                given = None if context is None else context[rows]
                parts.append(model.log_prob_per_dimension(x[rows], given).cpu())
        return self.codec.upright(torch.cat(parts))

    def strangest(self, events: Split, scores: Scores, contexts: list[str] | None = None) -> Picture | None:
        """Maps of the surprise of the strangest pictures, each with its file or row, its nats, and its context."""
        if scores.pieces is None:
            return None
        rows = scores.ranking[:STRANGEST]
        names = (
            [str(row) for row in events.source_rows] if events.files is None else [Path(f).stem for f in events.files]
        )
        captions = [f"{shortened(names[row], NAME)}: {nats(-float(scores.log_prob[row]))}" for row in rows]
        if contexts is not None:
            captions = [f"{text}, {shortened(contexts[row], NAME)}" for text, row in zip(captions, rows)]
        pieces = self.codec.upright(scores.pieces[torch.from_numpy(rows)])
        maps = surprise_grid(self.codec.pictures(events.x[rows]), pieces, captions=captions)
        named = "row" if events.files is None else "file"
        given = "" if contexts is None else ", and the context"
        return headed(
            maps,
            [f"{named}: −log p in nats{given}. Picture above −log p of each pixel; most anomalous first"],
        )

    # completions

    def read_mask(self, path: Path) -> Tensor:
        """A mask from a picture: True where it is at least half white; transparent pixels are not kept.

        Raises:
            SourceError: it is not a picture of the events' size.
        """
        height, width = self.codec.upright(torch.zeros(1, *self.codec.space.shape)).shape[-2:]
        mask = open_picture(str(path), lambda _: f"the mask {path}")
        if mask.size != (width, height):
            raise SourceError(
                f"{path} is {mask.height}×{mask.width} pixels, the run's pictures are {height}×{width}",
                "give a mask of that size",
            )
        return self.laid(torch.from_numpy(eight_bit(mask, 1, background="black")[0] >= 128))

    def laid(self, pixels: Tensor) -> Tensor:
        """Pixels [height, width] as they lie in an event, [*space.shape]: the inverse of the codec's `upright`."""
        return pixels.expand(self.codec.space.shape)

    def completed(self, x: Tensor, kept: Tensor, drawn: Tensor, names: list[str] | None) -> Picture:
        """Each original, what was kept of it, and its completions."""
        upright = self.codec.upright(kept[None])[0]
        shown = upright.reshape(-1, *upright.shape[-2:]).all(0).cpu().numpy()
        cells: list[Picture | None] = []
        for event, several in zip(x[:COMPLETED], drawn[:COMPLETED]):
            original = self.codec.pictures(event[None])[0]
            cells += [original, _veiled(original, shown), *self.codec.pictures(several)]
        headers = ["original", "kept", *(str(i + 1) for i in range(drawn.shape[1]))]
        titles = None if names is None else [shortened(name, CAPTION) for name in names[:COMPLETED]]
        return grid(cells, len(headers), titles=titles, headers=headers)

    # a report

    def features(self, several: list[Tensor]) -> list[np.ndarray]:
        """Principal components of what is seen."""
        return features(self.codec, several)

    def samples(self, several: Mapping[str, Tensor], rows: np.ndarray, given: Given | None) -> Html:
        """Grids side by side."""
        picked = _by_context(torch.from_numpy(rows[:REPORTED].copy()), given)
        of = None if given is None else given[picked]
        return panels(
            figure(picture(self.sheet(x[picked], of), f"{plural(len(picked), 'picture')}, {title.lower()}"), title)
            for title, x in several.items()
        )

    def note(self, run: Run) -> str:
        """Whether samples are copies, by the check after the fit."""
        record = next((line["copies"] for line in reversed(run.metrics()) if "copies" in line), None)
        if not record:
            return ""
        return f" When it was fitted, samples were compared with the training pictures: {copies_line(record)}"

    def surprises(self, ranking: Ranking) -> list[Html]:
        """Maps of the surprise of pixels."""
        order = ranking.order
        n = min(MAPPED, len(order) // 2)
        if not n or not isinstance(ranking.run.model, Autoregressive):
            return []
        chosen = {"most": order[:n], "least": order[-n:].flip(0)}
        pieces = {name: self.codec.upright(ranking.pieces(rows)) for name, rows in chosen.items()}
        top = surprise_scale(torch.cat(list(pieces.values())))
        figures = []
        for name, rows in chosen.items():
            pictures = self.codec.pictures(ranking.split.events(rows)[0])
            values = ranking.surprise[rows].tolist()
            captions = [nats(value) if not math.isfinite(value) else f"{value:.1f}" for value in values]
            alt = f"the {n} {name} surprising {ranking.title}, each above a map of the surprise of its pixels"
            drawn = surprise_grid(pictures, pieces[name], top=top, captions=captions)
            figures.append(figure(picture(drawn, alt), f"The {n} {name} surprising of {len(order):,}, with their nats"))
        words = (
            f"Below each picture −log p of its pixels, in the order in which the model visits them: black is 0 nats, "
            f"the brightest {top:.2g} nats or more."
        )
        return [tag("h3", "Where the surprise is"), paragraph(words, cls="how"), *figures]


def _by_context(rows: Tensor, given: Given | None) -> Tensor:
    """Rows in the order of their contexts, if these are labels."""
    if given is None or given.rows.ndim > 1:
        return rows
    return rows[given.rows[rows].argsort(stable=True)]


def _veiled(original: Picture, shown: np.ndarray) -> Picture:
    """A picture whose hidden pixels are veiled."""
    from PIL import Image as Pictures

    pixels = np.array(original.convert("RGB"))
    pixels[~shown] = VEIL
    return Pictures.fromarray(pixels)
