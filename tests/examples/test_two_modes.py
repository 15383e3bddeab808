"""The figure of forward against reverse KL is made, and says what the theory says."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "two_modes.py"


def load():
    spec = importlib.util.spec_from_file_location("two_modes_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_distribution_is_normalised_and_drawn_as_it_is_scored():
    p = load().TwoModes(load().SPACE)
    axis = torch.linspace(-9, 9, 301, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    density = p.log_prob(grid).exp()
    assert abs(float(density.sum()) * 0.06**2 - 1) < 1e-6
    x = p.sample(50_000, seed=0)
    mean, square = ((grid**k * density[:, None]).sum(0) * 0.06**2 for k in (1, 2))
    assert (x.mean(0) - mean).abs().max() < 0.05
    assert ((x**2).mean(0) - square).abs().max() < 0.1


def test_forward_covers_reverse_seeks(tmp_path, monkeypatch, capsys):
    example = load()
    monkeypatch.setattr(example, "BUDGET", {"steps": 250, "batch_size": 128, "learning_rate": 0.03})
    monkeypatch.setattr("sys.argv", ["two_modes.py", "--out", str(tmp_path / "figure.png")])
    kept = []
    monkeypatch.setattr(example, "figure", lambda *given, draw=example.figure: kept.append(given) or draw(*given))
    example.main()
    ((_, models, found),) = kept
    right = {name: (model.sample(2000, seed=0)[:, 0] > 0).double().mean().item() for name, model in models.items()}
    assert 0.3 < right["forward"] < 0.7
    assert not 0.02 < right["reverse"] < 0.98
    assert found["forward"]["forward_kl"].value < found["reverse"]["forward_kl"].value
    assert found["reverse"]["reverse_kl"].value < found["forward"]["reverse_kl"].value
    picture = np.asarray(Image.open(tmp_path / "figure.png"))
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 10
    assert "KL(q‖p)" in capsys.readouterr().out
