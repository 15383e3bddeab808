"""What the commands do with bounds and with models that have no density."""

import json

import numpy as np
import pandas as pd
import pytest

import ptheta as package
from ptheta.cli.main import main

REFUSED = {
    "compress": (
        "compress {run} data.npz --out x.ptz",
        "and a code needs probabilities; compress with an autoregressive model",
    ),
    "classify": ("classify {run} data.npz", "and Bayes needs log p(x | y) itself; classify with an exact model"),
    "divergence": ("divergence {run} {run}", "and divergences need log p; compare models with an exact density"),
    "complete": ("complete {run} data.npz", "cannot complete; use an autoregressive model"),
    "sampling": ("sample {run} --context a --temperature 1", "has no sampling option --temperature; leave it out"),
}
HAS = {"toy_vae": "only a lower bound on log p", "toy_gan": "no density"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of both, given a label, and their data."""
    from rows import TOYS

    from ptheta.models import ZOO

    place = tmp_path_factory.mktemp("densities")
    g = np.random.default_rng(0)
    labels = g.integers(0, 2, 400)
    x = np.where(g.random((400, 4)) < 0.8, labels[:, None], 1 - labels[:, None]).astype(np.uint8)
    np.savez(place / "data.npz", x=x, y=np.array(["a", "b"])[labels])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, row in TOYS.items():
            patch.setitem(ZOO, name, row)
        for name in HAS:
            how = ["--event", "x", "--context", "y", "--steps", "20"]
            assert main(["fit", "data.npz", name, *how, "--out", name]) == 0
    return place


@pytest.fixture
def ptheta(folder, monkeypatch, capsys, toys):
    """Runs a command there; returns status, JSON of the last line (if any), and what it wrote."""
    monkeypatch.chdir(folder)

    def run(*words):
        capsys.readouterr()
        code = main([*words])
        out, err = capsys.readouterr()
        return code, (json.loads(out.splitlines()[-1]) if "--json" in words and code == 0 else None), out + err

    return run


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("name", HAS)
def test_what_needs_log_p_itself_refuses_with_reason_and_remedy(name, case, ptheta):
    command, reason = REFUSED[case]
    code, _, text = ptheta(*command.format(run=name).split())
    assert code == 2
    assert reason in text
    if case in ("compress", "classify", "divergence"):
        assert HAS[name] in text


@pytest.mark.parametrize("name", HAS)
def test_nothing_is_called_nats_that_is_a_bound_or_none(name, ptheta):
    _, info, _ = ptheta("info", name, "--json")
    results = info["results"]
    assert "nats" not in results
    assert ("nats_bound" in results) == (name == "toy_vae")
    assert ("bits_per_dim_bound" in results) == (name == "toy_vae")
    for line in package.Run.load(name).metrics():
        assert not {"nats", "validation_nats", "train_nats"} & line.keys()
    _, _, text = ptheta("info", name)
    assert ("≤ " if name == "toy_vae" else "no density; energy distance") in text


def test_a_bound_scores_and_ranks_if_it_is_asked_to(ptheta, tmp_path):
    code, _, text = ptheta("score", "toy_vae", "data.npz")
    assert code == 2
    assert "only a lower bound; rank by the bound with --elbo" in text
    out = str(tmp_path / "scores.parquet")
    code, found, text = ptheta("score", "toy_vae", "data.npz", "--elbo", "--draws", "4", "--out", out, "--json")
    assert code == 0
    assert "nats" not in found
    assert "no p-values" in text
    table = pd.read_parquet(out)
    assert "log_prob" not in table
    assert "p_value" not in table
    assert found["nats_bound"] == pytest.approx(-table["elbo"].mean())
    assert found["strangest"] == table.sort_values("elbo", kind="stable")["row"][:3].tolist()
    _, once, _ = ptheta("score", "toy_vae", "data.npz", "--elbo", "--json")
    assert once["nats_bound"] > found["nats_bound"], "more draws tighten it"
    for more in (["--anomaly", "typicality"], ["--against", "toy_vae"]):
        code, _, text = ptheta("score", "toy_vae", "data.npz", "--elbo", *more)
        assert code == 2, text
    code, _, text = ptheta("score", "toy_gan", "data.npz", "--elbo")
    assert code == 2
    assert "has no density; compare its samples" in text


@pytest.mark.parametrize("name", HAS)
def test_reports_and_judgements_are_made_all_the_same(name, ptheta, tmp_path):
    code, found, text = ptheta("report", name, "--out", str(tmp_path / "page.html"), "--json")
    assert code == 0, text
    assert not {"nats", "surprise_test", "gap"} & found.keys()
    assert ("surprise_bound_test" in found) == (name == "toy_vae")
    page = (tmp_path / "page.html").read_text()
    assert "there are no curves" not in page
    assert ("nats per event" in page) == (name == "toy_vae")
    assert ("≤ " in page) == (name == "toy_vae")
    code, found, text = ptheta("evaluate", name, "--json")
    assert code == 0, text
    assert ("nats_bound" in found) == (name == "toy_vae")
    assert "nats" not in found
    assert found["gains"] == {}


def test_they_are_compared_with_exact_ones(ptheta):
    how = ["--event", "x", "--models", "independent,toy_vae,toy_gan", "--steps", "5", "--out", "both", "--force"]
    code, found, text = ptheta("compare", "data.npz", *how, "--json")
    assert code == 0, text
    kinds = {row["model"]: row for row in found["models"]}
    assert "nats" in kinds["independent"]
    assert "nats" not in kinds["toy_vae"]
    assert found["models"][-1]["model"] == "toy_gan", "what has no density never wins on nats"
    assert set(found["sample_auroc"]) == {"train", "independent", "toy_vae", "toy_gan"}
