"""Texts, as a stream of tokens or as an event each: samples in one file, the surprise of every token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import DocumentCodec, TextCodec
from ptheta.errors import UsageError
from ptheta.evaluation.results import Score
from ptheta.evaluation.samples import features
from ptheta.files import write_bytes
from ptheta.models import Autoregressive
from ptheta.reporting.documents import Rates, byte_count, lines_of, rates_text, reads_documents, write_text_surprise
from ptheta.reporting.exhibits.base import Exhibit
from ptheta.reporting.exhibits.given import Given
from ptheta.reporting.exhibits.ranking import Ranking
from ptheta.reporting.markup import Html, paragraph, table, tag
from ptheta.reporting.surprise import END, legend, marked, spans
from ptheta.runs import Run

TEXTS = 16
"""Texts in the overview of a run."""

REPORTED, CHARACTERS = 3, 700
"""Texts of each kind in a report, and characters of one, at most."""

RANKED = 3
"""Most, and least, surprising texts in a report."""


class Texts(Exhibit[TextCodec]):
    """Blocks of a stream of tokens."""

    overview = TEXTS
    completion = "tokens"
    names_dimensions = False
    pages = {  # noqa: RUF012
        "samples": ("samples.txt", "texts sampled from the model."),
        "surprise": ("surprise.html", "−log p of every token of unseen text; open it in a browser."),
    }

    # scores

    def rates(self, score: Score, x: np.ndarray) -> dict[str, float]:
        """Nats per token, bits per byte and perplexity."""
        return Rates(score.nats * score.n, x.size, byte_count(self.codec, x)).to_json()

    def spelled(self, results: Mapping[str, float]) -> str:
        """Bits per byte, nats per token and perplexity."""
        return rates_text(results) if "perplexity" in results else super().spelled(results)

    # samples

    def write_overview(self, x: Tensor, folder: Path, given: Given | None) -> list[Path]:
        """Texts in one file, one below the other, with a mark where a document ends."""
        text = stacked(self.codec, x.tolist(), None if given is None else given.names)
        return [write_bytes(folder / "samples.txt", text.encode())]

    def extras(
        self, run: Run, x: Tensor | None, say: Callable[[str], None]
    ) -> dict[str, Callable[[float], list[Path]]]:
        """A page of unseen text."""
        return {"page of surprise": lambda seconds: write_text_surprise(run)}

    # completions

    def read_mask(self, path: Path) -> Tensor:
        """Texts have no mask."""
        raise UsageError("a text has no mask", "use --keep")

    def check_prompt(self, run: Run) -> None:
        """A text begins with any prompt, if the model can continue it."""

    # a report

    def features(self, several: list[Tensor]) -> list[np.ndarray]:
        """Principal components of counts of character 1- to 3-grams."""
        return features(self.codec, several)

    def samples(self, several: Mapping[str, Tensor], rows: np.ndarray, given: Given | None) -> Html:
        """The beginnings of texts side by side."""
        columns = (
            tag("div", tag("h3", title), *(tag("pre", self._beginning(x[row])) for row in rows[:REPORTED]))
            for title, x in several.items()
        )
        return tag("div", *columns, cls="excerpts")

    def _beginning(self, row: Tensor) -> str:
        parts = [END.encode() if token == self.codec.end else self.codec.piece(token) for token in row.tolist()]
        text = b"".join(parts).decode("utf-8", "replace")
        return text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…"

    def note(self, run: Run) -> str:
        """How much of a text is shown."""
        return f" The first {CHARACTERS} characters of blocks of {run.model.space.dimensions} tokens."

    def surprises(self, ranking: Ranking) -> list[Html]:
        """Texts with the surprise of their tokens, where the model reads them in order."""
        return token_by_token(self.codec, ranking, lambda x: len(x)) if reads_documents(ranking.run) else []


class Documents(Exhibit[DocumentCodec]):
    """Texts that are an event each."""

    overview = TEXTS
    contexts = TEXTS
    each = 1
    completion = "texts"
    is_text = True
    is_cell = True
    names_dimensions = False
    pages = {"samples": ("samples.txt", "texts sampled from the model.")}  # noqa: RUF012
    example = '"some text"'

    # scores

    def rates(self, score: Score, x: np.ndarray) -> dict[str, float]:
        """Nats per token, bits per byte and perplexity, of the texts' own tokens, each with its end."""
        tokens = int(self.codec.space.lengths(torch.from_numpy(x)).sum())
        return Rates(score.nats * score.n, tokens, sum(map(len, self.codec.to_bytes(x)))).to_json()

    def spelled(self, results: Mapping[str, float]) -> str:
        """Bits per byte, nats per token and perplexity."""
        return rates_text(results) if "perplexity" in results else super().spelled(results)

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
            "leave out --prompt; `ptheta complete` continues a file",
        )

    # a report

    def features(self, several: list[Tensor]) -> list[np.ndarray]:
        """Principal components of counts of character 1- to 3-grams."""
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


def stacked(codec: TextCodec | DocumentCodec, rows: list[list[int]], names: list[str] | None) -> str:
    """Texts one below the other, with a mark where a document ends.

    Args:
        codec: of the tokens.
        rows: tokens of each text.
        names: of their contexts, if there are any.
    """
    parts = []
    for i, row in enumerate(rows):
        text = b"".join(END.encode() + b"\n" if token == codec.end else codec.piece(token) for token in row)
        given = "" if names is None else f", {names[i]}"
        parts.append(f"── {i + 1} of {len(rows)}{given} ──\n{text.decode('utf-8', 'replace')}\n")
    return "\n".join(parts)


def token_by_token(codec: TextCodec | DocumentCodec, ranking: Ranking, length: Callable[[Tensor], int]) -> list[Html]:
    """The most and least surprising texts, after what was given, with the surprise of their tokens.

    Args:
        codec: of the tokens.
        ranking: of texts, by an autoregressive model.
        length: of one text [m], in tokens: what comes after it costs nothing, and is not shown.
    """
    model, order = ranking.run.model, ranking.order
    assert isinstance(model, Autoregressive)
    n = min(RANKED, len(order) // 2)
    parts: list[Html] = [tag("h3", "Token by token"), Html(legend())]
    for name, rows in (("most", order[:n]), ("least", order[-n:].flip(0))):
        for place, row in enumerate(rows.tolist(), 1):
            x, context = ranking.split.events([row])
            with torch.no_grad():
                pieces = model.log_prob_per_dimension(x, context)[0].cpu()
            tokens = x[0][: length(x[0])]
            title = f"{name} surprising, number {place}: {-float(pieces.sum()):.1f} nats"
            parts.append(tag("h4", title))
            if ranking.given is not None:
                parts.append(paragraph("given ", ranking.given[[row]].marked()[0], cls="how"))
            parts.append(Html(marked(spans(codec, tokens.tolist(), pieces[: len(tokens)]))))
    return parts
