"""Presets are recipes that work: their words are known, and what is given beside them wins."""

import inspect

import numpy as np
import pytest

import ptheta
from ptheta.errors import UsageError
from ptheta.models import family
from ptheta.presets import PRESETS, preset
from ptheta.training import Settings


@pytest.fixture
def pictures(tmp_path):
    """Small pictures of two classes, in a file."""
    g = np.random.default_rng(0)
    path = tmp_path / "pictures.npz"
    np.savez(path, image=g.integers(0, 256, (60, 6, 5), np.uint8), label=np.array(["a", "b"] * 30))
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_every_word_of_a_preset_is_known(name):
    recipe = preset(name)
    assert set(recipe.hyperparameters) <= set(family(recipe.model).load().hyperparameter_signature())
    assert set(recipe.settings) <= set(Settings.names())
    assert set(recipe.data) <= set(inspect.signature(ptheta.load).parameters)
    Settings(**recipe.settings)


def test_a_preset_says_model_budget_settings_and_data(pictures, tmp_path):
    run = ptheta.fit(None, str(pictures), preset="fashion-mnist", steps=1, out=tmp_path / "run")
    recipe = PRESETS["fashion-mnist"]
    assert run.name == recipe.model
    assert run.model.context_space == ptheta.Label(("a", "b"))
    assert run.config["model"]["hyperparameters"]["width"] == recipe.hyperparameters["width"]
    assert run.plan()["settings"]["precision"] == recipe.settings["precision"]
    assert run.plan()["budget"]["steps"] == 1  # given, so the preset's minutes do not count


def test_what_is_given_beside_a_preset_wins(pictures, tmp_path):
    run = ptheta.fit(
        None,
        str(pictures),
        preset="faces",
        steps=1,
        out=tmp_path / "run",
        batch_size=3,
        learning_rate=None,
        hyperparameters={"width": 8, "layers": 1},
    )
    assert (run.model.width, run.model.layers) == (8, 1)
    assert run.model.dropout == PRESETS["faces"].hyperparameters["dropout"]
    assert run.plan()["settings"]["batch_size"] == 3


def test_data_loaded_without_what_a_preset_needs_are_refused(pictures):
    with pytest.raises(UsageError, match="preset fashion-mnist is for data loaded with context='label'"):
        ptheta.fit(None, ptheta.load(str(pictures)), preset="fashion-mnist", steps=1)


def test_a_preset_for_another_model_or_of_no_name_is_refused(pictures):
    with pytest.raises(UsageError, match="preset faces is a recipe for pixelcnn"):
        ptheta.fit("made", str(pictures), preset="faces")
    with pytest.raises(UsageError, match="no preset is called 'face'; did you mean faces"):
        ptheta.fit(None, str(pictures), preset="face")
