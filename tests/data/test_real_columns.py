"""Real numbers at the ends of float64, far from all others, or again and again: learned right, reported, or refused."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import ptheta
from ptheta.data import load
from ptheta.errors import SourceError
from ptheta.models.inputs import moments
from ptheta.runs import Run

N = 200
Z = np.random.default_rng(0).normal(size=N)
SMALL = {
    "flow": {"transforms": 1, "width": 8, "layers": 1, "bins": 4},
    "made": {"width": 8, "layers": 1, "components": 2},
    "markov_mlp": {"width": 8, "layers": 1},
    "table": {"width": 16, "layers": 1, "heads": 2, "components": 2, "bins": 4},
}


@pytest.mark.parametrize("scale", [1e155, 1e300, 1e-155, 1e-300])
@pytest.mark.parametrize("family", SMALL)
def test_numbers_of_any_size_are_learned_as_those_of_size_one(family, scale, tmp_path):
    """log p(x) of scale · x is less by log scale a column, and draws are that much larger."""
    runs = []
    for factor in (1.0, scale):
        frame = pd.DataFrame({"a": Z, "b": Z[::-1]}) * factor
        data = load(frame, columns="real")
        fitted = ptheta.fit(
            family, data, steps=2, out=tmp_path / f"{factor}", hyperparameters=SMALL[family], verbose=False
        )
        run = Run.load(fitted.path)
        runs.append((run.model.log_prob(torch.from_numpy(data.test.x)), run.model.sample(20, seed=0)))
    (one, drawn), (other, scaled) = runs
    torch.testing.assert_close(other + 2 * math.log(scale), one, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(scaled / scale, drawn, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (Z * 1e306, r"goes from -[\d.]+e\+306 to .* beyond the ±1e\+304 that can be learned; divide it"),
        (np.abs(Z) * 1e-310, "differ by less than 1e-304, too little to be learned; multiply it"),
    ],
)
@pytest.mark.parametrize("columns", ["auto", "real", "mixed"])
def test_numbers_beyond_what_can_be_learned_are_refused_by_name(values, says, columns):
    with pytest.raises(SourceError, match=f"b.*{says}"):
        load(pd.DataFrame({"a": Z, "b": values}), columns=columns)
    with pytest.raises(SourceError, match=rf"x\[1\].*{says}"):
        load(np.c_[Z, values])


def test_location_and_unit_are_mean_and_deviation_of_all_chunks():
    z = torch.from_numpy(np.c_[Z, 1e9 + 1e-3 * Z, np.full(N, 7.0), 1e300 * Z, 1e-300 * Z])
    for chunks in ([z], z.split(37)):
        location, unit = moments(chunks)
        expected = torch.tensor([Z.std(), z[:, 1].sub(1e9).std(unbiased=False), 1, Z.std() * 1e300, Z.std() * 1e-300])
        torch.testing.assert_close(unit / expected.double(), torch.ones(5).double(), rtol=1e-4, atol=0)
        torch.testing.assert_close(location[:3], torch.tensor([Z.mean(), 1e9, 7.0]).double(), rtol=1e-9, atol=1e-5)


def test_a_few_distant_values_do_not_ruin_the_standardisation():
    z = torch.from_numpy(np.r_[Z, 1e9])[:, None]
    for chunks in ([z], z.split(50)):
        location, unit = moments(chunks)
        assert abs(float(location)) < 0.3
        assert 0.7 < float(unit) < 1.3
    t = np.random.default_rng(1).standard_t(3, (5_000, 1))
    assert float(moments([torch.from_numpy(t)])[1]) == pytest.approx(t.std())  # heavy tails are no accident


def test_distant_and_repeated_values_are_reported():
    frame = pd.DataFrame({"a": np.where(np.arange(N) % 3, Z, 0.0), "b": Z, "c": Z})
    frame.loc[frame.index[:3], "b"] = 1e9
    notes = load(frame, columns="real").notes
    assert "column b (1e+09): a few values lie far from all others, and dominate the mean of log p; check them" in notes
    assert any(n.startswith("column a (0 in 3") and "a density there means little" in n for n in notes)
    only_test = {"train": frame[["c"]], "test": frame[["c"]].assign(c=np.r_[Z[:-1], 1e9])}
    assert any(n.startswith("column c (1e+09): a few values lie far") for n in load(only_test).notes)
    mixed = load(frame).notes
    assert "frequent values have a probability of their own: 1 value of a" in mixed
    assert any(n.startswith("column b (1e+09)") for n in mixed)
    assert not any("column" in n for n in load(frame[["c"]]).notes)


def test_spikes_of_arrays_are_reported():
    g = np.random.default_rng(0)
    notes = load((g.random((300, 16)) < 0.2).astype(np.float32)).notes
    assert any(n.startswith("dimensions x[0], x[1], x[2], x[3], x[4] and 11 more: most values repeat") for n in notes)
    some = g.normal(size=(300, 2, 3))
    some[:100, 1, 2] = 0
    assert any(n.startswith("dimension x[1, 2] (0 in ") for n in load(some).notes)
    assert not any("dimension" in n for n in load(g.normal(size=(300, 2, 3))).notes)
