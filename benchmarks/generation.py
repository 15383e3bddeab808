"""A language model beside Hugging Face's GPT-2 class of the same size: training, and writing 784 tokens with caches.

    python -m benchmarks.generation [--width 128] [--layers 4] [--heads 4] [--tokens 784] [--rounds 5] [--n 1 64]
    python -m benchmarks.generation --drafts RUN [--prompt TEXT]

Everything is timed in turn in one process. The second form counts passes of drafts on a fitted run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

import ptheta
from benchmarks.common import interleaved, machine, spread, table
from ptheta.models import Transformer
from ptheta.spaces import Sequence
from ptheta.training.objectives.likelihood import LikelihoodLoss

LEVELS = 256
BATCH = 8


def pair(args: argparse.Namespace, length: int) -> tuple[Transformer, GPT2LMHeadModel]:
    """Both models, fresh."""
    torch.manual_seed(0)
    sizes = {"width": args.width, "layers": args.layers, "heads": args.heads}
    config = GPT2Config(
        vocab_size=LEVELS + 1, n_positions=length + 1, n_embd=args.width, n_layer=args.layers, n_head=args.heads,
        bos_token_id=LEVELS, eos_token_id=None, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return Transformer(Sequence(length, LEVELS), **sizes), GPT2LMHeadModel(config)


def step(model: nn.Module, loss: Callable[[], torch.Tensor], bfloat16: bool) -> Callable[[], None]:
    """One optimiser step."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def run() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            value = loss()
        value.backward()
        optimiser.step()

    return run


def training(args: argparse.Namespace) -> None:
    """Tokens a second of forward, backward and AdamW."""
    rows = []
    for length, bfloat16 in ((256, False), (256, True)):
        ours, theirs = pair(args, length)
        x = torch.randint(LEVELS, (BATCH, length))

        steps = {
            "ptheta transformer": step(ours, lambda m=ours, x=x: LikelihoodLoss(m)(x), bfloat16),
            "HF GPT-2": step(theirs, lambda m=theirs, x=x: m(input_ids=x, labels=x).loss, bfloat16),
        }
        for run in steps.values():
            run()
        seconds = interleaved(steps, 3 * args.rounds)
        base = seconds["HF GPT-2"]
        for (name, taken), model in zip(seconds.items(), (ours, theirs)):
            rows.append(
                (name, f"{sum(p.numel() for p in model.parameters()):,}", "bfloat16" if bfloat16 else "float32",
                 spread([BATCH * length / s for s in taken]), spread([b / s for b, s in zip(base, taken)]))
            )  # fmt: skip
    print(f"\ntraining, batches of {BATCH} × 256 tokens, AdamW; {machine()}\n")
    print(table(["model", "parameters", "type", "tokens/s", "of GPT-2's"], rows))


def writing(args: argparse.Namespace) -> None:
    """Tokens a second with caches."""
    ours, theirs = (model.eval() for model in pair(args, args.tokens))
    rows = []
    for n in args.n:
        start = torch.full((n, 1), LEVELS)
        draws = {
            "ptheta transformer, sample": lambda n=n: ours.sample(n, seed=0),
            "ptheta transformer, generate": lambda n=n: ours.generate(n, args.tokens, seed=0),
            "ptheta transformer, generate, compiled": lambda n=n: ours.generate(n, args.tokens, seed=0, compile=True),
            "HF GPT-2": lambda start=start: theirs.generate(
                start, attention_mask=torch.ones_like(start), max_new_tokens=args.tokens, do_sample=True, top_k=0,
                use_cache=True, pad_token_id=LEVELS,
            ),
        }  # fmt: skip
        for draw in draws.values():  # once, to warm up and compile
            draw()
        seconds = interleaved(draws, args.rounds if n == 1 else max(2, args.rounds // 2))
        base = seconds["HF GPT-2"]
        rows += [
            (name, n, spread([n * args.tokens / s for s in taken]), spread([b / s for b, s in zip(base, taken)]))
            for name, taken in seconds.items()
        ]
    print(f"\n{args.tokens} tokens of each sequence, temperature 1, float32; generate also tells log-probabilities\n")
    print(table(["model", "sequences", "tokens/s", "of GPT-2's"], rows))


def drafts(args: argparse.Namespace) -> None:
    """Passes and seconds by draft, with log-probabilities compared."""
    run = ptheta.Run.load(args.drafts)
    prompt = run.codec.tokens(args.prompt)  # type: ignore[attr-defined]
    rows = []
    for temperature in (1.0, 0.5, 0.0):
        for draft in ("none", "ngram", "fixed_point"):
            clock = time.perf_counter()
            drawn = run.model.generate([prompt], args.tokens, seed=0, temperature=temperature, draft=draft)  # type: ignore[operator]
            seconds = time.perf_counter() - clock
            rows.append((temperature, draft, len(drawn.tokens[0]), drawn.passes, f"{seconds:.2f}", drawn.tokens[0]))
    plain = {row[0]: row[-1] for row in rows if row[1] == "none"}
    rows = [(*row[:-1], bool(torch.equal(row[-1], plain[row[0]]))) for row in rows]
    print(f"\n{args.drafts.name}: drafts of {args.tokens} tokens; {machine()}\n")
    print(table(["temperature", "draft", "tokens", "passes", "seconds", "same text"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("width", 128), ("layers", 4), ("heads", 4), ("tokens", 784), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--n", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--drafts", type=Path, default=None)
    parser.add_argument("--prompt", default="The ")
    args = parser.parse_args()
    logging.set_verbosity_error()
    if args.drafts:
        drafts(args)
    else:
        training(args)
        writing(args)


if __name__ == "__main__":
    main()
