"""Which ensemble suits which members."""

from __future__ import annotations

from collections.abc import Iterable

from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.autoregressive.imputing import Imputing
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.models.base import Model
from ptheta.models.ensembles.autoregressive import AutoregressiveEnsemble, LanguageEnsemble, TableEnsemble
from ptheta.models.ensembles.base import Ensemble

KINDS: list[tuple[type[Model], type[Ensemble]]] = [
    (LanguageModel, LanguageEnsemble),
    (Imputing, TableEnsemble),
    (Autoregressive, AutoregressiveEnsemble),
]
"""What members are, and the ensemble of such members; the first that fits is taken."""


def ensemble_of(members: Iterable[Model]) -> Ensemble:
    """The equally weighted mixture of models, which can do whatever its members can.

    Args:
        members: of one family, over one space and context.

    Raises:
        UsageError: they do not go together.
    """
    members = tuple(members)
    kinds = [cls for kind, cls in KINDS if members and isinstance(members[0], kind)]
    cls = kinds[0] if kinds else Ensemble
    space, context_space = (members[0].space, members[0].context_space) if members else (None, None)
    return cls(space, context_space, members=members)  # type: ignore[arg-type]
