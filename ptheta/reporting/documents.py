"""Scores of text: per token, per byte, and document by document."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import TextCodec
from ptheta.data.streams import TextSplit
from ptheta.files import write_text
from ptheta.models import Autoregressive
from ptheta.numbers import nats, plural
from ptheta.reporting.columns import write_columns
from ptheta.reporting.surprise import Span, page, spans
from ptheta.runs import Run

TOGETHER = 2**15
"""Tokens of documents that are handed to the model together, about; progress is reported after each such group."""

SHOWN = 20_000
"""Tokens on a page of surprise, at most."""

FIRST = 2_000
"""Tokens on the page of surprise in a run folder, at most."""

STEP = 2**20
"""Tokens whose bytes are counted at once."""


@dataclass(frozen=True)
class Rates:
    """The likelihood of some text, by its size.

    Attributes:
        nats: −log p of all of it.
        tokens: scored, ends of documents among them.
        bytes: of the text itself.
    """

    nats: float
    tokens: int
    bytes: int

    @property
    def nats_per_token(self) -> float:
        """Nats of a token; undefined without any."""
        return self.nats / self.tokens if self.tokens else math.nan

    @property
    def bits_per_byte(self) -> float:
        """Bits of a byte of text, which compares across tokenizers; undefined without any."""
        return self.nats / (math.log(2) * self.bytes) if self.bytes else math.nan

    @property
    def perplexity(self) -> float:
        """exp of the nats of a token."""
        return math.exp(self.nats_per_token) if not self.nats_per_token > 700 else math.inf

    def to_json(self) -> dict[str, float]:
        """The three rates by name."""
        return {
            "nats_per_token": self.nats_per_token,
            "bits_per_byte": self.bits_per_byte,
            "perplexity": self.perplexity,
        }


def rates_text(results: Mapping[str, Any]) -> str:
    """The rates of text among some results, in print.

    >>> rates_text(Rates(math.log(2) * 32, 16, 20).to_json())
    '1.6000 bits/byte, 1.3863 nats/token, perplexity 4.00 per token'
    """
    token, byte, perplexity = (results[key] for key in ("nats_per_token", "bits_per_byte", "perplexity"))
    if not math.isfinite(token):
        return "∞ bits/byte, perplexity ∞ per token"
    return f"{byte:.4f} bits/byte, {token:.4f} nats/token, perplexity {perplexity:,.2f} per token"


def byte_count(codec: TextCodec, tokens: np.ndarray) -> int:
    """Bytes of text that tokens of any shape stand for; an end of a document has none."""
    flat, lengths = tokens.reshape(-1), codec.byte_lengths
    return sum(int(lengths[flat[start : start + STEP]].sum()) for start in range(0, len(flat), STEP))


def lines_of(texts: Sequence[str], names: Sequence[str] | None) -> str:
    """Texts on a line each, after their contexts and a tab if they have any."""
    lines = [" ".join(text.split()) for text in texts]
    return "".join(f"{line}\n" if names is None else f"{names[i]}\t{line}\n" for i, line in enumerate(lines))


def reads_documents(run: Run) -> bool:
    """Whether a run scores texts of any length, token after token."""
    return _reader(run) is not None


def _reader(run: Run) -> tuple[TextCodec, Autoregressive] | None:
    """What a run reads tokens with, and what scores them; None if it does not read texts of any length."""
    codec, model = run.codec, run.model
    if not isinstance(codec, TextCodec) or not isinstance(model, Autoregressive):
        return None
    in_order = torch.equal(model.visit.cpu(), torch.arange(model.space.dimensions))
    return (codec, model) if in_order else None


@dataclass
class DocumentScores:
    """What scoring documents gave.

    Attributes:
        rows: the index of each document in the source, from 0 on [n].
        log_prob: nats [n] float64.
        tokens, bytes: of each, [n].
        pieces: nats of every token of each, if they were asked for.
        shown: row, and spans of the beginning, of the first documents.
        worst: row, and spans of the beginning, of the document that is most surprising per byte.
        cut: whether `shown` is less than all.
        files: of each, if each came from its own.
    """

    rows: np.ndarray
    log_prob: Tensor
    tokens: np.ndarray
    bytes: np.ndarray
    pieces: list[np.ndarray]
    shown: list[tuple[int, list[Span]]]
    worst: tuple[int, list[Span]]
    cut: bool
    files: list[str] | None = None

    @property
    def rates(self) -> Rates:
        """Of all documents together."""
        return Rates(-float(self.log_prob.sum()), int(self.tokens.sum()), int(self.bytes.sum()))

    @property
    def bits_per_byte(self) -> np.ndarray:
        """Of each document [n]; NaN if it is empty."""
        bits = -self.log_prob.numpy() / math.log(2)
        return np.divide(bits, self.bytes, out=np.full(len(bits), np.nan), where=self.bytes > 0)


def score_documents(
    run: Run,
    split: TextSplit,
    *,
    limit: int | None = None,
    per_token: bool = False,
    advance: Callable[[int], None] = lambda n: None,
) -> DocumentScores:
    """Score documents whole: every token from the first, and the end-of-document token if there is one.

    Args:
        run: for which `reads_documents` holds.
        split: whose documents are scored.
        limit: at most this many, drawn with a fixed seed, in their old order.
        per_token: keep the nats of every token.
        advance: called with the number of documents done.
    """
    reader = _reader(run)
    assert reader is not None
    codec, model = reader
    count = len(split.ends)
    rows = np.arange(count)
    if limit is not None and limit < count:
        rows = np.sort(np.random.default_rng(0).choice(count, limit, replace=False))
    sizes = np.diff(split.ends, prepend=0)[rows]
    log_prob = torch.zeros(len(rows), dtype=torch.float64)
    sizes_in_bytes = np.zeros(len(rows), np.int64)
    numbers = split.document_rows[rows]
    found = DocumentScores(numbers, log_prob, sizes, sizes_in_bytes, [], [], (0, []), False)
    found.files = None if split.files is None else [split.files[row] for row in rows]
    room, most = SHOWN, -math.inf
    for group in _groups(sizes):
        documents = [split.document(int(rows[i])) for i in group]
        scores = _scores(model, documents)
        for i, document, pieces in zip(group, documents, scores):
            log_prob[i] = pieces.sum()
            sizes_in_bytes[i] = byte_count(codec, document)
            if per_token:
                found.pieces.append(pieces.numpy())
            if room > 0:
                found.shown.append((int(numbers[i]), spans(codec, document[:room], pieces[:room])))
            found.cut |= room < len(document)
            room = max(0, room - len(document))
            surprise = -float(log_prob[i]) / int(sizes_in_bytes[i]) if sizes_in_bytes[i] else -math.inf
            if not found.worst[1] or surprise > most:
                most, found.worst = surprise, (int(numbers[i]), spans(codec, document[:SHOWN], pieces[:SHOWN]))
        advance(len(group))
    return found


def _scores(model: Autoregressive, documents: list[np.ndarray]) -> list[Tensor]:
    """Nats of every token of each document."""
    with torch.no_grad():
        return model.log_prob_per_token([document.astype(np.int64) for document in documents])


def _groups(sizes: np.ndarray) -> Iterator[list[int]]:
    """Numbers of documents, in order, in groups of about `TOGETHER` tokens."""
    group: list[int] = []
    held = 0
    for i, size in enumerate(sizes.tolist()):
        group.append(i)
        held += size
        if held >= TOGETHER:
            yield group
            group, held = [], 0
    if group:
        yield group


def write_document_scores(run: Run, found: DocumentScores, path: Path, heading: str) -> list[Path]:
    """Write scores of documents as Parquet or CSV, and beside it a page on which every token shows its surprise.

    Columns: `row`, the document's index in the source, from 0 on; `file`, if each came from its own; `log_prob` in
    nats; `tokens`; `bytes`; `bits_per_byte`, null for an empty document; and `log_prob_per_dimension`, a list of nats,
    if the pieces were kept.

    Args:
        run: that scored.
        found: the scores.
        path: of the file; the page has the same name and ends with .html.
        heading: of the page.

    Returns:
        The files written.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {
        "row": found.rows,
        **({} if found.files is None else {"file": found.files}),
        "log_prob": found.log_prob.numpy(),
        "tokens": found.tokens,
        "bytes": found.bytes,
        "bits_per_byte": pa.array(found.bits_per_byte, from_pandas=True),
    }
    if found.pieces:
        offsets = pa.array(np.concatenate([[0], np.cumsum(found.tokens)]).astype(np.int32))
        columns["log_prob_per_dimension"] = pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(found.pieces)))
    write_columns(columns, path)
    parts = [
        (f"document {row}: {nats(total)} nats" + f", {bits:.4f} bits/byte" * math.isfinite(bits), several)
        for (row, several), total, bits in zip(found.shown, (-found.log_prob).tolist(), found.bits_per_byte.tolist())
    ]
    notes = [f"{nats(found.rates.nats)} nats in all, {rates_text(found.rates.to_json())}"]
    notes.append(f"{plural(len(found.rows), 'document')}, {plural(found.rates.tokens, 'token')}")
    if found.cut:
        notes.append(f"only the first {SHOWN:,} tokens are shown")
    file = path.with_suffix(".html")
    write_text(file, page(heading, notes, parts))
    return [path, file]


def write_text_surprise(run: Run) -> list[Path]:
    """Write surprise.html: the beginning of the unseen text, every token with its surprise."""
    name = next((name for name in ("test", "validation") if name in run.data.splits), None)
    split = None if name is None else run.data.splits[name]
    reader = _reader(run)
    if not isinstance(split, TextSplit) or reader is None:
        return []
    codec, model = reader
    documents, room = [], FIRST
    for i in range(len(split.ends)):
        documents.append(split.document(i)[:room])
        room -= len(documents[-1])
        if room <= 0:
            break
    scores = _scores(model, documents)
    parts = [
        (f"document {i}", spans(codec, document, pieces)) for i, (document, pieces) in enumerate(zip(documents, scores))
    ]
    tokens = np.concatenate(documents)
    rates = Rates(-sum(float(pieces.sum()) for pieces in scores), len(tokens), byte_count(codec, tokens))
    notes = [f"{plural(len(tokens), 'token')}: {rates_text(rates.to_json())}"]
    if len(tokens) < len(split.stream):
        notes.append(f"the rest of {plural(len(split.stream), 'token')} is not shown")
    file = run.path / "surprise.html"
    write_text(file, page(f"{run.name} on the {name} text of {run.config['data']['name']}", notes, parts))
    return [file]
