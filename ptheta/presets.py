"""Presets: recipes by name. A row is data: what to fit, how, for how long; anything given beside it wins.

ptheta fit DATA --preset binarized-mnist
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ptheta.errors import UsageError, nearest


@dataclass(frozen=True)
class Preset:
    """One recipe.

    Args:
        name: as on the command line.
        model: family of the zoo.
        summary: for what data, in words.
        minutes: budget.
        hyperparameters: of the model.
        settings: of learning, see `ptheta.training.Settings`.
        data: options of `ptheta.load`.
    """

    name: str
    model: str
    summary: str
    minutes: float
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    row.name: row
    for row in [
        Preset("binarized-mnist", "pixelcnn", "binary pictures of 28×28, on a CPU", 10,
               {"width": 96, "layers": 5, "reach": 7, "dropout": 0.0},
               {"batch_size": 16, "precision": "native"}),
        Preset("binarized-mnist-transformer", "transformer", "binary pictures of 28×28, on a CPU", 10,
               {"width": 64, "layers": 4, "heads": 2, "local": 4, "dropout": 0.0},
               {"batch_size": 8, "learning_rate": 4e-3, "average": 0.998}),
        Preset("any-order", "transformer", "small binary pictures whose masks may be anything, on a CPU", 10,
               {"width": 64, "layers": 4, "heads": 2, "dropout": 0.0, "any_order": True},
               {"batch_size": 8, "learning_rate": 4e-3, "average": 0.998}),
        Preset("fashion-mnist", "pixelcnn", "grey pictures of 28×28, 256 levels, given their label, on a CPU", 10,
               {"width": 64, "layers": 6, "dropout": 0.0},
               {"batch_size": 8, "learning_rate": 6e-3, "precision": "native"}, {"context": "label"}),
        Preset("faces", "pixelcnn", "hundreds of small grey pictures of 256 levels, on a CPU", 10,
               {"width": 64, "layers": 6, "dropout": 0.2},
               {"batch_size": 8, "precision": "native"}),
        Preset("cifar10-palette", "transformer", "RGB pictures of 32×32 in 512 colours (ImageGPT), on a CPU", 10,
               {"width": 96, "layers": 4, "heads": 4, "dropout": 0.0},
               {"batch_size": 8, "learning_rate": 4e-3, "average": 0.998, "precision": "native"}, {"palette": 512}),
        Preset("cifar10", "pixelcnn", "RGB pictures of 32×32, 256 levels, on a CPU", 10,
               {"width": 64, "layers": 6, "dropout": 0.0},
               {"batch_size": 8, "learning_rate": 6e-3, "precision": "native"}),
        Preset("tiny", "transformer", "text, for minutes on a CPU; the default for text", 3,
               {"width": 128, "layers": 4, "heads": 2, "window": 128, "dropout": 0.0},
               {"batch_size": 8, "learning_rate": 3e-3, "precision": "native"}),
        Preset("pictures", "transformer", "pictures of few levels or colours, on a CPU; the default for them", 3,
               {"width": 64, "layers": 4, "heads": 2, "local": 4, "dropout": 0.0},
               {"batch_size": 8, "learning_rate": 4e-3, "average": 0.998}),
        Preset("small", "transformer", "text, for half an hour on a CPU; not measured", 30,
               {"width": 256, "layers": 6, "heads": 4, "window": 128, "dropout": 0.0},
               {"batch_size": 8, "learning_rate": 2e-3, "precision": "native"}),
        Preset("base", "transformer", "text, 12 layers of 768; for a GPU, not measured", 120,
               {"width": 768, "layers": 12, "heads": 12, "window": 512, "dropout": 0.0},
               {"batch_size": 64, "learning_rate": 1e-3}, {"length": 1024}),
        Preset("large", "transformer", "text, 24 layers of 1,024; for a GPU, not measured", 480,
               {"width": 1024, "layers": 24, "heads": 16, "window": 512, "dropout": 0.0},
               {"batch_size": 64, "learning_rate": 6e-4}, {"length": 1024}),
        Preset("waveform", "transformer", "waveforms of thousands of samples, on a CPU; the default for them", 3,
               {"width": 64, "layers": 4, "heads": 2, "window": 128, "local": 5, "dropout": 0.0},
               {"batch_size": 1, "learning_rate": 3e-3, "precision": "native"}),
        Preset("binarized-mnist-gpu", "pixelcnn", "binary pictures drawn anew every epoch; for a GPU, not measured", 10,
               {"width": 128, "layers": 12, "reach": 7, "dropout": 0.3},
               {"batch_size": 64, "average": 0.999}, {"binarize": "epoch"}),
        Preset("cifar10-gpu", "pixelcnn", "RGB pictures of 32×32, 256 levels; for a GPU, not measured", 10,
               {"width": 160, "layers": 16, "reach": 5, "dropout": 0.2},
               {"batch_size": 32, "average": 0.9995}),
    ]
}  # fmt: skip


def preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        UsageError: there is none; the nearest name is given.
    """
    if name not in PRESETS:
        raise UsageError(f"no preset is called {name!r}", nearest(name, list(PRESETS)))
    return PRESETS[name]
