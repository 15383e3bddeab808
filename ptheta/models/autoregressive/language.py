"""Token sequences of any length, through a context window.

An event of a `Sequence` space is a block of m tokens, as they are cut for training. A language model also reads and
writes longer and shorter sequences: token j is conditioned on what its window shows,

    p(x_j | x_{j−d+1:j−1}) in every block of the network,

and neither memory nor the time of a token grows with the length. A model without a window of its own has the event's
length as its window. The first token is conditioned too: on the end of a document before it, if documents end with a
token, since a text begins where another ended; else on the start token, which is what a block begins with, wherever it
was cut.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence as SequenceOf
from typing import Any, get_args

import torch
from torch import Tensor

from ptheta.errors import UsageError, nearest
from ptheta.models.autoregressive.base import CHUNK_DIMENSIONS, Autoregressive, Score
from ptheta.models.checks import checked_count, evaluating
from ptheta.sampling import Draft, Generation, Listener, Warp, beam_search, generate, generator_for, uniforms
from ptheta.sampling.decoding import Decoder
from ptheta.spaces import Document, Sequence

CHUNK = 256
"""Slots of a sequence that are read at once, at least; as many as the window if that is longer."""

TOGETHER = 2**14
"""Tokens of short sequences that are scored together, at most."""

GROUP, UNLIKE = 32, 1.5
"""Whole texts computed together: at least GROUP; beyond that, none more than UNLIKE times as long as the shortest."""

LOGITS = 2**24
"""Logits held while scoring, at most; for large vocabularies."""


class LanguageModel(Autoregressive):
    """Base of autoregressive families that go beyond the event's length on sequences."""

    window: int | None
    reads_on: bool
    """Whether events are token sequences in their own order, which may continue beyond an event."""

    @abstractmethod
    def reader(
        self, n: int, context: Tensor | None, slots: int, first: Tensor | None = None, compile: bool = False
    ) -> Decoder:
        """A decoder of n sequences, which extends, rewinds and keeps.

        Args:
            n: rows.
            context: validated, n rows.
            slots: tokens of a sequence, at most.
            first: the slot at which each row begins [n]; what is read before is padding.
            compile: run the blocks compiled.
        """

    @property
    @abstractmethod
    def start_token(self) -> int:
        """The token before the first of a sequence of any length."""

    ends: int | None
    """The token after which an event is nothing but ends, where events are whole texts in their own order."""

    @property
    def streams(self) -> bool:
        """Whether it reads and writes sequences of any length: blocks of a stream do, whole texts do not."""
        return self.reads_on and not isinstance(self.space, Document)

    @property
    def context_window(self) -> int:
        """d: slots that a block of the network sees of a sequence of any length: the window, or the event's length.

        A window beyond the event's length reaches further than learning ever showed.
        """
        return self.window or self.space.dimensions

    @property
    @abstractmethod
    def reach(self) -> int:
        """How many tokens before the last one the next one can depend on, through all layers."""

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        """As the base; in float64 sequences are scored one at a time, so that none depends on its batch."""
        if isinstance(self.space, Sequence) and self.dtype == torch.float64 and not self.training and len(x) > 1:
            return torch.cat([self._log_prob(x[i : i + 1], _row(context, i)) for i in range(len(x))])
        return super()._log_prob(x, context)

    def _scored(self, x: Tensor, context: Tensor | None, score: Score) -> Tensor:
        """As the base; whole texts of similar length together: little is computed after their ends."""
        if not isinstance(self.space, Document) or self.ends is None or not len(x):
            return super()._scored(x, context, score)
        written = (x != self.space.end).int()
        tokens = (written * torch.arange(1, x.shape[1] + 1, device=x.device)).amax(1) + 1  # only ends follow
        order = tokens.argsort(stable=True)
        parts = []
        on_cpu = x.device.type == "cpu"  # elsewhere many small groups take longer than padding
        for rows in order.split(similar(tokens[order].tolist()) if on_cpu else len(x)):
            z = self.flatten(x[rows])[:, : int(tokens[rows[-1]])]
            parts.append(score(self._conditionals(z, _rows(context, rows)), z).sum(-1))
        return torch.cat(parts)[order.argsort()]

    def log_prob_per_token(self, sequences: SequenceOf[Any], context: Any = None) -> list[Tensor]:
        """log p(x_j | what the window shows of x_<j) of every token of sequences of any length.

        Args:
            sequences: integers [k] each.
            context: a row for each sequence, or one.

        Returns:
            Nats [k] each, float64, on the CPU. In float32 they do not depend on what else is scored to within 1e-4
            nats a sequence of up to some thousand tokens, and in float64 not at all.
        """
        if not self.streams:
            return super().log_prob_per_token(sequences, context)
        assert isinstance(self.space, Sequence)
        rows = [self.space.validate_tokens(row).to(self.device) for row in sequences]
        context = self._validated_context(context, len(rows))
        scores: list[Tensor] = [torch.zeros(0, dtype=torch.float64)] * len(rows)
        alone = self.dtype == torch.float64
        with torch.inference_mode(), evaluating(self):
            queue = sorted((i for i in range(len(rows)) if len(rows[i])), key=lambda i: len(rows[i]))
            while queue:
                longest = len(rows[queue[-1]])
                many = 1 if alone or longest > self._chunk else max(1, self._together // longest)
                batch, queue = queue[-many:], queue[: max(0, len(queue) - many)]
                z = torch.zeros(len(batch), longest, dtype=torch.long, device=self.device)
                for i, row in enumerate(batch):
                    z[i, : len(rows[row])] = rows[row]  # padding on the right is seen by nothing before it
                found = self._scores(z, None if context is None else context[batch])
                for i, row in enumerate(batch):
                    scores[row] = found[i, : len(rows[row])].clone()
        return [part.clone() for part in scores]  # ordinary tensors, outside of inference mode

    @property
    def _together(self) -> int:
        assert isinstance(self.space, Sequence)
        return min(TOGETHER, LOGITS // self.space.levels)

    @property
    def _chunk(self) -> int:
        return max(CHUNK, self.context_window)

    def _scores(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Nats of every token of z [n, t], on the CPU, a chunk at a time."""
        n, t = z.shape
        reader = self.reader(n, context, t)
        before = torch.cat([z.new_full((n, 1), self.start_token), z[:, :-1]], 1)
        parts = []
        for start in range(0, t, self._chunk):
            here = slice(start, min(start + self._chunk, t))
            parts.append(reader.extend(before[:, here]).log_prob(z[:, here]).cpu())
        return torch.cat(parts, 1)

    def beam_search(
        self, context: Any = None, *, n: int | None = None, beams: int = 4, length_penalty: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """The most probable whole text given each context, as far as a beam sees; see `ptheta.sampling.beam`.

        Args:
            context: n rows; None: without.
            n: how many, where there is no context.
            beams: beginnings kept of each text; 1 is greedy.
            length_penalty: texts are ranked by log p / length^length_penalty.

        Returns:
            Texts [n, *space.shape] and their log p(x | context) in nats [n], float64.

        Raises:
            UsageError: the events are not whole texts in their own order.
        """
        if self.ends is None:
            raise UsageError(f"beam search is for whole texts, and the events are {self.space}", "use sample")
        if beams < 1:
            raise UsageError(f"beams is {beams}", "give at least 1")
        count = n if n is not None else 1 if context is None else len(self._context_rows(context))
        rows = self._validated_context(context, checked_count(count))
        many = max(1, CHUNK_DIMENSIONS // (self.space.dimensions * beams))
        texts, scores = [torch.zeros(0, self.space.dimensions, dtype=torch.long)], [torch.zeros(0).double()]
        with torch.inference_mode(), evaluating(self):
            for start in range(0, count, many):
                part = None if rows is None else rows[start : start + many].repeat_interleave(beams, 0)
                size = min(many, count - start)
                reader = self._decoder(size * beams, part)
                found = beam_search(reader, size, beams, self.space.dimensions, self.ends, length_penalty)
                texts.append(found[0].cpu())
                scores.append(found[1].cpu())
        return torch.cat(texts).clone(), torch.cat(scores).clone()

    def generate(
        self,
        prompts: int | SequenceOf[Any],
        tokens: int,
        context: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        draft: Draft = "none",
        listener: Listener | None = None,
        compile: bool = False,
    ) -> Generation:
        """Continue prompts, or write from the start; sequences may become longer than an event.

        A prompt of any length is read; as everywhere, a token is conditioned on what the window still shows of it.

        Args:
            prompts: token sequences, integers [k] each, of different lengths if need be; or a number of empty ones.
            tokens: drawn after each prompt, at most; a row ends earlier with the end-of-document token.
            context: a row for each prompt, or one.
            seed, generator: source of randomness. For the same number of tokens asked for, a row depends on its prompt,
                its number and the seed only.
            temperature, top_k, top_p, min_p: see `ptheta.sampling.Warp`.
            draft: `ngram` guesses what followed the same words before, `fixed_point` what the last pass would draw;
                guesses are checked in one pass, so fewer passes give the same tokens, up to rounding.
            listener: called with (row, token) for every token drawn; returns True to stop that row.
            compile: run the network's blocks through torch.compile; pays for very many tokens only.

        Returns:
            Tokens and their log-probabilities, before and after warping.

        Raises:
            UsageError: the space holds no sequences, or an argument makes no sense.
        """
        if not self.streams:
            raise UsageError(f"{self.space} is not generated token by token in this model's order", "use sample")
        assert isinstance(self.space, Sequence)
        if draft not in get_args(Draft):
            raise UsageError(f"no draft is called {draft!r}", nearest(str(draft), list(get_args(Draft))))
        if tokens < 0:
            raise UsageError(f"{tokens} tokens asked for", "give a number of at least 0")
        given = [[]] * prompts if isinstance(prompts, int) else prompts
        rows = [self.space.validate_tokens(prompt)[-self.reach - 1 :].to(self.device) for prompt in given]
        context = self._validated_context(context, len(rows))
        warp = Warp(temperature, top_k, top_p, min_p)
        noise = uniforms(len(rows), tokens, self.noise_size, generator=generator_for(seed, generator))
        result = Generation()
        longest = max((len(row) for row in rows), default=0)
        held = min(self.context_window + self._chunk, longest + tokens)
        many = 1 if self.dtype == torch.float64 else max(1, CHUNK_DIMENSIONS // max(held, 1))
        with torch.inference_mode(), evaluating(self):
            for start in range(0, len(rows), many):
                part = rows[start : start + many]
                padded, first = _padded(part)
                reader = self.reader(
                    len(part),
                    None if context is None else context[start : start + many],
                    padded.shape[1] + tokens + 1,
                    first.to(self.device) if bool(first.any()) else None,
                    compile,
                )
                result.add(
                    generate(
                        reader,
                        padded.to(self.device),
                        noise[start : start + many].to(self.device),
                        warp,
                        end=self.space.end,
                        draft=draft,
                        listener=None if listener is None else _shifted(listener, start),
                    )
                )
        for parts in (result.tokens, result.log_prob, result.log_prob_warped):
            parts[:] = [part.clone() for part in parts]  # ordinary tensors, outside of inference mode
        return result


def similar(lengths: SequenceOf[int]) -> list[int]:
    """How many of sorted lengths go together, group after group.

    A group has at least `GROUP`, while there are, and beyond these none much longer than its first.

    >>> similar([2] * 30 + [3] * 10 + [8] * 2 + [20] * 16)
    [40, 18]
    """
    groups, shortest = [0], 0
    for length in lengths:
        if groups[-1] >= GROUP and length > UNLIKE * shortest:
            groups.append(0)
        shortest = shortest if groups[-1] else length
        groups[-1] += 1
    return groups


def _row(context: Tensor | None, i: int) -> Tensor | None:
    return None if context is None else context[i : i + 1]


def _rows(context: Tensor | None, rows: Tensor) -> Tensor | None:
    """Some rows of a context; one that was broadcast stays one."""
    if context is None or (len(context) > 1 and context.stride(0) == 0):
        return None if context is None else context[: len(rows)]
    return context[rows]


def _padded(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows padded on the left [n, k], and how much of each is padding [n]: rows then stand at the same slot."""
    longest = max((len(row) for row in rows), default=0)
    first = torch.tensor([longest - len(row) for row in rows])
    z = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        z[i, longest - len(row) :] = row
    return z, first


def _shifted(listener: Listener, start: int) -> Listener:
    return lambda row, token: listener(start + row, token)
