"""What several processes must have in common to learn one model."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ptheta.configs import describe_model, versions
from ptheta.data import Data
from ptheta.models import Model, name_of


def record(model: Model, data: Data, plan: dict[str, Any], seed: int) -> dict[str, Any]:
    """Name → value of everything that a fit depends on, apart from the machine and where its data lie.

    Args:
        model: to be fitted.
        data: to be fitted.
        plan: objective, budget and settings.
        seed: of the fit.
    """
    described = {
        "space": model.space.to_json(),
        "context space": None if model.context_space is None else model.context_space.to_json(),
        "codec": data.codec.to_json(),
        "context codec": None if data.context_codec is None else data.context_codec.to_json(),
    }
    parts = describe_model(model).get("parts", {})
    return {
        "data": data.fingerprint[:16],
        **{f"events of {name}": len(split) for name, split in data.splits.items()},
        "model": name_of(model),
        **model.hyperparameters(),
        **{name: _digest(value) for name, value in described.items()},
        "objective": plan["objective"],
        **(plan["budget"] or {}),
        **(plan["settings"] or {}),
        **plan["options"],
        **{f"part {name}": _digest(part) for name, part in parts.items()},
        "seed": seed,
        **{name: value for name, value in versions().items() if name != "platform"},
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
