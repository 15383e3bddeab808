"""The run folder: it opens to the very model that was fitted, or it says what is wrong with it."""

import json
import math
import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import ptheta
from ptheta.cli.main import main
from ptheta.configs import config_digest, read_config
from ptheta.errors import RunError, SpaceError
from ptheta.models import ZOO, Counting, Density
from ptheta.spaces import Discrete, Real
from ptheta.weights import read_tensors, write_tensors


@pytest.fixture(scope="session")
def fitted(data, tmp_path_factory):
    """A run of an autoregressive network; copied before it is damaged."""
    out = tmp_path_factory.mktemp("runs") / "made"
    return ptheta.fit("made", data, steps=5, out=out, hyperparameters={"width": 16})


@pytest.fixture
def folder(fitted, tmp_path):
    return shutil.copytree(fitted.path, tmp_path / "run")


def rewrite(folder, change, *, rehash=True):
    """Edit config.json; with its hash made good, and the weights tied to it again, as a forger would."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    change(config)
    if rehash:
        config["sha256"] = config_digest(config)
        tensors, metadata = read_tensors(folder / "model.safetensors")
        write_tensors(folder / "model.safetensors", tensors, metadata | {"config": config["sha256"]})
    file.write_text(json.dumps(config))


def refused(folder, *said):
    with pytest.raises(RunError) as caught:
        ptheta.Run.load(folder)
    for words in said:
        assert words in str(caught.value)


# What is saved is what is loaded


def suited(name):
    """90 events that a family can model: pairs of levels, pairs of numbers, or pictures."""
    g, spaces = np.random.default_rng(0), ZOO[name].load().spaces
    if not issubclass(Discrete, spaces) and issubclass(Real, spaces):
        return g.normal(50, 9, (90, 2))
    return g.integers(0, 3, (90, 2) if issubclass(Discrete, spaces) else (90, 3, 3), np.uint8)


@pytest.mark.parametrize("name", ZOO)
def test_every_family_loads_to_bit_equal_log_probabilities(name, tmp_path):
    data = ptheta.load(suited(name))
    run = ptheta.fit(name, data, steps=3, out=tmp_path / "run", hyperparameters=dict(ZOO[name].small))
    loaded = ptheta.Run.load(tmp_path / "run")
    x, _ = data.test.events()
    assert torch.equal(loaded.model.log_prob(x), run.model.log_prob(x))
    assert torch.equal(loaded.model.sample(5, seed=1), run.model.sample(5, seed=1))
    assert loaded.config == run.config
    assert loaded.results() == run.results()
    assert loaded.model.free_parameters == run.model.free_parameters


@pytest.mark.parametrize("name", [n for n, row in ZOO.items() if Real in row.load().spaces])
def test_real_events_load_to_bit_equal_densities(name, tmp_path):
    data = ptheta.load(np.random.default_rng(0).normal(50, 9, (80, 3)))
    run = ptheta.fit(name, data, steps=3, out=tmp_path / "run", hyperparameters=dict(ZOO[name].small))
    x, _ = data.test.events()
    assert torch.equal(ptheta.Run.load(run.path).model.log_prob(x), run.model.log_prob(x))


@pytest.mark.parametrize("name", ZOO)
def test_contexts_are_part_of_the_run(name, tmp_path):
    data = ptheta.load({"x": suited(name), "y": np.array(["cat", "dog", "eel"] * 30)}, "x", "y")
    run = ptheta.fit(name, data, steps=3, out=tmp_path / "run", hyperparameters=dict(ZOO[name].small))
    loaded = ptheta.Run.load(run.path)
    assert loaded.model.context_space.names == ("cat", "dog", "eel")
    x, y = data.test.events()
    assert torch.equal(loaded.model.log_prob(x, y), run.model.log_prob(x, y))


def test_evaluating_a_loaded_run_on_its_data_gives_the_score_of_the_fit(array_file, tmp_path):
    run = ptheta.fit("made", str(array_file), steps=3, out=tmp_path / "run")
    score = ptheta.Run.load(run.path).evaluate()
    assert (score.nats, score.n) == (run.results()["nats"], run.results()["n"])
    with pytest.raises(RunError, match=r"no split 'tets'; did you mean test\?"):
        run.evaluate("tets")


def test_data_of_the_fit_are_recognised_until_they_change(array_file, tmp_path):
    run = ptheta.Run.load(ptheta.fit("independent", str(array_file), out=tmp_path / "run").path)
    assert run.same(str(array_file)).fingerprint == run.config["data"]["fingerprint"]
    assert run.same("digits") is None
    np.save(array_file, np.load(array_file)[::-1])
    again = ptheta.Run.load(run.path)
    assert again.same(str(array_file)) is None
    assert "or this version of ptheta reads them differently, so events that it learned from" in again.doubt(
        str(array_file)
    )
    assert again.doubt("digits") is None
    np.save(tmp_path / "other.npy", np.load(array_file))
    assert again.doubt(str(tmp_path / "other.npy")) is None


@pytest.mark.parametrize("cause", ["the file", "its reading"])
def test_data_that_no_longer_give_the_events_of_the_fit_may_have_been_learned_from(
    cause, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    text = "code,kind\n" + "\n".join(f"00{i % 3},{'xy'[i % 2]}" for i in range(60))
    (tmp_path / "t.csv").write_text(text)
    data = ptheta.load("t.csv", columns="categories")
    if cause == "its reading":  # as versions before codes were texts read them
        data = ptheta.load(pd.DataFrame({"code": [i % 3 for i in range(60)], "kind": list("xy") * 30}),
                           columns="categories")  # fmt: skip
        data.request["source"] = str(tmp_path / "t.csv")
    else:
        (tmp_path / "t.csv").write_text(text.replace("002", "003"))
    ptheta.fit("made", data, steps=2, out="run", hyperparameters={"width": 8}, verbose=False)
    with pytest.raises(RunError, match="have changed since the fit, or this version of ptheta reads them differently"):
        _ = ptheta.Run.load("run").own_data
    with pytest.raises(RunError, match=r"reads them differently; restore them, or fit again"):
        ptheta.fit(None, out="run", resume=True, steps=4, verbose=False)
    capsys.readouterr()
    main(["score", "run", "t.csv"])
    said = capsys.readouterr().err
    assert (
        "warning: the data of run have changed since the fit, or this version of ptheta reads them differently" in said
    )
    assert "so events that it learned from may be among those of t.csv" in said


def test_loading_leaves_the_random_state_alone(fitted):
    torch.manual_seed(9)
    before = torch.get_rng_state()
    ptheta.Run.load(fitted.path).model.sample(3)
    assert torch.equal(torch.get_rng_state(), before)


# Crashes


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("call", [0, 1])
def test_a_save_that_dies_at_any_point_leaves_a_run_that_loads_whole(function, call, fitted, folder, monkeypatch):
    run = ptheta.Run.load(folder)
    old = {k: v.clone() for k, v in run.model.state_dict().items()}
    new = {k: v + 1 if v.is_floating_point() else v for k, v in old.items()}
    calls, real = [], getattr(os, function)

    class Crash(BaseException):
        pass

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) > call:
            raise Crash
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, function, dying)
        patch.setattr("ptheta.files.Path.unlink", lambda *_, **__: None)  # the dead clean nothing up
        died = False
        try:
            run.save_weights(new)
        except Crash:
            died = True
    assert died or (function, call) == ("replace", 1)
    loaded = ptheta.Run.load(folder).model.state_dict()
    assert all(torch.equal(loaded[k], old[k]) for k in old) or all(torch.equal(loaded[k], new[k]) for k in new)


def test_leftovers_of_a_crash_are_ignored(folder):
    (folder / ".ptheta-partial-x.safetensors").write_bytes(b"half")
    (folder / "checkpoint" / ".ptheta-partial-y.safetensors").write_bytes(b"half")
    ptheta.Run.load(folder)


def test_metrics_torn_by_a_crash_lose_only_the_torn_line(folder):
    run = ptheta.Run.load(folder)
    before = run.metrics()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "train_na')
    assert run.metrics() == before
    run.log({"results": {"nats": 1.5}})
    assert run.metrics() == [*before, {"results": {"nats": 1.5}}]
    assert run.results() == {"nats": 1.5}


def test_infinite_scores_survive_the_disk(folder):
    run = ptheta.Run.load(folder)
    run.log({"results": {"nats": math.inf, "nats_se": math.inf, "bits_per_dim": math.inf, "n": 3}})
    assert run.results() == {"nats": math.inf, "nats_se": math.inf, "bits_per_dim": math.inf, "n": 3}
    assert "Infinity" not in (folder / "metrics.jsonl").read_text(), "which is not valid JSON"


def test_a_run_without_weights_yet_says_how_to_go_on(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "has no weights yet", "--resume")


# Damage


@pytest.mark.parametrize("size", [0, 7, 200, -1])
def test_truncated_weights_are_refused_before_a_model_is_built(size, folder, monkeypatch):
    monkeypatch.setattr("ptheta.stored_runs.build_model", lambda config: pytest.fail("a model was built"))
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    refused(folder, "model.safetensors", "damaged")


def test_extended_weights_are_refused(folder):
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"more")
    refused(folder, "model.safetensors", "damaged")


def test_one_flipped_bit_in_the_weights_is_a_hash_mismatch(folder):
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    refused(folder, "content does not match its hash")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(folder, value):
    file = folder / "model.safetensors"
    tensors, metadata = read_tensors(file)
    tensors["out.bias"][0] = value
    write_tensors(file, tensors, metadata)
    refused(folder, "out.bias", "not finite")


def test_disagreement_of_config_and_weights_is_listed(folder):
    hyperparameters = {"width": 8, "layers": 3}
    for name, said in (("width", "hidden.0.bias has shape [16] for [8]"), ("layers", "hidden.2.bias is missing")):
        rewrite(
            folder, lambda config, name=name: config["model"]["hyperparameters"].update({name: hyperparameters[name]})
        )
        refused(folder, "config and weights of", "disagree", said)
        rewrite(folder, lambda config: config["model"]["hyperparameters"].update({"width": 16, "layers": 2}))
    ptheta.Run.load(folder)
    rewrite(folder, lambda config: config["model"]["hyperparameters"].update({"width": 16, "layers": 1}))
    refused(folder, "hidden.1.bias is unknown", "hidden.1.weight is unknown")


def test_weights_of_another_config_are_refused(folder, data, tmp_path):
    other = ptheta.fit("made", data, steps=1, seed=1, out=tmp_path / "other", hyperparameters={"width": 16})
    shutil.copy(other.path / "model.safetensors", folder)
    refused(folder, "belongs to another config.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(colour="red"), ("does not fit this format", "unknown field 'colour'")),
        (lambda c: c.pop("seed"), ("does not fit this format", "missing field 'seed'")),
        (lambda c: c.update(format=6), ("has format 6, newer than the 5 this ptheta reads", "upgrade ptheta")),
        (lambda c: c.update(format=1), ("has format 1", "fit again")),
        (lambda c: c["model"].update(family="gpt9"), ("no model is called 'gpt9'",)),
        (lambda c: c["model"]["hyperparameters"].update(depth=3), ("the config does not describe a model", "depth")),
        (lambda c: c.update(space={"kind": "torus"}), ("no space is called 'torus'",)),
        (lambda c: c["space"].update(volume=3), ("has no field 'volume'",)),
    ],
)
def test_a_config_that_does_not_fit_is_refused_with_what_differs(change, said, folder):
    rewrite(folder, change)
    refused(folder, *said)


@pytest.mark.parametrize(
    "space",
    [
        {"kind": "image", "height": 10**6, "width": 10**6, "channels": 1, "levels": 2},
        {"kind": "discrete", "shape": [4], "levels": 2**40, "sizes": None},
        {"kind": "real", "shape": [2**20, 2**20]},
    ],
    ids=["10^12 pixels", "2^40 levels", "2^40 dimensions"],
)
def test_spaces_too_large_are_refused_before_anything_is_allocated(space, folder):
    rewrite(folder, lambda config: config.update(space=space))
    refused(folder, "the config does not describe a model")


def test_an_edited_config_is_noticed(folder):
    rewrite(folder, lambda config: config.update(seed=1), rehash=False)
    refused(folder, "config.json was edited: its content does not match its hash")


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{", b"\xff\xfe", b'{"format": 3}'])
def test_a_damaged_config_is_refused(content, folder):
    (folder / "config.json").write_bytes(content)
    refused(folder, "config.json")


def test_missing_folders_and_other_folders_are_no_runs(tmp_path):
    refused(tmp_path / "no", "no run folder", "give the folder that `ptheta fit` printed")
    refused(tmp_path, "it has no config.json")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "metrics.jsonl"])
def test_links_in_a_run_are_not_followed(name, fitted, folder):
    (folder / name).unlink()
    (folder / name).symlink_to(fitted.path / name)
    refused(folder, str(folder))


def test_a_pickle_named_like_the_weights_is_not_executed(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    refused(folder, "damaged")
    assert not (tmp_path / "executed").exists()


def test_configs_are_verified_without_loading_weights(folder):
    (folder / "model.safetensors").unlink()
    assert read_config(folder)["model"]["family"] == "made"


# What a loaded model makes of bad and impossible events


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([[0, 1, 2, 3]], r"x[0, 3] is 3, outside the levels 0 to 2; remove or recode that value; nothing is clamped"),
        ([[0, 1, 2, 0], [0, -1, 0, 0]], "x[1, 1] is -1"),
        ([[0.0, 1.0, 2.0, 0.0]], "float64"),
        ([[0, 1]], "x has shape [1, 2]"),
        ([[0, 1, math.nan, 0]], "float64"),
    ],
)
def test_values_outside_the_space_are_errors_that_name_the_index(x, said, fitted):
    with pytest.raises(SpaceError) as caught:
        fitted.model.log_prob(np.array(x))
    assert said in str(caught.value)


def test_not_a_number_among_real_values_is_an_error_that_names_the_index():
    with pytest.raises(SpaceError, match=r"x\[1, 0\] is nan"):
        ZOO["made"].load()(Real((2,)), **ZOO["made"].small).log_prob([[0.0, 1.0], [math.nan, 0.0]])


COUNTING = [n for n, row in ZOO.items() if issubclass(row.load(), Counting) and row.load().density is Density.EXACT]


@pytest.mark.parametrize("name", COUNTING)
def test_impossible_events_score_minus_infinity_and_never_nan(name, tmp_path):
    x = np.zeros((40, 3), np.uint8)
    x[0] = 1  # not in the training events
    data = ptheta.load({"train": x[1:], "validation": x[:9], "test": x[:9]})
    priors = {"pseudo_count", "concentration"} & ZOO[name].load().hyperparameter_signature().keys()
    zero = dict.fromkeys(priors, 0.0)
    run = ptheta.fit(name, data, out=tmp_path / "run", hyperparameters=zero)
    assert run.model.log_prob(x[:2]).tolist() == [-math.inf, 0.0]
    assert run.results()["nats"] == math.inf
    assert run.results()["zero_probability"] == 1
    assert ptheta.Run.load(run.path).results() == run.results()
