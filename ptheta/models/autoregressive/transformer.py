"""Causal transformer over any discrete space.

Slot j predicts x_j from x_{<j}:

    h_j = embedding(x_{j−1}) + local(neighbours of j already visited) + place(j) + vector(context)
    h   = blocks of causal attention with rotary positions, to the context's tokens as well, then feed-forward
    p(x_j | x_<j, y) = softmax(head(h_j) + bias_j)

Features:
- positions follow the geometry of the space: rotary over rows, columns (and channels) for images, over the index for
  sequences; images also have learned places
- `local`: the slot gets the values of its nearest visited neighbours (above, left …; in a sequence the last tokens),
  which attention would otherwise have to find
- `any_order`: learned over random orders, so that any part of an event can be completed from any other; a slot is then
  also given where the previous value was, queries turn with the slot and keys with the value's place (cf. Pannatier et
  al. 2024, arXiv:2404.09562, σ-GPTs)
- `window`: each block sees this many slots, in decoding exactly as in training
- `across_documents`: whether a slot sees past the end of the last document
- contexts of any kind: their encoder runs once for an event, and its keys and values are kept while decoding
- whole texts (`Document`): after its end a text continues with ends, with probability 1
- decoding with a key–value cache equals the parallel pass, and continues beyond the event's length for sequences
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.distributions import CategoricalHead, Distribution
from ptheta.errors import UsageError
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.autoregressive.cached import CachedDecoder
from ptheta.models.autoregressive.neighbours import Neighbourhood
from ptheta.models.autoregressive.orders import Order, as_order, random_orders, visiting_order
from ptheta.models.autoregressive.trunk import Trunk
from ptheta.models.checks import check_heads, check_sizes
from ptheta.models.conditions import CONTEXTS, ContextEncoder, checked_part, parts_of
from ptheta.models.inputs import Mapped, marginal_logits
from ptheta.models.levels import MAX_BIAS, level_embedding
from ptheta.nn import Block, Conditioning, Layers, Rotary
from ptheta.nn.lexicon import HELD_OUT_DISCOUNT, PAIRS, Lexicon, translations
from ptheta.spaces import Discrete, Document, Sequence, Space

BATCH_TOKENS = 2**11
"""Tokens of one optimiser step of a language model, unless the batch size is given."""


MAX_LEXICON = 2**25
"""Entries of a lexicon, at most."""


class Transformer(Trunk):
    """Causal transformer.

    Args:
        space: discrete.
        context_space: of any kind, or None.
        width: of the stream.
        layers: blocks.
        heads: attention heads.
        window: slots a block sees, itself included; None for all.
        local: radius of the neighbourhood of visited values given to each slot; None: 2 for images, 5 for sequences in
            their order, 0 otherwise.
        dropout: probability with which entries of a branch are dropped in training; None: 0.2, and 0 for sequences
            without a context.
        word_dropout: of sequences, probability with which a token, of the context too, says nothing to the network in
            training (Gal and Ghahramani 2016); a lexicon sees it still.
        across_documents: whether a token sees past the end-of-document token before it; without, every document begins
            as an event does, and its probability does not depend on what it was packed with.
        any_order: learn all orders; `order` is then the one in which events are scored and sampled.
        context_layers: blocks over the tokens of a context.
        context_dropout: see `Model.context_dropout`.
        lexicon: of texts given texts: add to the logits which tokens go with those of the context, as counted before
            learning, see `ptheta.nn.lexicon`.
        hold_out: learn with a lexicon in which an event's own words were not counted, so that it is trusted as far as
            it is right about other events. Scores and samples have all of it.
        order: visiting order, see `Autoregressive`.
    """

    slots: Tensor
    coordinates: Tensor
    spaces = (Discrete,)
    context_spaces = CONTEXTS

    def __init__(
        self,
        space: Space,
        context_space: Space | None = None,
        *,
        width: int = 96,
        layers: int = 4,
        heads: int = 4,
        window: int | None = None,
        local: int | None = None,
        dropout: float | None = None,
        word_dropout: float = 0.0,
        across_documents: bool = True,
        any_order: bool = False,
        context_layers: int = 2,
        context_dropout: float = 0.1,
        lexicon: bool = False,
        hold_out: bool = False,
        order: Order = None,
    ):
        super().__init__(space, context_space, order)
        assert isinstance(space, Discrete)
        check_sizes(width=width, layers=layers, heads=heads, window=window)
        check_sizes(0, local=local, context_layers=context_layers)
        check_heads(width, heads)
        if word_dropout and (any_order or order is not None or not isinstance(space, Sequence)):
            raise UsageError("word dropout is for sequences in their own order", "leave out --word-dropout")
        self.width, self.layers, self.heads, self.window = width, layers, heads, window
        self.local, self.dropout, self.any_order = local, dropout, any_order
        self.context_layers, self.context_dropout = context_layers, checked_part(context_dropout)
        self.word_dropout = checked_part(word_dropout, "word dropout")
        plain = isinstance(space, Sequence) and context_space is None
        dropped = (0.0 if plain else 0.2) if dropout is None else dropout
        self.across_documents = across_documents
        whole = isinstance(space, Document)
        end = space.end if isinstance(space, Sequence) and not whole else None
        if not across_documents and end is None:
            raise UsageError(f"{space} has no end-of-document token", "leave out --no-across-documents")
        if not across_documents and (any_order or order is not None):
            raise UsageError("documents are kept apart in the order of the text only", "leave out the other order")
        self.cut = None if across_documents else end
        m, levels = space.dimensions, space.levels
        coordinates = space.coordinates()[self.visit]  # [m, axes]
        self.head = CategoricalHead(space, self.visit)
        self.token = level_embedding(space, width, std=0.1)  # the last one: nothing came before
        placed = not isinstance(space, Sequence)
        self.place = nn.Parameter(torch.randn(m, width) * 0.02) if placed else None
        natural = torch.equal(self.visit, torch.arange(m))
        self.reads_on = isinstance(space, Sequence) and natural and not any_order
        usual = 5 if self.reads_on else 2 if coordinates.shape[1] > 1 else 0
        radius = usual if local is None else local
        self.neighbours = Neighbourhood(coordinates, radius, space, width, any_order) if radius else None
        self.ends = space.end if whole and self.reads_on else None
        self.condition = None
        if context_space is not None:
            self.condition = ContextEncoder(context_space, width, context_layers, heads, dropped, self.word_dropout)
        self.attends = any(space.shape for _, space in parts_of(context_space)) if context_space is not None else False
        self.lexicon, self.hold_out = lexicon, hold_out
        self.dictionary, self.stop = self._dictionary(lexicon), -1
        if isinstance(context_space, Document):
            self.stop = context_space.end
        self.rotary = Rotary(coordinates, width // heads)
        self.blocks: Layers[Block] = Layers(Block(width, heads, window, dropped) for _ in range(layers))
        self.drop = nn.Dropout(dropped)
        self.out = nn.Linear(width, levels, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(m, levels)) if placed and m * levels <= MAX_BIAS else None
        nn.init.zeros_(self.out.weight)
        # Parameters know dimensions by their slot in the order above; `slots` is the order in which they are visited.
        self.register_buffer("slots", torch.arange(m), persistent=False)
        self.register_buffer("coordinates", coordinates, persistent=False)
        self.source = nn.Parameter(torch.randn(m + 1, width) * 0.02) if any_order else None  # the last one: the start

    def _dictionary(self, wanted: bool) -> Lexicon | None:
        if not wanted and self.hold_out:
            raise UsageError("hold_out is of a lexicon, and there is none", "add --lexicon, or leave out --hold-out")
        if not wanted:
            return None
        told = self.context_space
        if not isinstance(self.space, Document) or not isinstance(told, Document) or not self.reads_on:
            raise UsageError("a lexicon is for whole texts given texts, in their order", "leave out --lexicon")
        levels, outputs = told.levels, self.space.levels
        if levels * outputs > MAX_LEXICON:
            what = f"a lexicon of {levels:,} by {outputs:,} tokens is too large"
            raise UsageError(what, "leave out --lexicon, or give a smaller --vocabulary")
        return Lexicon(levels, outputs, self.width, self.hold_out)

    def prepare_pairs(self, events: Iterable[Tensor], contexts: Iterable[Tensor]) -> None:
        """Count the lexicon from texts and their contexts."""
        if self.dictionary is None:
            return
        assert isinstance(self.space, Document)
        targets, sources, room = [], [], PAIRS
        for x, context in zip(events, contexts):
            for target, source in zip(x.cpu().numpy(), context.cpu().numpy()):
                target, source = target[target != self.space.end], source[(source != self.stop) & (source >= 0)]
                room -= len(target) * (len(source) + 1)
                if room < 0:
                    break
                targets.append(target)
                sources.append(source)
        how: dict[str, Any] = {"discount": HELD_OUT_DISCOUNT, "agree": True} if self.hold_out else {}
        levels, outputs = self.dictionary.table.shape
        table, counts = translations(sources, targets, levels, outputs, **how)
        self.dictionary.table.copy_(torch.from_numpy(table))
        if self.dictionary.counts is not None:
            self.dictionary.counts.copy_(torch.from_numpy(counts))

    def _held_out(self, z: Tensor, conditions: Conditioning | None) -> Conditioning | None:
        """Conditions whose lexicon has not counted the values z [n, m]."""
        if self.dictionary is None or conditions is None or conditions.words is None:
            return conditions
        return conditions._replace(words=self.dictionary.held_out(conditions.words, z))

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings that suit it: on sequences, `BATCH_TOKENS` a step."""
        chosen = {"optimizer": "muon", "learning_rate": 3e-3, "batch_size": 32, "precision": "native"}
        if isinstance(self.space, Sequence) and not isinstance(self.space, Document):
            chosen |= {"batch_size": max(1, BATCH_TOKENS // self.space.length)}
        return chosen

    @property
    def reach(self) -> int:
        """Windows of all blocks, one upon the other, and the tokens that slots are given."""
        return self.layers * (self.context_window - 1) + (self.neighbours.count if self.neighbours else 1)

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Start at the marginals of the training events."""
        if self.output_bias is not None:
            z = Mapped(lambda x: self._in_slots(self.flatten(x)), chunks)
            self.output_bias.data.copy_(marginal_logits(z, self.head.size))

    def reordered(self, order: Order | Tensor) -> Autoregressive:
        """The same weights, visiting in another order; see `Autoregressive.reordered`."""
        if not self.any_order:
            return super().reordered(order)
        visit = visiting_order(self.space, as_order(order)).to(self.device)
        view = copy.copy(self)
        view._buffers = dict(self._buffers)
        view.slots = self.slots[self.unvisit[visit]]
        view.visit, view.unvisit = visit, visit.argsort()
        return view

    def random_orders(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """See `Autoregressive.random_orders` and `ptheta.models.autoregressive.orders.random_orders`."""
        return random_orders(n, self.coordinates, generator)

    def _log_prob_in(self, x: Tensor, orders: Tensor, context: Tensor | None) -> Tensor:
        z = self._in_slots(self.flatten(x)).gather(1, orders)
        return self._in_order(z, orders, self._conditions(context)).log_prob(z).sum(-1)

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        return self._conditionals_from(z, self._conditions(context), 0)

    def _conditionals_from(self, z: Tensor, conditions: Conditioning | None, first: int) -> Distribution:
        if self.any_order:
            return self._in_order(z, self.slots.expand(len(z), -1), conditions)[:, first:]
        slots = slice(0, z.shape[1])
        previous, back = self._shifted(z, self.head.size), None
        if self.cut is not None:
            place = torch.arange(z.shape[1], device=z.device)
            back = place - torch.where(previous == self.cut, place, 0).cummax(1).values  # since the document began
            previous = self.as_starts(previous)
        shown = self._partly(previous)
        around = None if self.neighbours is None else self._around(z, shown, back)
        h = self.embed(shown, around, conditions, slots, None)
        h = self._through(h, self._turns(slots, None), conditions, back)
        if self.training and self.hold_out:
            conditions = self._held_out(z, conditions)
        alignment = self.alignment(previous, conditions)
        return self.head(self.outputs(h, slots, previous, conditions, alignment), slots)[:, first:]

    def _partly(self, previous: Tensor) -> Tensor:
        """Values before slots [n, m], in training some of them as if nothing came before."""
        if not (self.training and self.word_dropout):
            return previous
        left = torch.rand(previous.shape, device=previous.device) < self.word_dropout
        return torch.where(left, self.head.size, previous)

    def _around(self, z: Tensor, previous: Tensor, back: Tensor | None) -> Tensor:
        """Values around all slots [n, m, s]."""
        assert self.neighbours is not None
        if not self.reads_on:
            return self.neighbours.of(z, slice(None))
        nothing = previous.new_full((len(z), self.neighbours.count - 1), self.neighbours.none)
        return self.neighbours.before(torch.cat([nothing, previous], 1), back)

    def _in_order(self, z: Tensor, slots: Tensor, conditions: Conditioning | None) -> Distribution:
        """Conditionals of values z [n, m] visited in the order of slots [n, m]."""
        sources = self._shifted(slots, self.space.dimensions)
        around = None
        if self.neighbours is not None:
            around = self.neighbours.in_order(torch.empty_like(z).scatter_(1, slots, z), slots)
        before = self._shifted(z, self.head.size)
        h = self.embed(before, around, conditions, slots, sources)
        h = self._through(h, self._turns(slots, sources), conditions)
        return self.head(self.outputs(h, slots, before), slots)

    def _in_slots(self, z: Tensor) -> Tensor:
        """Values [n, m] in visiting order → in the order in which parameters know dimensions."""
        return torch.empty_like(z).scatter_(1, self.slots.expand(len(z), -1), z)

    @staticmethod
    def _shifted(x: Tensor, start: int) -> Tensor:
        """[n, m] one place later, after a start."""
        return torch.cat([x.new_full((len(x), 1), start), x[:, :-1]], 1)

    def _decoder(self, n: int, context: Tensor | None) -> CachedDecoder:
        return CachedDecoder(self, n, context)

    @property
    def start_token(self) -> int:
        """The end of a document, since a text begins where another ended; else the start token."""
        end = self.space.end if isinstance(self.space, Sequence) and self.across_documents else None
        return self.head.size if end is None else end

    def reader(
        self, n: int, context: Tensor | None, slots: int, first: Tensor | None = None, compile: bool = False
    ) -> CachedDecoder:
        """See `LanguageModel.reader`."""
        return CachedDecoder(self, n, context, slots, self.context_window, first, compile, self.start_token)
