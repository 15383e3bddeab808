"""What `fit` chooses when it is not given: the family, the preset, its options."""

from __future__ import annotations

from typing import Any

from ptheta.data import Data, load
from ptheta.data.codecs import FrameCodec
from ptheta.errors import SourceError, UsageError
from ptheta.models import Model, family
from ptheta.models.autoregressive.pixelcnn import MANY_LEVELS
from ptheta.models.checks import COLUMNS, unsuited
from ptheta.presets import Preset
from ptheta.presets import preset as find_preset
from ptheta.spaces import Discrete, Document, Grid, Image, Sequence, Space, Table, Waveform

LARGE = 256
"""Values of a picture from which its transformer has a recipe of its own."""


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
    if isinstance(data.space, Image | Grid) and data.space.dimensions >= LARGE and default_model(data) == "transformer":
        return "pictures"
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


def load_for(model: str | Model | None, source: Any, **options: Any) -> Data:
    """Load a source for a family: where it cannot model a table's columns as they are inferred, they are taken as what
    it can, unless `columns` is given, and that is reported.

    Args:
        model: name of a family, a model, or None: any.
        source, options: as for `load`.

    Raises:
        SpaceError: the family models no such columns.
    """
    data = load(source, **options)
    if model is None or isinstance(model, Model) or not isinstance(data.codec, FrameCodec):
        return data
    name, spaces = family(model).name, family(model).load().spaces
    if isinstance(data.space, spaces) or options.get("columns", "auto") != "auto":
        return data
    ways = {"mixed": "cells of any kind", "categories": "levels"}
    columns = next((columns for kind, columns in COLUMNS.items() if kind in spaces and columns in ways), None)
    if columns is not None:
        try:
            changed = load(source, **{**options, "columns": columns})
        except SourceError as error:
            raise unsuited(name, data.space, spaces).because(error.problem) from None
        report = f"{name} models {ways[columns]}, so all columns were taken as --columns {columns}"
        changed.notes.append(report)
        changed.remarks.append(report)
        return changed
    raise unsuited(name, data.space, spaces)


def loaded(data: Any, preset: str | None, size: Any = None, model: str | Model | None = None) -> Data:
    """The data to fit; a preset's options of `load`, a size for pictures, and columns of a table that suit the family
    apply to what is still to be loaded.

    Raises:
        UsageError: there are none, or they were loaded in a way that the preset is not for.
    """
    if data is None:
        raise UsageError("there is nothing to fit", "name a data source")
    wanted = {} if preset is None else find_preset(preset).data
    data = data if isinstance(data, Data) else load_for(model, data, **{"size": size, **wanted})
    if missing := [k for k in wanted if data.request and data.request.get(k) in (None, "none")]:
        raise UsageError(
            f"preset {preset} is for data loaded with {missing[0]}={wanted[missing[0]]!r}, and these were not",
            f"give ptheta.load {missing[0]}, or give fit the source itself",
        )
    return data
