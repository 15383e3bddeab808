"""Walking through events with a model, one value after the other: the one function that encoder and decoder share.

Lanes are sequences that are walked side by side: events, or stretches of texts. Step j gives the conditional of the
j-th value of every lane from the values before it, through the model's own cached decoder. A pass over all values at
once is never used: its rounding differs, and a decoder could not repeat it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ptheta.coding.errors import CodingError
from ptheta.coding.tables import Coder
from ptheta.distributions import Distribution
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.sampling.decoding import Decoder

THREADS = 64
"""More threads than this, and than four a processor, are refused."""


def walk(
    model: Autoregressive, coder: Coder, lengths: Sequence[int], context: Tensor | None, z: Tensor | None
) -> Tensor:
    """Code lanes.

    Args:
        model: whose conditionals are used; in evaluation mode.
        coder: writes or reads.
        lengths: values of each lane [n], from the longest to the shortest.
        context: of each lane [n], or None.
        z: values [n, longest] in visiting order, to be encoded; None when decoding.

    Returns:
        Values [n, longest], 0 behind the end of a lane, on the CPU.
    """
    longest = max(lengths, default=0)
    found = torch.zeros(len(lengths), longest, dtype=model.event_dtype)
    if longest == 0:
        return found
    context = None if context is None else context.to(model.device)
    decoder, previous, active = _decoder(model, len(lengths), context, longest), None, len(lengths)
    for j in range(longest):
        conditional = decoder.step(previous)
        while lengths[active - 1] <= j:
            active -= 1
        part = conditional if active == len(lengths) else conditional[:active]
        found[:active, j] = _spell(part, coder, None if z is None else z[:active, j].to(model.device))
        previous = found[:, j].to(model.device)
    return found


def _spell(conditional: Distribution, coder: Coder, values: Tensor | None) -> Tensor:
    spelling = conditional.spelled(values)
    try:
        p, symbols = next(spelling)
        while True:
            p, symbols = spelling.send(coder.code(p, symbols))
    except StopIteration as done:
        return done.value.cpu()


def _decoder(model: Autoregressive, n: int, context: Tensor | None, longest: int) -> Decoder:
    if reads_on(model):
        assert isinstance(model, LanguageModel)
        return model.reader(n, context, longest)
    return model.decoder(n, context)


def reads_on(model: Autoregressive) -> bool:
    """Whether the model reads sequences beyond the length of an event."""
    return isinstance(model, LanguageModel) and model.reads_on


@contextlib.contextmanager
def computing(model: Autoregressive, threads: int) -> Iterator[None]:
    """Evaluation mode, no gradients, and this many threads; all as before afterwards."""
    if threads > (most := max(THREADS, 4 * (os.cpu_count() or 1))):
        raise CodingError(f"{threads:,} threads are more than this machine has", f"at most {most} are used here")
    before, training = torch.get_num_threads(), model.training
    torch.set_num_threads(threads)
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
        torch.set_num_threads(before)
