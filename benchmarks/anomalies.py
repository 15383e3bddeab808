"""How well scores rank anomalies: areas under ROC curves, beside scikit-learn's detectors.

    python -m benchmarks.anomalies digits   --runs FOLDER [--families made …]    a class that training has not seen
    python -m benchmarks.anomalies adult    --runs FOLDER    rows of a table, some of whose columns were shuffled
    python -m benchmarks.anomalies pictures --runs FOLDER [--figure FILE]    clothes against digits, at 256 levels

--runs keeps the nats that were measured, and the runs on adult and pictures; what lies there is not fitted again.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta import anomalies, metrics
from ptheta.data import Data, Split
from ptheta.evaluation.nats import log_probs

DIGITS = {"independent": None, "markov_chain": None, "made": 0.2, "transformer": 0.4}
"""Families fitted to digits → minutes."""

PICTURES: dict[str, tuple[str, str, float]] = {
    "fashion": ("fashion_mnist", "pixelcnn", 10),
    "mnist": ("mnist", "pixelcnn", 10),
    "fashion-noisy": ("fashion_mnist", "pixelcnn", 4),
    "mnist-noisy": ("mnist", "pixelcnn", 3),
    "fashion-independent": ("fashion_mnist", "independent", 0),
    "mnist-independent": ("mnist", "independent", 0),
    "general": ("cifar10", "pixelcnn", 5),
}
"""Run → data, family, minutes; the noisy ones see a tenth of the pixels replaced by a random level."""

PIXELCNN = {"width": 64, "layers": 6, "dropout": 0.0}
SETTINGS: dict[str, Any] = {"batch_size": 8, "learning_rate": 6e-3, "precision": "native"}

SHUFFLED = (1, 2, 3, 5, 15)
"""Cells of a row of adult that are replaced by those of other rows."""


# Digits


def digits(folder: Path, families: list[str]) -> None:
    """Each class held out in turn; all of its events against those of the other classes in test."""
    areas: dict[str, list[tuple[float, float]]] = {}
    for label in range(10):
        cache = folder / f"digits-{label}-{'-'.join(families)}.npz"
        if not cache.exists():
            np.savez(cache, **_digit_nats(label, families))
        for name, (ordinary, odd) in _digit_scores(np.load(cache), families).items():
            areas.setdefault(name, []).append(metrics.auroc(ordinary, odd))
    lines = []
    for name, found in sorted(areas.items(), key=lambda item: -np.mean([area for area, _ in item[1]])):
        area, error = np.array(found).T
        spread = f"{area.min():.2f} to {area.max():.2f}"
        lines.append((name, f"{area.mean():.3f} ± {np.linalg.norm(error) / 10:.3f}", spread, f"{area[1]:.2f}"))
    print(table(["score", "AUROC, mean of 10 classes ± s.e.", "least to most", "of the ones"], lines))


def _digit_nats(label: int, families: list[str]) -> dict[str, np.ndarray]:
    """Nats of validation, test and strange events under each family, also fitted to noisy digits."""
    data = ptheta.load("digits", context="label")
    kept = {name: Split(split.x[split.context != label]) for name, split in data.splits.items()}
    odd = Split(np.concatenate([split.x[split.context == label] for split in data.splits.values()]))
    found = {f"x_{name}": split.x for name, split in {**kept, "strange": odd}.items()}
    generator = np.random.default_rng(label)
    for noise in ("", "-noisy"):
        splits = {n: Split(mutated(s.x, 17, 0.15, generator)) for n, s in kept.items()} if noise else kept
        known = Data("digits", "digits", data.space, None, data.codec, splits)
        for name in families:
            with tempfile.TemporaryDirectory() as place:
                run = ptheta.fit(name, known, minutes=DIGITS[name], out=Path(place) / "run", verbose=False)
            for part, split in {"validation": kept["validation"], "test": kept["test"], "strange": odd}.items():
                found[f"{name}{noise}_{part}"] = log_probs(run.model, split).numpy()
    return found


def _digit_scores(nats: Any, families: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name of a score → scores of test events, and of strange ones."""
    data = ptheta.load("digits")
    codec = data.codec
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def both(key: str) -> list[np.ndarray]:
        return [nats[f"{key}_{part}"] for part in ("test", "strange")]

    def put(name: str, score: Callable[..., np.ndarray], *columns: list[np.ndarray]) -> None:
        ordinary, odd = (score(*rows) for rows in zip(*columns))
        found[name] = ordinary, odd

    size = [anomalies.compressed_nats(codec.decode(x)) for x in both("x")]
    neighbours = anomalies.Neighbours(Split(nats["x_train"]), data.space, codec)
    distance = [neighbours(Split(x)) for x in both("x")]
    usual = neighbours(Split(nats["x_validation"]))
    found["neighbours"] = distance[0], distance[1]
    for name in families:
        reference = anomalies.surprise(nats[f"{name}_validation"]), usual
        scaled = [anomalies.either(-log_prob, far, reference)[0] for log_prob, far in zip(both(name), distance)]
        found[f"{name}, either"] = scaled[0], scaled[1]
        entropy = -float(nats[f"{name}_validation"].mean())
        put(f"{name}, surprise", anomalies.surprise, both(name))
        put(f"{name}, typicality", functools.partial(anomalies.typicality, entropy=entropy), both(name))
        put(f"{name}, complexity", anomalies.complexity, both(name), size)
        put(f"{name}, ratio to itself on noisy digits", anomalies.ratio, both(name), both(f"{name}-noisy"))
        if name != "independent" and "independent" in families:
            put(f"{name}, ratio to independent", anomalies.ratio, both(name), both("independent"))
    for name, detector in detectors(_flat(nats["x_train"]), _flat(nats["x_validation"])).items():
        put(name, lambda x, found=detector: -found.score_samples(_flat(x)), both("x"))
    return found


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(float)


def mutated(x: np.ndarray, levels: int, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Events of which a part of the values is drawn anew, each level alike (Ren et al. 2019)."""
    x = x.copy()
    hit = generator.random(x.shape) < rate
    x[hit] = generator.integers(0, levels, int(hit.sum()), dtype=x.dtype)
    return x


def detectors(train: np.ndarray, validation: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """scikit-learn's detectors on rows of numbers [n, m]; widths and components by validation likelihood."""
    kernels = [KernelDensity(bandwidth=width * train.std()).fit(train) for width in (0.05, 0.1, 0.2, 0.3, 0.5)]
    mixtures = [
        GaussianMixture(components, reg_covar=floor, random_state=seed).fit(train)
        for components in (1, 5, 10, 20)
        for floor in (1e-3, 0.1, 1.0)
    ]
    return {
        "IsolationForest": IsolationForest(n_estimators=300, random_state=seed).fit(train),
        "LocalOutlierFactor": LocalOutlierFactor(n_neighbors=20, novelty=True).fit(train),
        "KernelDensity": max(kernels, key=lambda kernel: kernel.score(validation)),
        "GaussianMixture": max(mixtures, key=lambda mixture: mixture.score(validation)),
    }


# Adult


def adult(folder: Path) -> None:
    """Real test rows against others of whose cells some come from other rows, so that columns keep their marginals."""
    data = ptheta.load(str(DATA / "adult"))
    run, generator = _run(folder, "adult-table", lambda: data, "table", 4), np.random.default_rng(0)
    base, real = data.test.subset(2000, seed=1).x, data.test.subset(2000).x
    numbers = _Numbers(data)
    known = detectors(numbers(data.train.subset(2000).x), numbers(data.validation.subset(500).x))
    known["surprise of the table model"] = run
    scores = {name: [_score(d, real, numbers)] for name, d in known.items()}
    for count in SHUFFLED:
        x = shuffled(base, count, generator)
        for name, detector in known.items():
            scores[name].append(_score(detector, x, numbers))
    lines = []
    for name, (ordinary, *odd) in sorted(scores.items(), key=lambda item: -item[1][1].mean()):
        areas = [metrics.auroc(ordinary, strange) for strange in odd]
        lines.append((name, *(f"{area:.3f} ± {error:.3f}" for area, error in areas)))
    print(table(["score", *(f"{count} of 15 cells" for count in SHUFFLED)], lines))


def shuffled(x: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of which `count` cells each, drawn anew, are those of other rows."""
    n, m = x.shape
    cells = np.stack([generator.permutation(m)[:count] for _ in range(n)])
    others = np.stack([generator.permutation(n) for _ in range(m)], 1)
    strange = x.copy()
    for j in range(m):
        hit = (cells == j).any(1)
        strange[hit, j] = x[others[hit, j], j]
    return strange


class _Numbers:
    """Rows as standardised numbers: categories one-hot, rare ones left out."""

    def __init__(self, data: Data):
        import pandas as pd

        self.codec = data.codec
        self.columns = pd.get_dummies(self.codec.decode(data.train.subset(2000).x)).astype(float)
        self.columns = self.columns.loc[:, self.columns.mean().ne(0)]
        self.mean, self.scale = self.columns.mean(), self.columns.std().clip(lower=0.05)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        import pandas as pd

        frame = pd.get_dummies(self.codec.decode(x)).astype(float).reindex(columns=self.columns.columns, fill_value=0.0)
        return ((frame - self.mean) / self.scale).to_numpy()


def _score(detector: Any, x: np.ndarray, numbers: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    if isinstance(detector, ptheta.Run):
        return anomalies.surprise(log_probs(detector.model, Split(x)))
    return -detector.score_samples(numbers(x))


# Pictures


def pictures(folder: Path, figure: Path | None) -> None:
    """Test pictures of one data set against those of the other, constant pictures and noise."""
    events = _pictures()
    tested = [part for part in events if not part.endswith("-held-out")]
    nats = {
        name: {
            part: _nats(folder, name, part, x) for part, x in events.items() if part in tested or part.startswith(name)
        }
        for name in PICTURES
    }
    codec = ptheta.load(str(DATA / "mnist")).codec
    size = {part: anomalies.compressed_nats(codec.decode(x)) for part, x in events.items()}
    far = distances(events)
    lines = []
    for own, other in (("fashion", "mnist"), ("mnist", "fashion")):
        mine = nats[own]
        entropy = -float(mine[f"{own}-held-out"].mean())
        scores = {
            "surprise": {part: anomalies.surprise(mine[part]) for part in tested},
            "typicality": {part: anomalies.typicality(mine[part], entropy) for part in tested},
            "complexity": {part: anomalies.complexity(mine[part], size[part]) for part in tested},
            "neighbours": {part: far[own][part] for part in tested},
            "either": {
                part: anomalies.either(
                    -mine[part], far[own][part], (-mine[f"{own}-held-out"], far[own][f"{own}-held-out"])
                )[0]
                for part in tested
            },
        }
        backgrounds = {"itself, noisy": f"{own}-noisy", "independent": f"{own}-independent", "general": "general"}
        for said, q in backgrounds.items():
            scores[f"ratio to {said}"] = {part: anomalies.ratio(mine[part], nats[q][part]) for part in tested}
        for name, score in scores.items():
            areas = [metrics.auroc(score[own], score[part]) for part in (other, "constant", "noise")]
            lines.append((f"{own}, {name}", *(f"{area:.3f} ± {error:.3f}" for area, error in areas)))
    print(table(["model and score", "the other data set", "constant pictures", "noise"], lines))
    for part in tested:
        print(part, f"{-nats['fashion'][part].mean():.0f} nats, {size[part].mean():.0f} nats compressed")
    if figure is not None:
        draw(nats["fashion"], size, figure)


def distances(events: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Data set → part → distances of its pictures from the training pictures of the data set."""
    found = {}
    for name, folder in (("fashion", "fashion_mnist"), ("mnist", "mnist")):
        data = ptheta.load(str(DATA / folder))
        neighbours = anomalies.Neighbours(data.train, data.space, data.codec)
        found[name] = {part: neighbours(Split(x)) for part, x in events.items()}
    return found


def _pictures() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    events = {}
    for name, folder in (("fashion", "fashion_mnist"), ("mnist", "mnist")):
        data = ptheta.load(str(DATA / folder))
        events[name] = data.test.subset(2000).x[::2]
        events[f"{name}-held-out"] = data.validation.subset(500).x
    flat = generator.integers(0, 256, (200, 1, 1, 1), dtype=np.uint8)
    events["constant"] = np.broadcast_to(flat, (200, 1, 28, 28)).copy()
    events["noise"] = generator.integers(0, 256, (200, 1, 28, 28), dtype=np.uint8)
    return events


def _nats(folder: Path, name: str, part: str, x: np.ndarray) -> np.ndarray:
    """log p of pictures under a run, measured once."""
    cache = folder / f"{name}.{part}.npy"
    if not cache.exists():
        source, family, minutes = PICTURES[name]
        run = _run(folder, name, lambda: _training(name, source), family, minutes)
        np.save(cache, log_probs(run.model, Split(x)).numpy())
    return np.load(cache)


def _training(name: str, source: str) -> Data:
    """What a run on pictures is fitted to."""
    options = {"colour": "grey", "size": (28, 28)} if source == "cifar10" else {}
    data = ptheta.load(str(DATA / source), **options)
    if name.endswith("-noisy"):
        generator = np.random.default_rng(0)
        for split in data.splits.values():
            split.x = mutated(split.x, 256, 0.1, generator)
    return data


def _run(folder: Path, name: str, load: Callable[[], Data], family: str, minutes: float) -> ptheta.Run:
    """The run in the folder, fitted if it is not there yet."""
    if (folder / name / "README.md").exists():
        return ptheta.Run.load(folder / name)
    learned: dict[str, Any] = {"minutes": minutes} if minutes else {}
    if family == "pixelcnn":
        learned |= {"hyperparameters": PIXELCNN, **SETTINGS}
    return ptheta.fit(family, load(), out=folder / name, verbose=True, **learned)


def draw(nats: dict[str, np.ndarray], size: dict[str, np.ndarray], path: Path) -> None:
    """Histograms of two scores of a model of clothes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = {"fashion": "clothes (test)", "mnist": "digits (test)", "constant": "constant pictures"}
    panels = {
        "surprise: −log p, nats": {part: anomalies.surprise(nats[part]) for part in names},
        "complexity: −log p less the compressed size, nats": {
            part: anomalies.complexity(nats[part], size[part]) for part in names
        },
    }
    sheet, axes = pyplot.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    for axis, (title, scores) in zip(axes, panels.items()):
        everything = np.concatenate(list(scores.values()))
        bins = np.linspace(everything.min(), np.percentile(everything, 99.5), 60)
        for part, values in scores.items():
            axis.hist(values, bins, density=True, alpha=0.65, label=names[part])
        axis.set(xlabel=f"{title} → stranger", yticks=[], ylim=(0, None))
        area = metrics.auroc(scores["fashion"], scores["mnist"])[0]
        axis.set_title(f"digits against clothes: AUROC {area:.3f}", fontsize=10)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=9)
    sheet.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["digits", "adult", "pictures"])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--figure", type=Path, default=None)
    parser.add_argument("--families", nargs="+", choices=DIGITS, default=list(DIGITS), help="fitted to digits")
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    if args.part == "pictures":
        pictures(args.runs, args.figure)
    elif args.part == "digits":
        digits(args.runs, args.families)
    else:
        adult(args.runs)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
