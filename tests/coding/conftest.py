"""The cases of the zoo, which live beside the models' tests, and small runs on every kind of data."""

import sys
from pathlib import Path

import numpy as np
import pytest
from coding_samples import greys, rows, text
from PIL import Image

import ptheta

sys.path.append(str(Path(__file__).parents[1] / "models"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """name → run."""
    folder = tmp_path_factory.mktemp("coding")
    for name, channels in (("grey", ()), ("rgb", (3,))):
        for i, picture in enumerate(greys(0, 40, channels=channels)):
            place = folder / name / ("odd" if i % 2 else "even")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"{i:02}.png")
    (folder / "rows.csv").write_text(rows(0))
    (folder / "text.txt").write_bytes(text(0, 4000))
    np.save(folder / "walks.npy", np.random.default_rng(0).integers(0, 3, (80, 4)).cumsum(1).astype(np.int16) % 3)
    transformer = {"width": 16, "layers": 1, "heads": 2, "window": 8, "dropout": 0.0}

    def fit(name, family, source, load=(), **hyperparameters):
        data = ptheta.load(str(folder / source), **dict(load))
        cls = ptheta.models.family(family).load()
        model = cls(data.space, data.context_space, **hyperparameters)
        budget = {} if issubclass(cls, ptheta.models.Counting) else {"steps": 3}
        return ptheta.fit(model, data, out=folder / "runs" / name, **budget)

    bytes_, letters = ({"tokenizer": kind, "length": 16} for kind in ("bytes", "characters"))

    return {
        "grey": fit("grey", "independent", "grey"),
        "rgb": fit("rgb", "independent", "rgb"),
        "labelled": fit("labelled", "independent", "grey", {"context": "label"}),
        "array": fit("array", "histogram", "walks.npy"),
        "chain": fit("chain", "markov_chain", "text.txt", bytes_, shared=True),
        "bytes": fit("bytes", "transformer", "text.txt", bytes_, **transformer),
        "letters": fit("letters", "transformer", "text.txt", letters, **transformer),
        "rows": fit("rows", "table", "rows.csv", width=16, layers=1, heads=2),
    }
