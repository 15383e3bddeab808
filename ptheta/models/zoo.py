"""The zoo: every family by name. Adding a family is one file in `ptheta.models` and one row here.

The rows are data: nothing is imported until a family is used. The shared contract tests run over every row.

A family of one's own needs no row: `module:Class` names it, wherever a name does. The module is imported where a person
names it (`admit`), and never because a run folder does: `family` takes only what has been imported already.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ptheta.errors import FitError, RunError, UsageError, nearest
from ptheta.foreign import guarded

if TYPE_CHECKING:
    from ptheta.models.base import Model

PACKAGE = "ptheta.models"
"""What paths that begin with a dot are relative to, as in Python's own imports."""

OWN = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*):([A-Za-z_]\w*)")
"""How a family of one's own is named: `module:Class`."""


@dataclass(frozen=True)
class Family:
    """One row of the zoo.

    Args:
        name: as on the command line.
        path: `module:Class`; of a module of `ptheta.models` with a dot before it.
        density: `exact`, `lower bound` or `implicit`.
        events: kinds of event it models, in words.
        summary: one line of what it is.
        reference: where it comes from.
        small: hyperparameters of an instance small enough for tests.
        variants: name → further hyperparameters of variants that keep the same contract and are tested too.
    """

    name: str
    path: str
    density: str
    events: str
    summary: str
    reference: str
    small: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """Full name of the module."""
        return importlib.util.resolve_name(self.path.partition(":")[0], PACKAGE)

    @property
    def short(self) -> str:
        """The name in file names: without the module."""
        return self.name.rpartition(":")[2]

    @property
    def is_own(self) -> bool:
        """Whether it lies outside the package."""
        return not self.path.startswith(".")

    def load(self) -> type[Model]:
        """The model class."""
        return getattr(importlib.import_module(self.module), self.path.partition(":")[2])


ZOO: dict[str, Family] = {
    row.name: row
    for row in [
        Family("empirical", ".counting.empirical:Empirical", "exact", "discrete",
               "point masses on the training events: the memoriser", "Dirac deltas"),
        Family("histogram", ".counting.histogram:Histogram", "exact", "discrete",
               "full joint table as sparse counts with a Dirichlet prior", "K^m − 1 free parameters"),
        Family("independent", ".counting.tables:Independent", "exact", "discrete",
               "every dimension independently", "∏ p(x_j)"),
        Family("markov_chain", ".counting.tables:MarkovChain", "exact", "discrete",
               "each dimension given the r before it, by counting", "∏ p(x_j | x_{j−r:j−1})"),
        Family("markov_mlp", ".autoregressive.markov_mlp:MarkovMLP", "exact", "discrete or real",
               "each dimension given a window before it, by an MLP", "Bengio et al. 2003",
               {"window": 3, "width": 16, "layers": 2}),
        Family("made", ".autoregressive.made:MADE", "exact", "discrete or real",
               "masked autoencoder: all conditionals from one MLP", "Germain et al. 2015",
               {"width": 24, "layers": 2}),
        Family("pixelcnn", ".autoregressive.pixelcnn:PixelCNN", "exact", "pictures",
               "gated convolutions over pixels, with RGB dependencies", "van den Oord et al. 2016",
               {"width": 12, "layers": 2, "reach": 2, "components": 3},
               {"logistic": {"likelihood": "logistic"}, "uncoupled": {"coupling": False}, "column": {"order": "column"},
                "logistic-uncoupled": {"likelihood": "logistic", "coupling": False}}),
        Family("transformer", ".autoregressive.transformer:Transformer", "exact", "discrete",
               "causal transformer with a KV cache", "Vaswani et al. 2017",
               {"width": 16, "layers": 2, "heads": 2},
               {"any-order": {"any_order": True}, "windowed": {"window": 2}, "apart": {"across_documents": False}}),
        Family("flow", ".flows.flow:Flow", "exact", "real",
               "normalizing flow: neural splines or affine transforms", "Durkan et al. 2019",
               {"transforms": 2, "width": 16, "layers": 2, "bins": 4},
               {"maf": {"kind": "maf"}, "coupling": {"passes": 2}, "random": {"permutation": "random"}}),
        Family("table", ".autoregressive.table:TableTransformer", "exact", "rows of mixed columns, or real",
               "columns in any order: mass where values repeat, density where not", "Uria et al. 2014",
               {"width": 16, "layers": 2, "heads": 2, "components": 3, "bins": 4}, {"fixed": {"any_order": False}}),
    ]
}  # fmt: skip


def family(name: str) -> Family:
    """The family called `name`, or `module:Class` of a module that has been imported.

    Raises:
        UsageError: there is none; the nearest name is given.
        RunError: the module has not been imported; nothing is imported because a file names it.
    """
    key = name.lower().replace("-", "_")
    if key in ZOO:
        return ZOO[key]
    if (row := next((row for row in ZOO.values() if row.path == name), None)) is not None:
        return row
    if (match := OWN.fullmatch(name)) is None:
        raise UsageError(f"no model is called {name!r}", nearest(key, list(ZOO)))
    if match[1] not in sys.modules:
        raise RunError(
            f"the model is {name}, and no module is imported because a run names it",
            f"if you trust it, import {match[1]} first, or on the command line add --allow-module {match[1]}",
        )
    return _own(name, getattr(sys.modules[match[1]], match[2], None))


def is_family(name: str) -> bool:
    """Whether a word names a family: one of the zoo, or `module:Class`, whatever that is."""
    known = name.lower().replace("-", "_") in ZOO or any(row.path == name for row in ZOO.values())
    return known or OWN.fullmatch(name) is not None


def admit(model: str | type[Model] | Model | None) -> str | Model | None:
    """A model as a person named it: a family by its class, or as `module:Class`, as the name that `family` knows.

    The module is imported. Whatever else is given is returned as it is.

    Raises:
        UsageError: the module cannot be imported, or has no such family.
        FitError: the class cannot be found again.
    """
    if isinstance(model, type):
        _own(f"{model.__module__}:{model.__qualname__}", model)
        return stored_name(model)
    if isinstance(model, str) and (match := OWN.fullmatch(model)) is not None:
        load_module(match[1])
        return family(model).name
    return model


def class_of(model: str | type[Model]) -> type[Model]:
    """The class of a family as a person named it; unlike what `fit` takes, one that cannot be found again will do.

    Raises:
        UsageError: there is none.
    """
    if isinstance(model, type):
        _own(f"{model.__module__}:{model.__qualname__}", model)
        return model
    admit(model)
    return family(model).load()


def load_module(name: str) -> None:
    """Import a module that a person named.

    Raises:
        UsageError: there is none, or it fails.
    """
    if not _is_found(name):
        raise UsageError(f"no module is called {name}", "check its name, and that Python finds it")
    with guarded(f"module {name}", "repair it", error=UsageError, problem="{origin} cannot be imported"):
        importlib.import_module(name)


def _is_found(name: str) -> bool:
    """Whether Python finds a module; the packages around it are imported."""
    if name in sys.modules:
        return True
    with guarded(f"module {name}", "repair it", error=UsageError, problem="{origin} cannot be imported"):
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError as error:
            if error.name is not None and name.startswith(f"{error.name}."):
                return False
            raise


def name_of(model: Model | type[Model]) -> str:
    """The zoo's name of a model's family, or `module:Class` if it is not in the zoo."""
    cls = model if isinstance(model, type) else model.family_class
    for row in ZOO.values():
        if row.path.endswith(":" + cls.__name__) and cls.__module__ == row.module:
            return row.name
    return f"{cls.__module__}:{cls.__qualname__}"


def stored_name(model: Model | type[Model]) -> str:
    """The name by which a config finds a family again, in any process: of one's own, `module:Class`.

    Raises:
        FitError: the class cannot be found again.
    """
    cls, name = model if isinstance(model, type) else model.family_class, name_of(model)
    if name in ZOO:
        return ZOO[name].path if ZOO[name].is_own else name
    if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is not cls:
        raise FitError(
            f"{cls.__module__} has no class {cls.__qualname__}, so a run of it could not be loaded again",
            "define the class at the top level of its module",
        )
    return name


def _own(name: str, cls: Any) -> Family:
    """The row of a family that is not in the zoo.

    Raises:
        UsageError: it is not a model.
    """
    from ptheta.models.base import Model

    module, _, short = name.partition(":")
    if cls is None:
        values = vars(sys.modules[module]).items()
        known = [key for key, value in values if isinstance(value, type) and issubclass(value, Model)]
        raise UsageError(f"module {module} has no {short}", nearest(short, known) if known else "it has no models")
    if not (isinstance(cls, type) and issubclass(cls, Model)):
        raise UsageError(f"{name} is not a family of models", "derive it from ptheta.models.Model")
    events = " or ".join(space.__name__ for space in cls.spaces)
    about = (cls.__doc__ or name).strip().splitlines()[0].rstrip(".")
    return Family(name, name, cls.density.value, events, about, module)
