"""What each part of the language recipe is worth: validation nats a character of tiny Shakespeare after the same steps.

    python -m benchmarks.language_ablation [--steps 600] [--seeds 0] [--rows "as it comes,AdamW"]

Blocks of 64 characters, 4 layers of width 128. Each row changes one thing.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta.evaluation.nats import evaluate
from ptheta.models import Transformer
from ptheta.nn.attention import Block
from ptheta.training import Budget, MaximumLikelihood, Settings, Trainer, world

SIZE: dict[str, Any] = {"width": 128, "layers": 4, "heads": 4, "dropout": 0.0}
SETTINGS: dict[str, Any] = {"batch_size": 32, "optimizer": "muon", "learning_rate": 3e-3, "precision": "bfloat16"}


def rms_norm(x: Tensor) -> Tensor:
    """Root mean square 1."""
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


def only_streams(x: Tensor) -> Tensor:
    """The norm of the stream; queries and keys (five sides) stay as they are."""
    return x if x.ndim == 5 else torch.layer_norm(x, x.shape[-1:])


def feed_forward(act: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A block with another activation."""

    def forward(self: Block, x: Tensor, turns: Any, cache: Any = None, back: Any = None) -> Tensor:
        from ptheta.nn.attention import norm

        x = x + self._dropped(self.attention(norm(x), turns, cache, back))
        return x + self._dropped(self.down(act(self.up(norm(x)))))

    return forward


def learned_positions(model: Transformer) -> None:
    """A vector for every place instead of rotary turns."""
    model.rotary.frequencies.zero_()
    model.place = nn.Parameter(torch.randn(model.space.dimensions, model.width) * 0.02)


def random_outputs(model: Transformer) -> None:
    """Output projections that do not start at zero."""
    for block in model.blocks:
        nn.init.normal_(block.attention.out.weight, std=0.02)  # type: ignore[union-attr]
        nn.init.normal_(block.down.weight, std=0.02)  # type: ignore[union-attr]
    nn.init.normal_(model.out.weight, std=0.02)


def tied(self: Transformer, h: Tensor, slots: Any) -> Tensor:
    """Logits from the embedding of the tokens."""
    from ptheta.nn import norm

    return F.linear(norm(h), self.token.weight[:-1])


NORM = "ptheta.nn.attention.norm"
FORWARD = "ptheta.nn.attention.Block.forward"
ROWS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "learned positions": {"change": learned_positions},
    "no QK-norm": {"patch": (NORM, only_streams)},
    "RMSNorm": {"patch": (NORM, rms_norm)},
    "GELU": {"patch": (FORWARD, feed_forward(F.gelu))},
    "ReLU": {"patch": (FORWARD, feed_forward(F.relu))},
    "outputs start random": {"change": random_outputs},
    "tied embedding": {"patch": ("ptheta.models.autoregressive.transformer.Transformer._outputs", tied)},
    "AdamW, 3e-3": {"settings": {"optimizer": "adamw"}},
    "AdamW, 1e-3": {"settings": {"optimizer": "adamw", "learning_rate": 1e-3}},
    "rate 5e-3": {"settings": {"learning_rate": 5e-3}},
    "rate 2e-3": {"settings": {"learning_rate": 2e-3}},
    "average 0.99": {"settings": {"average": 0.99}},
    "dropout 0.1": {"model": {"dropout": 0.1}},
    "no previous tokens told": {"model": {"local": 0}},
    "3 previous tokens told": {"model": {"local": 3}},
    "2 heads, 3 tokens told": {"model": {"heads": 2, "local": 3}},
    "8 heads": {"model": {"heads": 8}},
    "2 heads": {"model": {"heads": 2}},
    "window 32": {"model": {"window": 32}},
    "float32": {"settings": {"precision": "float32"}},
    "held until 70 %": {"settings": {"hold": 0.7}},
    "held until 10 %": {"settings": {"hold": 0.1}},
}
"""Row → what differs."""


@contextlib.contextmanager
def patched(patch: tuple[str, Any] | None) -> Iterator[None]:
    """With one function replaced."""
    with mock.patch(*patch) if patch else contextlib.nullcontext():
        yield


def trial(row: dict[str, Any], data: ptheta.Data, steps: int, seed: int) -> tuple[float, float]:
    """Validation nats a token, and seconds of learning."""
    torch.manual_seed(seed)
    with patched(row.get("patch")), world("cpu") as processes:
        model = Transformer(data.space, **SIZE | row.get("model", {}))
        row.get("change", lambda model: None)(model)
        settings = Settings.of(model, **SETTINGS | {"validation_events": 64} | row.get("settings", {}))
        objective = MaximumLikelihood(model, data.train, data.validation, settings, seed=seed, world=processes)
        trainer = Trainer(objective, Budget(steps=steps))
        clock = time.perf_counter()
        trainer.run()
        seconds = time.perf_counter() - clock
        last = trainer.average or model  # the last weights: all rows are judged at the same step
        return evaluate(last, data.validation).nats / data.space.dimensions, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", default=",".join(name.replace(",", ";") for name in ROWS))
    args = parser.parse_args()
    data = ptheta.load(str(DATA / "tiny_shakespeare"), tokenizer="characters", length=64)
    rows = []
    for name in (name.replace(";", ",") for name in args.rows.split(",")):
        found = [trial(ROWS[name], data, args.steps, seed) for seed in args.seeds]
        rows.append((name, " / ".join(f"{nats:.4f}" for nats, _ in found), f"{sum(s for _, s in found):.0f}"))
        print(*rows[-1], sep="  ", flush=True)
    print(f"\n{args.steps} steps of {SETTINGS['batch_size']} blocks, seeds {args.seeds}; {machine()}\n")
    print(table(["change", "validation nats a character", "seconds"], rows))


if __name__ == "__main__":
    main()
