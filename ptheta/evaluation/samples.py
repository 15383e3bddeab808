"""Two-sample distances: can anything tell samples from real events?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Codec, Split
from ptheta.data.codecs import DocumentCodec, SoundCodec, TextCodec
from ptheta.metrics import auroc
from ptheta.models import Density, Model
from ptheta.models.counting.empirical import Empirical
from ptheta.sampling import Effort, PatienceError
from ptheta.spaces import Discrete

if TYPE_CHECKING:
    import pandas as pd

FEATURES = 32
"""Numbers by which a classifier sees an event, at most, unless they are columns of a table."""

FEWEST = 30
"""Events of each set below which a classifier says nothing."""

FLAT = 64
"""Most dimensions of an array that is shown as columns."""

FOLDS = 5
"""Parts of the events; a classifier judges each after learning from the others."""

LISTED = 2**14
"""Most events of a space that is compared exactly."""

CATEGORIES = 200
"""Values of a column that a classifier tells apart; the rest are one."""


def as_frame(codec: Codec, x: Tensor) -> pd.DataFrame | None:
    """Events as columns of the user's own values; None if they are not vectors of few numbers."""
    import pandas as pd

    if codec.is_picture or codec.kind in ("text", "document"):
        return None
    values = codec.decode(x)
    if isinstance(values, pd.DataFrame):
        return values
    if x.ndim != 2 or x.shape[1] > FLAT:
        return None
    return pd.DataFrame(np.asarray(values), columns=pd.Index([f"x{j}" for j in range(x.shape[1])]))


def features(codec: Codec, several: list[Tensor]) -> list[np.ndarray]:
    """Events of several sets as vectors [n, d] of few numbers, made alike for all of them.

    Columns of a table stay as they are, categories as numbers of values; text becomes counts of its pieces of one to
    three characters, anything else its numbers; these are projected on their principal components if there are many.
    """
    frames = [frame for x in several if (frame := as_frame(codec, x)) is not None]
    if len(frames) == len(several):
        return _of_frames(frames)
    ends = np.cumsum([len(x) for x in several])[:-1]
    if isinstance(codec, TextCodec | DocumentCodec):
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import HashingVectorizer

        counts = HashingVectorizer(analyzer="char", ngram_range=(1, 3), n_features=2**12, lowercase=False)
        matrix = counts.transform([text for x in several for text in codec.decode(x)])
        whole = TruncatedSVD(FEATURES, random_state=0).fit_transform(matrix)
    else:
        values = several if isinstance(codec, SoundCodec) else [codec.decode(x) for x in several]
        arrays = [np.stack([np.asarray(v) for v in part]).reshape(len(part), -1) for part in values]
        whole = np.concatenate(arrays).astype(np.float64)
        if whole.shape[1] > FEATURES:
            from sklearn.decomposition import PCA

            parts = min(FEATURES, len(whole) - 1)
            whole = PCA(parts, random_state=0, svd_solver="randomized").fit_transform(whole)
    return np.split(whole, ends)


def _of_frames(frames: list[pd.DataFrame]) -> list[np.ndarray]:
    import pandas as pd

    whole = pd.concat(frames, ignore_index=True)
    columns = []
    for name in whole.columns:
        column = whole[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
        else:
            codes = pd.factorize(column.astype(object), use_na_sentinel=False)[0]
            ranks = np.bincount(codes).argsort(kind="stable")[::-1].argsort()  # the most frequent value is 0
            columns.append(np.minimum(ranks[codes], CATEGORIES).astype(np.float64))
    return np.split(np.stack(columns, 1), np.cumsum([len(frame) for frame in frames])[:-1])


def classifier_test(a: np.ndarray, b: np.ndarray, seed: int) -> tuple[float, float]:
    """Classifier two-sample test (Lopez-Paz & Oquab 2017): how well gradient-boosted trees tell two sets apart.

    Args:
        a, b: vectors [n, d] and [m, d].
        seed: of the folds and the trees.

    Returns:
        Area under the ROC curve on events not trained on, averaged over folds, and its standard error: 0.5 for sets
        that cannot be distinguished, 1 for sets that always can.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    x = np.concatenate([a, b])
    y = np.repeat([0, 1], [len(a), len(b)])
    areas, errors = [], []
    for learned, judged in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y):
        leaf = max(1, min(20, len(learned) // 8))  # leaves of 20 events would leave few of them together
        trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, min_samples_leaf=leaf, random_state=seed)
        score = trees.fit(x[learned], y[learned]).predict_proba(x[judged])[:, 1]
        area, error = auroc(score[y[judged] == 0], score[y[judged] == 1])
        areas.append(area)
        errors.append(error)
    return float(np.mean(areas)), math.hypot(*errors) / FOLDS


@dataclass(frozen=True)
class Distinguished:
    """How well a classifier distinguishes events from real ones: the same measure for every family.

    Attributes:
        auroc: area under the ROC curve; 0.5 if they cannot be distinguished, 1 if they always can.
        se: its standard error.
        n: events of each kind.
    """

    auroc: float
    se: float
    n: int

    def __str__(self) -> str:
        return f"{self.auroc:.3f} ± {self.se:.3f}"


def distinguished(
    vectors_of: Callable[[list[Tensor]], list[np.ndarray]], real: Tensor, others: Mapping[str, Tensor], seed: int = 0
) -> dict[str, Distinguished]:
    """How well a classifier distinguishes each of several sets of events from the first, by the same features.

    Args:
        vectors_of: several sets of events → vectors of each, made alike for all of them.
        real: events that were held out.
        others: name → events.
        seed: of the classifier.
    """
    vectors, *rest = vectors_of([real, *others.values()])
    found = {}
    for name, other in zip(others, rest):
        n = min(len(vectors), len(other))
        if n >= FEWEST:
            found[name] = Distinguished(*classifier_test(vectors[:n], other[:n], seed), n)
    return found


def drawn_within(model: Model, n: int, context: Tensor | None, seed: int, seconds: float) -> Tensor | None:
    """n samples on the CPU; None if they clearly take longer than this many seconds."""
    options: dict[str, Any] = {"effort": Effort(seconds)} if "effort" in model.sampling_signature() else {}
    try:
        return model.sample(n, context, seed=seed, **options).cpu()
    except PatienceError:
        return None


def listable(model: Model) -> Discrete | None:
    """The space of a model whose events can all be listed and scored in a moment; None of any other."""
    space = model.space
    if not isinstance(space, Discrete) or model.context_space is not None or model.density is not Density.EXACT:
        return None
    return space if space.event_count is not None and space.event_count <= LISTED else None


def point_masses(space: Discrete, split: Split) -> Empirical:
    """The events of a split as a distribution."""
    found = Empirical(space)
    for x, _ in split.batches(2**16):
        found.observe(x)
    return found


def energy_distance(a: Tensor, b: Tensor) -> float:
    """Squared energy distance 2 E|A − B| − E|A − A'| − E|B − B'| (Székely & Rizzo 2013), without bias: 0 on average for
    samples of one distribution.

    Args:
        a, b: vectors [n, d] and [m, d], at least two of each.
    """
    a, b = a.double(), b.double()
    n, m = len(a), len(b)
    within = torch.cdist(a, a).sum() / (n * (n - 1)) + torch.cdist(b, b).sum() / (m * (m - 1))
    return float(2 * torch.cdist(a, b).mean() - within)


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """½ Σ |p − q|."""
    return 0.5 * float(np.abs(p - q).sum())
