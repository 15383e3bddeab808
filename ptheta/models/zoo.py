"""The zoo: every family by name. Adding a family is one file in `ptheta.models` and one row here.

The rows are data: nothing is imported until a family is used. The shared contract tests run over every row.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ptheta.errors import UsageError, nearest


@dataclass(frozen=True)
class Family:
    """One row of the zoo.

    Args:
        name: as on the command line.
        path: `module:Class`, of a module of the package.
        density: `exact`, `lower bound` or `implicit`.
        events: kinds of event it models, in words.
        summary: one line of what it is.
        reference: where it comes from.
        small: hyperparameters of an instance small enough for tests.
        variants: name → further hyperparameters of variants that keep the same contract and are tested too.
        package: that holds the module; empty for a module of its own.
    """

    name: str
    path: str
    density: str
    events: str
    summary: str
    reference: str
    small: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    package: str = "ptheta.models"

    @property
    def module(self) -> str:
        """Full name of the module."""
        module = self.path.partition(":")[0]
        return f"{self.package}.{module}" if self.package else module

    def load(self) -> type:
        """The model class."""
        return getattr(importlib.import_module(self.module), self.path.partition(":")[2])


ZOO: dict[str, Family] = {
    row.name: row
    for row in [
        Family("empirical", "counting.empirical:Empirical", "exact", "discrete",
               "point masses on the training events: the memoriser", "Dirac deltas"),
        Family("histogram", "counting.histogram:Histogram", "exact", "discrete",
               "full joint table as sparse counts with a Dirichlet prior", "K^m − 1 free parameters"),
        Family("independent", "counting.tables:Independent", "exact", "discrete",
               "every dimension on its own", "∏ p(x_j)"),
        Family("markov_chain", "counting.tables:MarkovChain", "exact", "discrete",
               "each dimension given the r before it, by counting", "∏ p(x_j | x_{j−r:j−1})"),
        Family("markov_mlp", "autoregressive.markov_mlp:MarkovMLP", "exact", "discrete or real",
               "each dimension given a window before it, by an MLP", "Bengio et al. 2003",
               {"window": 3, "width": 16, "layers": 2}),
        Family("made", "autoregressive.made:MADE", "exact", "discrete or real",
               "masked autoencoder: all conditionals from one MLP", "Germain et al. 2015",
               {"width": 24, "layers": 2}),
        Family("pixelcnn", "autoregressive.pixelcnn:PixelCNN", "exact", "pictures",
               "gated convolutions over pixels, with RGB dependencies", "van den Oord et al. 2016",
               {"width": 12, "layers": 2, "reach": 2, "components": 3},
               {"logistic": {"likelihood": "logistic"}, "uncoupled": {"coupling": False}, "column": {"order": "column"},
                "logistic-uncoupled": {"likelihood": "logistic", "coupling": False}}),
        Family("transformer", "autoregressive.transformer:Transformer", "exact", "discrete",
               "causal transformer with a KV cache", "Vaswani et al. 2017",
               {"width": 16, "layers": 2, "heads": 2},
               {"any-order": {"any_order": True}, "windowed": {"window": 2}, "apart": {"across_documents": False}}),
        Family("flow", "flows.flow:Flow", "exact", "real",
               "normalizing flow: neural splines or affine transforms", "Durkan et al. 2019",
               {"transforms": 2, "width": 16, "layers": 2, "bins": 4},
               {"maf": {"kind": "maf"}, "coupling": {"passes": 2}, "random": {"permutation": "random"}}),
        Family("table", "autoregressive.table:TableTransformer", "exact", "rows of mixed columns, or real",
               "columns in any order: mass where values repeat, density where not", "Uria et al. 2014",
               {"width": 16, "layers": 2, "heads": 2, "components": 3, "bins": 4}, {"fixed": {"any_order": False}}),
    ]
}  # fmt: skip


def family(name: str) -> Family:
    """The family called `name`.

    Raises:
        UsageError: there is none; the nearest name is given.
    """
    key = name.lower().replace("-", "_")
    if key not in ZOO:
        raise UsageError(f"no model is called {name!r}", nearest(key, list(ZOO)))
    return ZOO[key]


def name_of(model: object) -> str:
    """The zoo's name of a model's family, or its class name if it is not in the zoo."""
    for row in ZOO.values():
        if row.path.endswith(":" + type(model).__name__) and type(model).__module__ == row.module:
            return row.name
    return type(model).__name__
