"""Tasks whose events are texts: captions, translations, transcripts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from ptheta.data.codecs import DocumentCodec
from ptheta.judging.base import Case, Findings, kind_of
from ptheta.judging.neighbours import Lookup, nearest_training
from ptheta.metrics import text_metrics
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.numbers import plural
from ptheta.runs import Run
from ptheta.sampling import generator_for, most_agreed
from ptheta.spaces import Document

TOGETHER = 256
"""Texts that are drawn at once, at most, unless more are drawn for one context."""


def judge_texts(case: Case) -> Findings:
    """Exact matches, word and character errors, chrF and BLEU of the texts found for each context.

    Baselines: the most frequent training text; the text of the training event with the nearest context; the model's own
    texts shuffled; and where contexts are texts too, the context itself, and looking up word by word.
    """
    run, how = case.run, case.how
    codec, context_codec = run.codec, run.context_codec
    assert isinstance(codec, DocumentCodec)
    assert context_codec is not None
    references = codec.decode(case.events.x)
    outputs, line = written(case)
    known = codec.decode(case.train.x)
    others = case.others()
    found = Findings(f"{kind_of(context_codec)} → text: {line}")
    answers = {
        "model": outputs,
        "shuffled outputs": [outputs[i] for i in others],
        "most frequent": [Counter(known).most_common(1)[0][0]] * len(references),
    }
    nearest = nearest_training(context_codec, case.train, case.context, how.seed)
    if nearest is not None:
        answers["nearest neighbour"] = [known[i] for i in nearest]
    if isinstance(context_codec, DocumentCodec):
        sources = context_codec.decode(case.context)
        assert case.train.context is not None
        lookup = Lookup(context_codec.decode(case.train.context), known)
        answers["word lookup"] = [lookup(source) for source in sources]
        answers["copy"] = sources
    found.rows = {name: text_metrics(references, texts) for name, texts in answers.items()}
    found.examples = list(zip(case.names(), references, outputs))
    cut = int((case.events.x != codec.end).all(1).sum())
    if cut:
        found.notes.append(f"{plural(cut, 'reference')} of {codec.length} tokens or more, compared up to there")
    return found


def written(case: Case) -> tuple[list[str], str]:
    """A text for each context, and how it was made: by minimum Bayes risk, by a beam search, or drawn."""
    run, how = case.run, case.how
    assert isinstance(run.codec, DocumentCodec)
    if how.mbr is not None:
        drawn = agreed(run, case.events.events()[1], how.mbr, temperature=how.temperature, seed=how.seed)
        line = f"minimum Bayes risk by chrF among {how.mbr} draws, temperature {how.temperature:g}"
        return run.codec.decode(drawn), line
    if isinstance(run.model, LanguageModel) and run.model.ends is not None and how.guidance == 1:
        texts = searched(run, case.context, how.beams, how.length_penalty)
        return texts, f"beam search, {how.beams} beams, length penalty {how.length_penalty:g}"
    guided = "" if how.guidance == 1 else f", guidance {how.guidance:g}"
    return run.codec.decode(case.draw()[:, 0]), f"one draw{guided}"


def searched(run: Run, contexts: object, beams: int, length_penalty: float = 1.0) -> list[str]:
    """The texts that a beam search finds for contexts [n, …].

    Args:
        run: of a language model whose events are whole texts.
        contexts: [n, *context_space.shape].
        beams, length_penalty: of the search.
    """
    assert isinstance(run.codec, DocumentCodec)
    assert isinstance(run.model, LanguageModel)
    x, _ = run.model.beam_search(contexts, beams=beams, length_penalty=length_penalty)
    return run.codec.decode(x)


def agreed(run: Run, contexts: Tensor | None, samples: int, *, temperature: float = 1.0, seed: int = 0) -> Tensor:
    """Of the texts drawn for each context, the one that is most like all of them: see `ptheta.sampling.consensus`.

    Args:
        run: whose events are whole texts.
        contexts: as the model takes them [n, …]; None: one text without a context.
        samples: drawn for each context.
        temperature: of the draws; below 1 they are more alike.
        seed: of the draws.

    Returns:
        Events [n, length].
    """
    assert isinstance(run.codec, DocumentCodec)
    options: dict[str, Any] = {} if temperature == 1 else {"temperature": temperature}
    source = generator_for(seed, None)
    count = 1 if contexts is None else len(contexts)
    chosen = torch.zeros(count, run.codec.length, dtype=torch.long)
    order = torch.arange(count)
    if contexts is not None and isinstance(run.model.context_space, Document):  # those of like length take less time
        order = run.model.context_space.lengths(contexts).argsort(stable=True)
    for rows in order.split(max(1, TOGETHER // samples)):
        if contexts is None:
            drawn = run.model.sample(samples, generator=source, **options)[None]
        else:
            drawn = run.model.sample_each(samples, contexts[rows], generator=source, **options)
        for row, events in zip(rows.tolist(), drawn.cpu()):
            texts = run.codec.decode(events)
            chosen[row] = events[most_agreed(texts, texts)]
    return chosen
