"""Our transformer beside Hugging Face's GPT-2 and ImageGPT classes at the same size, on 28×28 binary pixels.

    python -m benchmarks.peers [--rounds 8] [--batch 8] [--width 64 --layers 4 --heads 2]

Training: forward, backward and one AdamW step on the same batch, in turn. Drawing: one image of 784 pixels with each
library's key–value cache. Peers see the start token and 784 pixels as we do, without our neighbourhood.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, ImageGPTConfig, ImageGPTForCausalImageModeling

from benchmarks.common import interleaved, machine, spread, table
from ptheta import Image
from ptheta.models import PixelCNN, Transformer
from ptheta.training.objectives.likelihood import LikelihoodLoss

M = 784


def step(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """One training step."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def run() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        optimiser.step()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=2)
    args = parser.parse_args()
    torch.manual_seed(0)
    x = (torch.rand(args.batch, 1, 28, 28) < 0.2).long()
    tokens = torch.cat([torch.full((args.batch, 1), 2), x.flatten(1)], 1)
    sizes = {"n_embd": args.width, "n_layer": args.layers, "n_head": args.heads, "n_positions": M + 1, "vocab_size": 3}
    dropouts = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    ours = {"width": args.width, "layers": args.layers, "heads": args.heads, "dropout": 0.0}
    space = Image(28, 28, levels=2)
    gpt2 = GPT2LMHeadModel(GPT2Config(**sizes, **dropouts, bos_token_id=2, eos_token_id=None))
    image_gpt = ImageGPTForCausalImageModeling(ImageGPTConfig(**sizes, **dropouts))
    models: dict[str, tuple[nn.Module, Callable[[], torch.Tensor]]] = {
        "ptheta transformer": (t := Transformer(space, **ours), lambda: LikelihoodLoss(t)(x)),
        "ptheta transformer, local 0": (p := Transformer(space, **ours, local=0), lambda: LikelihoodLoss(p)(x)),
        "HF GPT-2": (gpt2, lambda: gpt2(input_ids=tokens, labels=tokens).loss),
        "HF ImageGPT": (image_gpt, lambda: image_gpt(input_ids=tokens, labels=tokens).loss),
        "ptheta pixelcnn, 6 layers": (c := PixelCNN(space, width=args.width, layers=6), lambda: LikelihoodLoss(c)(x)),
    }
    steps = {name: step(*pair) for name, pair in models.items()}
    for run in steps.values():
        run()
    seconds = interleaved(steps, args.rounds)
    base = seconds["HF GPT-2"]
    rows = [
        (name, f"{sum(p.numel() for p in models[name][0].parameters()):,}",
         spread([args.batch / s for s in taken]), spread([b / s for b, s in zip(base, taken)]))
        for name, taken in seconds.items()
    ]  # fmt: skip
    how = f"float32, batches of {args.batch}, {args.rounds} rounds in turn, median (least to most)"
    print(f"\ntraining, {how}; {machine()}\n")
    print(table(["model", "parameters", "images/s", "of GPT-2's"], rows))

    for model, _ in models.values():
        model.eval()
    start = torch.full((1, 1), 2)
    draws = {
        "ptheta transformer": lambda: t.sample(1, seed=0),
        "HF GPT-2": lambda: gpt2.generate(
            start, max_length=M + 1, do_sample=True, top_k=0, use_cache=True, pad_token_id=2
        ),
        "ptheta pixelcnn, 6 layers": lambda: c.sample(1, seed=0),
    }
    seconds = interleaved(draws, max(2, args.rounds // 2))
    base = seconds["HF GPT-2"]
    rows = [(name, spread(taken), spread([b / s for b, s in zip(base, taken)])) for name, taken in seconds.items()]
    print("\none image of 784 pixels, each with its cache\n")
    print(table(["model", "seconds", "times GPT-2's speed"], rows))


if __name__ == "__main__":
    main()
