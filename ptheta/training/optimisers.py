"""Optimisers: AdamW, and Muon on hidden matrices with AdamW on the rest."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ptheta.errors import FitError
from ptheta.training.muon import Muon
from ptheta.training.settings import Settings


def optimisers(
    module: nn.Module, settings: Settings, betas: tuple[float, float] = (0.9, 0.99), name: str = "the model"
) -> list[Optimizer]:
    """Optimisers that together hold every learned parameter of a module once.

    Muon (Jordan et al. 2024) orthogonalises the update of a matrix; its rate is scaled to match AdamW's root mean
    square update (Liu et al. 2025), so that one learning rate serves both. It is given the weights of linear layers
    inside `blocks` and `hidden` layers; embeddings, output layers, biases and tables keep AdamW.

    Args:
        module: whose parameters are learned.
        settings: of learning.
        betas: of AdamW's moments.
        name: of the module, in an error.

    Raises:
        FitError: there is nothing for Muon.
    """
    hidden = _hidden_matrices(module) if settings.optimizer == "muon" else []
    if settings.optimizer == "muon" and not hidden:
        raise FitError(f"{name} has no hidden matrices for Muon", "use --optimizer adamw")
    taken = {id(p) for p in hidden}
    rest = [p for p in module.parameters() if p.requires_grad and id(p) not in taken]
    linear = {id(layer.weight) for layer in module.modules() if isinstance(layer, nn.Linear)}
    groups = [
        {"params": [p for p in rest if id(p) in linear], "weight_decay": settings.weight_decay},
        {"params": [p for p in rest if id(p) not in linear], "weight_decay": 0.0},
    ]
    made: list[Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, betas=betas)
    ]
    if hidden:
        made.append(
            Muon(
                hidden,
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return made


def set_rate(many: Iterable[Optimizer], learning_rate: float) -> None:
    """Set the learning rate of all parameter groups."""
    for optimiser in many:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate


def _hidden_matrices(module: nn.Module) -> list[Tensor]:
    """Weights of linear layers inside `blocks` or `hidden`, in order."""
    return [
        layer.weight
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and {"blocks", "hidden"} & set(name.split(".")) and layer.weight.requires_grad
    ]
