"""Whole texts: printed, and in one file after their contexts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import DocumentCodec
from ptheta.errors import UsageError
from ptheta.evaluation.results import Score
from ptheta.evaluation.samples import features
from ptheta.files import write_bytes
from ptheta.models import Autoregressive
from ptheta.reporting.documents import Rates, lines_of, said
from ptheta.reporting.exhibits.base import Exhibit
from ptheta.reporting.exhibits.given import Given
from ptheta.reporting.exhibits.ranking import Ranking
from ptheta.reporting.exhibits.texts import CHARACTERS, TEXTS, stacked, token_by_token
from ptheta.reporting.markup import Html, table
from ptheta.runs import Run


class WholeTexts(Exhibit[DocumentCodec]):
    """Texts that are an event each."""

    overview = TEXTS
    contexts = TEXTS
    each = 1
    completion = "texts"
    is_text = True
    is_cell = True
    names_dimensions = False
    pages = {"samples": ("samples.txt", "texts drawn from it.")}  # noqa: RUF012
    example = '"some text"'

    # scores

    def rates(self, score: Score, x: np.ndarray) -> dict[str, float]:
        """Nats per token, bits per byte and perplexity, of the texts' own tokens, each with its end."""
        tokens = int(self.codec.space.lengths(torch.from_numpy(x)).sum())
        return Rates(score.nats * score.n, tokens, sum(map(len, self.codec.to_bytes(x)))).to_json()

    def spelled(self, results: Mapping[str, float]) -> str:
        """Bits per byte, nats per token and perplexity."""
        return said(results) if "perplexity" in results else super().spelled(results)

    # samples

    def write_overview(self, x: Tensor, folder: Path, given: Given | None) -> list[Path]:
        """Texts in one file: after their contexts, if there are any, else one below the other."""
        if given is not None:
            text = lines_of(self.codec.decode(x), given.names)
        else:
            lengths = self.codec.space.lengths(x).tolist()
            text = stacked(self.codec, [row[:k] for row, k in zip(x.tolist(), lengths)], None)
        return [write_bytes(folder / "samples.txt", text.encode())]

    # completions

    def read_mask(self, path: Path) -> Tensor:
        """Texts have no mask."""
        raise UsageError("a text has no mask", "use --keep")

    def check_prompt(self, run: Run) -> None:
        """A whole text is drawn from its beginning."""
        raise UsageError(
            f"{run.path} draws whole texts from their beginning",
            "leave out --prompt; `ptheta complete` goes on from a file",
        )

    # a report

    def features(self, several: list[Tensor]) -> list[np.ndarray]:
        """Principal components of counts of pieces of one to three characters."""
        return features(self.codec, several)

    def listed(self, title: str, x: Tensor, given: Given | None) -> Html:
        """Texts, after their contexts if there are any."""
        cells = [(text[:CHARACTERS],) for text in self.codec.decode(x)]
        if given is None:
            return table(title, ("text",), cells, text=[0], named=False)
        rows = [(name, *row) for name, row in zip(given.marked(), cells)]
        return table(title, ("given", "text"), rows, text=[0, 1], named=False)

    def surprises(self, ranking: Ranking) -> list[Html]:
        """Texts with the surprise of their tokens, each up to its end; the ends after it cost nothing."""
        if not isinstance(ranking.run.model, Autoregressive):
            return super().surprises(ranking)
        return token_by_token(self.codec, ranking, lambda x: int(self.codec.space.lengths(x[None])[0]) + 1)
