"""The network of a causal transformer: from values and places to logits, for all slots at once or a few of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.distributions import CategoricalHead
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.models.autoregressive.neighbours import Neighbourhood
from ptheta.models.conditions import ContextEncoder
from ptheta.nn import Block, Conditioning, Layers, Rotary, Turn, norm
from ptheta.nn.lexicon import Alignment, Lexicon, repeated

Slots = slice | Tensor
"""Which slots: the same of every row, or [n, t]."""


class Trunk(LanguageModel):
    """Embeddings, blocks and outputs of a transformer, which its parallel pass and its cached decoder share.

    Attributes:
        width, heads, layers: of the stream, of attention, blocks.
        head: of all conditionals.
        token: embedding of values; the last one: nothing came before.
        place, source: learned places of slots, and of the values before them.
        neighbours: what a slot is given of the values around it.
        condition, attends: the encoder of contexts, and whether blocks attend to its tokens.
        rotary, blocks, drop, out, output_bias: the layers.
        dictionary, stop: of texts given texts, and the token that ends a context.
        cut: the token at which a document ends, where documents are kept apart.
        slots: the order in which parameters' slots are visited, [m].
    """

    width: int
    heads: int
    layers: int
    head: CategoricalHead
    token: nn.Embedding
    place: nn.Parameter | None
    source: nn.Parameter | None
    neighbours: Neighbourhood | None
    condition: ContextEncoder | None
    attends: bool
    rotary: Rotary
    blocks: Layers[Block]
    drop: nn.Dropout
    out: nn.Linear
    output_bias: nn.Parameter | None
    dictionary: Lexicon | None
    stop: int
    cut: int | None
    slots: Tensor

    def _conditions(self, context: Tensor | None) -> Conditioning | None:
        """What the blocks are conditioned on, from a context [n, …], computed once."""
        if self.condition is None or context is None:
            return None
        encoded = self.condition(context)
        if not self.attends:
            return Conditioning(encoded.vector, [None] * self.layers)
        words = None
        if self.dictionary is not None:
            tokens = context[:, : encoded.tokens.shape[1]]
            present = encoded.present & (tokens >= 0) & (tokens != self.stop)
            same = 1 if self.training else repeated(tokens)
            words = self.dictionary.words(encoded.tokens, tokens, present, same)
        return Conditioning(encoded.vector, [block.memory(encoded) for block in self.blocks], words)

    def embed(
        self,
        previous: Tensor,
        around: Tensor | None,
        conditioning: Conditioning | None,
        slots: Slots,
        sources: Slots | None,
    ) -> Tensor:
        """Stream at slots [n, t, width] from the tokens before them [n, t], where these were, and those around them."""
        h = self.token(previous)
        if self.neighbours is not None and around is not None:
            h = h + self.neighbours(around)
        if self.place is not None:
            h = h + self.place[slots]
        if self.source is not None:
            h = h + self.source[sources]
        if conditioning is not None:
            h = h + conditioning.vector[:, None]
        return self.drop(h)

    def _through(
        self, h: Tensor, turns: tuple[Turn, Turn], conditioning: Conditioning | None, back: Tensor | None = None
    ) -> Tensor:
        """The stream [n, t, width] after all blocks."""
        memories = conditioning.memories if conditioning is not None else [None] * len(self.blocks)
        for block, memory in zip(self.blocks, memories):
            h = block(h, turns, back=back, memory=memory)
        return h

    def alignment(
        self, before: Tensor, conditioning: Conditioning | None, covered: Tensor | None = None
    ) -> Alignment | None:
        """Where the values before some slots came from, by the lexicon; None without one."""
        if self.dictionary is None or conditioning is None or conditioning.words is None:
            return None
        return self.dictionary.alignment(before, conditioning.words, covered)

    def outputs(
        self,
        h: Tensor,
        slots: Slots,
        before: Tensor,
        conditioning: Conditioning | None = None,
        alignment: Alignment | None = None,
    ) -> Tensor:
        """Logits [n, t, K] from the stream, the values before the slots [n, t] and where those came from."""
        h = norm(h)
        logits = self.out(h)
        if alignment is not None:
            assert self.dictionary is not None
            assert conditioning is not None
            assert conditioning.words is not None
            logits = logits + self.dictionary(h, conditioning.words, alignment)
        if self.output_bias is not None:
            logits = logits + self.output_bias[slots]
        if self.ends is not None:  # nothing but ends follows an end
            certain = logits.new_full(logits.shape[-1:], -torch.inf)
            certain[self.ends] = 0
            logits = torch.where((before == self.ends)[..., None], certain, logits)
        return logits

    def _turns(self, slots: Slots, sources: Slots | None) -> tuple[Turn, Turn]:
        """Rotary positions of queries, and of keys: those of the values that slots were given, where orders vary."""
        queries = self.rotary.at(slots)
        if not isinstance(sources, Tensor):
            return queries, queries
        return queries, self.rotary.at(torch.where(sources < self.space.dimensions, sources, 0))

    def as_starts(self, previous: Tensor) -> Tensor:
        """Values with every end of a document as the start of the next, if documents are kept apart."""
        return previous if self.cut is None else torch.where(previous == self.cut, self.head.size, previous)
