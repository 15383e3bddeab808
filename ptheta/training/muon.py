"""Muon, in the type that the device computes in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ptheta.training.precision import computes_in_bfloat16


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` whose Newton–Schulz iteration runs in float32 where bfloat16 is emulated.

    torch's runs in bfloat16 everywhere. A processor without instructions for it multiplies such matrices some twenty
    times slower than in float32, and the optimiser then takes longer than the passes over the network. State and
    options are torch's own, so a checkpoint suits both.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of all parameters that have a gradient."""
        devices = {parameter.device.type for group in self.param_groups for parameter in group["params"]}
        if all(map(computes_in_bfloat16, devices)):
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
        update = orthogonalised(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(parameter.shape)))  # match_rms_adamw


def orthogonalised(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Newton–Schulz iteration: singular vectors stay, and each singular value s, of a norm of 1, becomes
    a s + b s³ + c s⁵, again and again, which is near 1 (Jordan et al. 2024).

    Args:
        matrix: [rows, columns], real.
        coefficients: a, b, c.
        steps: how often.
        eps: least norm that the matrix is divided by.
    """
    a, b, c = coefficients
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
