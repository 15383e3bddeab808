"""A family of one's own: named as `module:Class` or by its class, it is fitted, saved, loaded and used as any other."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import ptheta
from ptheta.cli.main import main
from ptheta.coding import compress
from ptheta.errors import FitError, PthetaError, RunError, UsageError
from ptheta.models import ZOO, Family
from ptheta.models.counting.tables import Independent
from ptheta.models.zoo import PACKAGE
from ptheta.sklearn import DensityEstimator

SOURCE = '''
import torch
from torch import nn
from ptheta.models import Model
from ptheta.spaces import Discrete


class Own(Model):
    """Every dimension on its own.

    Args:
        space: of events.
        context_space: none.
        scale: of the first logits.
        word: without a type.
    """

    spaces = (Discrete,)
    context_spaces = ()

    def __init__(self, space, context_space=None, scale: float = 0.1, word="plain"):
        super().__init__(space, context_space)
        self.scale, self.word = scale, word
        self.logits = nn.Parameter(scale * torch.randn(space.dimensions, space.levels))

    def _log_prob(self, x, context):
        return torch.distributions.Categorical(logits=self.logits.double()).log_prob(x.flatten(1)).sum(1)

    def _sample(self, n, context, generator, *, sharp: float = 1.0):
        """Draw.

        Args:
            sharp: factor of the logits.
        """
        drawn = torch.multinomial((self.logits * sharp).softmax(-1), n, True, generator=generator)
        return drawn.T.reshape(n, *self.space.shape)


class Forgetful(Own):
    def __init__(self, space, context_space=None, width: int = 3):
        super().__init__(space, context_space)


class Shapeless(Own):
    def _log_prob(self, x, context):
        return super()._log_prob(x, context).mean()


class Broad(Own):
    def _log_prob(self, x, context):
        return super()._log_prob(x, context)[:, None]


class Flat(Own):
    def _sample(self, n, context, generator):
        return super()._sample(n, context, generator).flatten(1)[:, :1]


class Floating(Own):
    def _sample(self, n, context, generator):
        return super()._sample(n, context, generator).float()


class Strange(Own):
    def __init__(self, space, context_space=None, kind=torch.float32):
        super().__init__(space, context_space)
        self.kind = kind


class Dense(Own):
    def _log_prob(self, x, context):
        return torch.distributions.Normal(self.logits.mean(1).double(), 0.2).log_prob(x.flatten(1).double()).sum(1)


def nothing():
    pass
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working folder of a person with a module of families, and a run of one of them."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_family.py").write_text(SOURCE)
    (folder / "broken_family.py").write_text("1 / 0\n")
    return folder


@pytest.fixture
def own(folder, monkeypatch):
    """The module, imported for one test."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_family", raising=False)
    import own_family  # type: ignore[import-not-found]

    yield own_family
    sys.modules.pop("own_family", None)


def forget(monkeypatch):
    monkeypatch.delitem(sys.modules, "own_family", raising=False)


@pytest.mark.parametrize("how", ["class", "name", "instance", "row"])
def test_it_is_fitted_however_it_is_named_and_loaded_again(how, own, data, tmp_path, monkeypatch):
    monkeypatch.setitem(
        ZOO, "mine", Family("mine", "own_family:Own", "exact", "discrete", "", "")
    ) if how == "row" else 0
    given = {"class": own.Own, "name": "own_family:Own", "instance": own.Own(data.space, scale=0.3), "row": "mine"}[how]
    hyperparameters = {} if how == "instance" else {"hyperparameters": {"scale": 0.3}}
    run = ptheta.fit(given, data, steps=2, out=tmp_path / "run", **hyperparameters)
    assert run.config["model"]["family"] == "own_family:Own"
    assert run.name == ("mine" if how == "row" else "own_family:Own")
    ZOO.pop("mine", None)
    again = ptheta.Run.load(run.path)
    assert again.model.scale == 0.3
    x = data.splits["test"].x
    assert torch.equal(again.model.log_prob(x), run.model.log_prob(x))


def test_a_run_never_imports_the_module_that_it_names(own, data, tmp_path, monkeypatch):
    path = ptheta.fit(own.Own, data, steps=1, out=tmp_path / "run").path
    forget(monkeypatch)
    with pytest.raises(RunError, match="no module is imported because a run names it; if you trust it, import own_fam"):
        ptheta.Run.load(path)
    assert "own_family" not in sys.modules
    with pytest.raises(RunError, match="no module is imported"):
        ptheta.fit(None, data, out=path, resume=True)
    assert ptheta.fit("own_family:Own", data, out=path, resume=True, steps=2).name == "own_family:Own"


def test_a_class_of_the_package_goes_by_its_name_in_the_zoo(data, tmp_path):
    run = ptheta.fit(Independent, data, out=tmp_path / "run")
    assert run.config["model"]["family"] == run.name == "independent"
    assert all(row.module.startswith(PACKAGE) for row in ZOO.values())


@pytest.mark.parametrize(
    ("model", "kind", "problem"),
    [
        ("own_family:Onw", UsageError, "module own_family has no Onw; did you mean Own?"),
        ("own_family:nothing", UsageError, "own_family:nothing is not a family of models; derive it from"),
        ("no_such_module:Own", UsageError, "no module is called no_such_module"),
        ("broken_family:Own", UsageError, "module broken_family cannot be imported: ZeroDivisionError"),
        ("own_family:Forgetful", FitError, "Forgetful does not keep its hyperparameter 'width'; set self.width"),
        ("own_family:Strange", FitError, "hyperparameter 'kind' of Strange is a dtype, which config.json cannot hold"),
        (dict, UsageError, "builtins:dict is not a family of models"),
    ],
)
@pytest.mark.usefixtures("own")
def test_what_does_not_suit_is_named_and_nothing_is_left(model, kind, problem, data, tmp_path):
    with pytest.raises(kind, match=problem):
        ptheta.fit(model, data, steps=1, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Shapeless", r"own_family:Shapeless._log_prob returned shape \[\], not \[n\] for n = \d+; return a tensor"),
        ("Broad", r"own_family:Broad._log_prob returned shape \[\d+, 1\], not \[n\]"),
    ],
)
def test_a_log_probability_of_a_wrong_shape_is_named(name, problem, own, data, tmp_path):
    with pytest.raises(FitError, match=problem):
        ptheta.fit(f"own_family:{name}", data, steps=1, out=tmp_path / "run")
    with pytest.raises(FitError, match=problem):
        getattr(own, name)(data.space).log_prob(data.splits["test"].x)


def test_samples_of_a_wrong_shape_or_type_are_named(own, data):
    with pytest.raises(FitError, match=r"own_family:Flat._sample returned shape \[3, 1\], not \[n, \d+.*\] for n = 3"):
        own.Flat(data.space).sample(3, seed=0)
    with pytest.raises(FitError, match=r"Floating._sample returned torch.float32, not whole numbers; return whole"):
        own.Floating(data.space).sample(3, seed=0)


def test_a_family_without_conditionals_is_not_called_one_of_real_numbers(own, data, tmp_path):
    run = ptheta.fit(own.Own, data, steps=1, out=tmp_path / "run")
    with pytest.raises(UsageError, match="Own is not autoregressive: it gives no conditionals"):
        compress(run, [tmp_path / "x.npy"], tmp_path / "x.ptz")


def test_a_class_that_cannot_be_found_again_is_refused_and_an_old_run_survives_that(data, tmp_path):
    class Mine(Independent):
        pass

    old = ptheta.fit("independent", data, out=tmp_path / "run")
    for model in (Mine, Mine(data.space)):
        with pytest.raises(
            FitError, match=r"Mine, so a run of it could not be loaded again; define the class at the top"
        ):
            ptheta.fit(model, data, out=old.path, force=True)
    assert ptheta.Run.load(old.path).name == "independent"


def test_scikit_learns_estimator_takes_it(own):
    x = np.random.default_rng(0).integers(0, 3, (60, 2))
    for model in (own.Own, "own_family:Own"):
        scores = DensityEstimator(model, steps=2, random_state=0).fit(x).score_samples(x)
        assert np.isfinite(scores).all()


def test_the_command_line_finds_it_in_the_working_folder(folder, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget(monkeypatch)
    np.save(tmp_path / "walks.npy", data.splits["train"].x)
    run = str(tmp_path / "run")
    fit = ["fit", str(tmp_path / "walks.npy"), "own_family:Own", "--steps", "1", "--out", run]
    assert main([*fit, "--scale", "0.5", "--word", "other"]) == 0
    hints = re.findall(r"next: ptheta (.*)", capsys.readouterr().err)
    assert [words.split()[0] for words in hints] == ["sample", "report"]
    assert "--allow-module own_family" in (tmp_path / "run" / "README.md").read_text()
    for words in hints:
        forget(monkeypatch)
        assert main([*words.split(), *(["--out", str(tmp_path / "tried")] if "report" not in words else [])]) == 0
    forget(monkeypatch)
    assert main(["fit", "x", "own_family:Own", "--scael", "3"]) == 2
    assert "unknown flag --scael; did you mean --scale?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fit", "x", "own_family:Own", "--help"])
    assert "of the first logits" in capsys.readouterr().out
    forget(monkeypatch)
    sample = ["sample", run, "-n", "2", "--seed", "0", "--sharp", "2", "--out", str(tmp_path / "drawn")]
    assert main(sample) == 2
    assert "add --allow-module own_family" in capsys.readouterr().err
    assert main([*sample, "--allow-module", "own_family"]) == 0
    assert main(["info", run, "--allow-module=own_family"]) == 0
    assert "scale 0.5, word other" in capsys.readouterr().out
    assert main(["info", run, "--allow-module"]) == 2
    assert "--allow-module needs a value" in capsys.readouterr().err
    forget(monkeypatch)


def test_only_the_word_in_the_place_of_the_model_is_imported(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget(monkeypatch)
    (folder / "own_family:Data").mkdir()
    for words in (
        ["own_family:Own"],
        ["own_family:Data", "made"],
        ["none.csv", "own_family:Data"],  # a path
        ["none.csv", "--missing", "na", "own_family:Own"],
        ["none.csv", "--event", "own_family:Own", "made"],
        ["--out", "own_family:Own", "none.csv", "mode"],
        ["--width", "3", "none.csv", "--except", "own_family:Own", "mode"],
        ["--event", "b", "--force", "own_family:Own", "made"],
        ["none.csv", "made", "own_family:Own"],
    ):
        assert main(["fit", *words, "--json"]) == 2, words
        assert "own_family" not in sys.modules, words
    assert main(["fit", "none.csv", "own_family:Data"]) == 2
    assert "own_family:Data is a path, not a model" in capsys.readouterr().err
    assert main(["compare", "own_family:Own", "--models", "own_family:Data"]) == 2
    assert "own_family" not in sys.modules
    for flags in (["--json"], ["--missing", "n:a", "--steps", "1"], ["--validation", "0.2"], ["--layers", "2"]):
        assert main(["fit", "none.csv", *flags, "own_family:Own"]) == 2
        assert "own_family" in sys.modules, flags
        forget(monkeypatch)


def test_a_run_of_another_process_is_loaded_once_its_module_is_imported(own, folder, data, tmp_path):
    run = ptheta.fit(own.Own, data, steps=1, out=tmp_path / "run")
    code = f"""
        import sys, ptheta
        try:
            ptheta.Run.load({str(run.path)!r})
        except ptheta.PthetaError as error:
            print(type(error).__name__)
        import own_family
        print(ptheta.Run.load({str(run.path)!r}).name)
        slow = {{"torch._dynamo", "sklearn", "scipy", "pandas"}}  # to import, and not needed
        print(slow & sys.modules.keys())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["RunError", "own_family:Own", "set()"]


def test_what_it_returns_is_checked_before_it_learns(own, data, tmp_path):
    with pytest.raises(FitError, match=r"own_family:Floating\._sample returned torch.float32, not whole numbers"):
        ptheta.fit(own.Floating, data, steps=1, out=tmp_path / "run")
    with pytest.raises(FitError, match=r"own_family:Flat\._sample returned shape"):
        ptheta.fit(own.Flat, data, steps=1, out=tmp_path / "run")
    with pytest.raises(FitError, match=r"of own_family:Dense sum to \S+ over all .* not to 1; return log-prob"):
        ptheta.fit(own.Dense, data, steps=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_example_of_the_documentation_learns(tmp_path, monkeypatch):
    page = Path(__file__).parents[1] / "docs" / "families.md"
    (source,) = (
        text for text in re.findall(r"```python\n(.*?)```", page.read_text(), re.S) if "class Gaussian" in text
    )
    (tmp_path / "gaussian.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    x = 3 + np.random.default_rng(0).normal(size=(200, 2))
    run = ptheta.fit("gaussian:Gaussian", x, steps=100, learning_rate=0.1, scale=2.0,
                     out=tmp_path / "run")  # fmt: skip
    assert run.model.scale == 2.0
    assert abs(run.sample(400, seed=0).mean() - 3) < 0.3
    nats = run.model.log_prob(x[:5]).numpy()
    expected = torch.distributions.Normal(run.model.mean.detach(), run.model.log_std.exp().detach())
    np.testing.assert_allclose(nats, expected.log_prob(torch.from_numpy(x[:5])).sum(1), atol=1e-5)
    with pytest.raises(PthetaError, match="cannot model"):
        ptheta.fit("gaussian:Gaussian", "digits", steps=1, out=tmp_path / "other")
    sys.modules.pop("gaussian", None)
