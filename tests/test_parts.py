"""Models made of models: in the config, among the weights, in numbers, loaded and resumed."""

import copy
import json
import shutil

import numpy as np
import pytest
import torch
from toy_blend import ToyBlend
from toy_vae import ToyVAE

import ptheta
from ptheta.cli.main import main
from ptheta.configs import build_model, describe_model
from ptheta.errors import FitError, RunError
from ptheta.evaluation.enumeration import enumerate_events
from ptheta.models import MADE, Density, Model, Transformer
from ptheta.reporting import card_rows
from ptheta.spaces import Discrete
from ptheta.weights import digest, read_tensors

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture
def first(data, tmp_path):
    return ptheta.fit("made", data, steps=20, out=tmp_path / "first", hyperparameters={"width": 12})


@pytest.fixture
def blend(data, first, tmp_path):
    model = ToyBlend(data.space, first=first.as_part(), second=MADE(data.space, width=10), share=0.3)
    return ptheta.fit(model, data, steps=20, out=tmp_path / "blend", average=0.9)


@torch.no_grad()
def test_a_part_is_scored_as_its_definition_says(blend, first):
    x = enumerate_events(blend.model.space)
    expected = 0.3 * first.model.log_prob(x).exp() + 0.7 * blend.model.second.log_prob(x).exp()
    torch.testing.assert_close(blend.model.log_prob(x).exp(), expected)
    assert float(expected.sum()) == pytest.approx(1, abs=1e-5)


def test_the_config_names_the_parts_and_where_they_come_from(blend, first):
    described = blend.config["model"]
    assert described["family"] == "toy_blend:ToyBlend"
    assert described["hyperparameters"] == {"share": 0.3}
    assert list(described["parts"]) == ["first", "second"]
    kept, learned = described["parts"].values()
    assert (kept["family"], kept["frozen"], kept["hyperparameters"]["width"]) == ("made", True, 12)
    assert kept["origin"] == {"config": first.config["sha256"], "weights": digest(first.model.state_dict())}
    assert (learned["family"], learned["frozen"], learned["origin"]) == ("made", False, None)


def test_a_frozen_part_keeps_its_weights_and_the_rest_learns(blend, first):
    tensors = read_tensors(blend.path / "model.safetensors")[0]
    assert {name.split(".")[0] for name in tensors} == {"first", "second"}
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensors[f"first.{name}"], tensor)
    fresh = build_model(blend.config)
    assert not torch.equal(fresh.second.out.weight, tensors["second.out.weight"])


def test_frozen_parameters_count_but_are_not_free(blend, first):
    model = blend.model
    assert model.free_parameters == model.second.free_parameters
    assert model.total_parameters == model.free_parameters + first.model.free_parameters
    results = blend.results()
    assert results["free_parameters"] == model.free_parameters
    assert results["parameters"] == model.total_parameters
    rows = dict(card_rows(blend))
    assert rows["free parameters"] == f"{model.free_parameters:,}"
    assert rows["parameters"] == f"{model.total_parameters:,}, frozen ones included"
    assert rows["part first"] == f"made, frozen, from the run {first.config['sha256'][:12]}"
    assert rows["part second"] == "made"


def test_a_run_with_parts_is_whole_without_the_runs_it_came_from(blend, first):
    shutil.rmtree(first.path)
    loaded = ptheta.Run.load(blend.path)
    x = enumerate_events(blend.model.space)
    assert torch.equal(loaded.model.log_prob(x), blend.model.log_prob(x))
    assert loaded.model.first.frozen
    assert not loaded.model.first.training
    assert loaded.model.free_parameters == blend.model.free_parameters
    assert loaded.model.train().second.training
    assert not loaded.model.first.training, "a frozen part stays in evaluation mode"


def test_a_run_with_parts_is_resumed(blend, data):
    longer = ptheta.fit(None, data, out=blend.path, resume=True, steps=30)
    assert longer.model.first.frozen
    for name, tensor in blend.model.first.state_dict().items():
        assert torch.equal(longer.model.first.state_dict()[name], tensor)


def test_a_part_whose_weights_do_not_fit_is_refused(blend):
    config = json.loads((blend.path / "config.json").read_text())
    config["model"]["parts"]["second"]["hyperparameters"]["width"] = 11
    (blend.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="was edited"):
        ptheta.Run.load(blend.path)


def test_the_density_is_that_of_the_weakest_part(data):
    exact, bound = MADE(data.space, width=8), ToyVAE(data.space)
    assert ToyBlend(data.space, first=exact, second=exact).density is Density.EXACT
    assert ToyBlend(data.space, first=exact, second=bound).density is Density.LOWER_BOUND
    assert Density.weakest(Density.EXACT, Density.IMPLICIT, Density.LOWER_BOUND) is Density.IMPLICIT
    assert Transformer.part_names() == []


def test_the_commands_take_a_model_with_parts(blend, tmp_path, capsys):
    assert main(["info", str(blend.path), "--json"]) == 0
    info = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert info["model"]["parts"]["first"]["frozen"] is True
    assert main(["sample", str(blend.path), "-n", "5", "--out", str(tmp_path / "drawn")]) == 0
    assert main(["fit", "digits", "toy_blend", "--limit", "30", "--steps", "2", "--out", str(tmp_path / "own")]) == 0
    assert ptheta.Run.load(tmp_path / "own").model.first.frozen is False


def test_frozen_parts_are_not_prepared_anew(tmp_path):
    g = np.random.default_rng(0)
    y = g.normal(5, 3, 60)
    table = {"x": (y[:, None] > 5).repeat(3, 1).astype(np.uint8), "y": y}
    data = ptheta.load(table, event="x", context="y")
    first = ptheta.fit("made", data, steps=3, out=tmp_path / "first", hyperparameters={"width": 8})
    part, fresh = first.as_part(), MADE(data.space, data.context_space, width=8)
    whole = Pair(data.space, data.context_space, first=part, second=fresh)
    before = copy.deepcopy(part.state_dict())
    whole.prepare_context(torch.randn(40, dtype=torch.float64) * 7 + 100)
    assert all(torch.equal(tensor, part.state_dict()[name]) for name, tensor in before.items())
    shifts = [buffer for name, buffer in fresh.named_buffers() if name.endswith("shift")]
    assert any(float(shift.max()) > 50 for shift in shifts), "a part that is trained is prepared"


class Pair(ToyBlend):
    """With contexts of any kind."""

    context_spaces = MADE.context_spaces


def test_a_counting_part_is_loaded_with_what_it_has_counted(data, tmp_path):
    counted = ptheta.fit("histogram", data, out=tmp_path / "counted")
    model = ToyBlend(data.space, first=counted.as_part(), second=MADE(data.space, width=8))
    run = ptheta.fit(model, data, steps=3, out=tmp_path / "whole")
    x = enumerate_events(data.space)
    assert torch.equal(ptheta.Run.load(run.path).model.log_prob(x), run.model.log_prob(x))


def test_one_model_as_two_parts_and_nothing_to_train_are_refused(data, tmp_path):
    part = MADE(data.space, width=8)
    with pytest.raises(FitError, match="one model is two parts of ToyBlend; give copies"):
        ptheta.fit(ToyBlend(data.space, first=part, second=part), data, steps=2, out=tmp_path / "shared")
    frozen = [MADE(data.space, width=8).freeze() for _ in range(2)]
    with pytest.raises(FitError, match="no parameters to train: all are frozen"):
        ptheta.fit(ToyBlend(data.space, first=frozen[0], second=frozen[1]), data, steps=2, out=tmp_path / "frozen")
    assert not (tmp_path / "shared").exists()
    assert not (tmp_path / "frozen").exists()


class Several(Model):
    """The mean of any number of p's."""

    spaces = (Discrete,)
    context_spaces = ()

    def __init__(self, space, context_space=None, *, ones: tuple[Model, ...]):
        super().__init__(space, context_space)
        self.ones = torch.nn.ModuleList(ones)

    def _log_prob(self, x, context):
        return torch.stack([one._log_prob(x, None).exp() for one in self.ones]).mean(0).log()


def test_several_parts_under_one_name_are_stored_and_built_again():
    space = Discrete((2,), 3)
    model = Several(space, ones=(MADE(space, width=8), Transformer(space, width=8, layers=1, heads=2))).eval()
    assert list(model.parts()) == ["ones.0", "ones.1"]
    assert model.free_parameters == sum(part.free_parameters for part in model.parts().values())
    described = json.loads(json.dumps(describe_model(model)))
    assert [part["family"] for part in described["parts"].values()] == ["made", "transformer"]
    again = build_model({"seed": 0, "model": described, "space": space.to_json(), "context_space": None}).eval()
    again.load_state_dict(model.state_dict())
    x = enumerate_events(space)
    assert torch.equal(again.log_prob(x), model.log_prob(x))
