"""What `fit` chooses when it is not given: the family, the preset, its options."""

from __future__ import annotations

from typing import Any

from ptheta.data import Data, load
from ptheta.errors import UsageError
from ptheta.models import Model, family
from ptheta.models.autoregressive.pixelcnn import MANY_LEVELS
from ptheta.presets import Preset
from ptheta.presets import preset as find_preset
from ptheta.spaces import Discrete, Document, Image, Sequence, Space, Table, Waveform


def default_model(data: Data | Space) -> str:
    """The family chosen when none is named: the one that does best on that kind of space in a short fit."""
    space = data.space if isinstance(data, Data) else data
    if isinstance(space, Image) and space.levels >= MANY_LEVELS:
        return "pixelcnn"
    if isinstance(space, Table):
        return "table"
    return "transformer" if isinstance(space, Discrete) and space.dimensions > 1 else "made"


def default_preset(data: Data) -> str | None:
    """The preset taken when neither it nor a model is named."""
    if isinstance(data.space, Waveform):
        return "waveform"
    return "tiny" if isinstance(data.space, Sequence) and not isinstance(data.space, Document) else None


def preset_for(model: str, data: Data) -> str | None:
    """The preset that a family takes where families are compared: the default one, if it is its own."""
    name = default_preset(data)
    return name if name is not None and find_preset(name).model == family(model).name else None


def family_of_preset(recipe: Preset, model: str | Model | None) -> str:
    """The preset's family.

    Raises:
        UsageError: another model is named beside it.
    """
    if model is not None and (isinstance(model, Model) or family(model).name != recipe.model):
        raise UsageError(f"preset {recipe.name} is a recipe for {recipe.model}", "leave the model out")
    return recipe.model


def loaded(data: Any, preset: str | None, size: Any = None) -> Data:
    """The data to fit; a preset's options of `load`, and a size for pictures, apply to what is still to be loaded.

    Raises:
        UsageError: there are none, or they were loaded in a way that the preset is not for.
    """
    if data is None:
        raise UsageError("there is nothing to fit", "name a data source")
    wanted = {} if preset is None else find_preset(preset).data
    data = data if isinstance(data, Data) else load(data, **{"size": size, **wanted})
    if missing := [k for k in wanted if data.request and data.request.get(k) in (None, "none")]:
        raise UsageError(
            f"preset {preset} is for data loaded with {missing[0]}={wanted[missing[0]]!r}, and these were not",
            f"give ptheta.load {missing[0]}, or give fit the source itself",
        )
    return data
