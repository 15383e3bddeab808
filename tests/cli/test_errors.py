"""Whatever is wrong: one line that names the thing and the remedy, exit status 2, and nothing left behind."""

import json
import pickle

import pytest
import torch

from ptheta.configs import config_digest
from ptheta.errors import DensityError, PthetaError, UsageError, nearest
from ptheta.models.counting.histogram import Histogram
from ptheta.spaces import Image

BAD = {
    "missing source": ("fit nowhere.csv", "nowhere.csv", "check the path"),
    "no source": ("fit", "there is nothing to fit", "name a SOURCE"),
    "unknown command": ("smaple pic", "no command is called 'smaple'", "did you mean sample?"),
    "unknown model": ("fit pictures transfomer", "no model is called 'transfomer'", "did you mean transformer?"),
    "unknown flag": ("fit pictures --batchsize 3", "unknown flag --batchsize", "did you mean --batch-size?"),
    "unknown flag of sample": ("sample pic --temprature 2", "--temprature", "did you mean --temperature?"),
    "a model as a flag": (
        "fit pictures --model made",
        "unknown flag --model",
        "the model is named without a flag, see",
    ),
    "a source as a flag": ("fit --source=pictures", "unknown flag --source=pictures", "the source is named without a"),
    "a run as a flag": (
        "sample --run pic",
        "unknown flag --run; the run is named without a flag, see",
        "sample --help",
    ),
    "one argument too many": ("info pic lab", "lab", "see ptheta info --help"),
    "wrong type for a flag": ("fit pictures --steps many", "--steps is 'many', not a whole number", "--help"),
    "wrong real number": ("sample pic --temperature hot", "--temperature is 'hot', not a number", "--help"),
    "wrong choice": ("fit pictures --optimizer sgd", "--optimizer is 'sgd', not one of '", "see ptheta fit --help"),
    "flag without its value": ("fit pictures --steps", "--steps needs a value", "see ptheta fit --help"),
    "unknown hyperparameter": ("fit pictures made --window 3", "made has no hyperparameter --window", "--width"),
    "hyperparameter of a model without any": ("fit pictures empirical --width 3", "--width", "leave it out"),
    "wrong type for a hyperparameter": ("fit pictures made --width wide", "--width is 'wide'", "--help"),
    "missing argument": ("complete pic", "FILE is missing", "see ptheta complete --help"),
    "two budgets": ("compare pictures --steps 1 --minutes 1", "--minutes and --steps are given together", "give one"),
    "no minutes, before data are read": ("fit nowhere.csv --minutes 0", "--minutes is 0; ", "give a number above 0"),
    "minutes that are no number": ("compare nowhere.csv --minutes nan", "--minutes is nan", "give a number"),
    "models with spaces": ("compare pictures --models made trnsformer", "'trnsformer'", "did you mean transformer?"),
    "models before the source": ("compare --models made, trnsformer pictures", "'trnsformer'", "did you mean transf"),
    "samples in the place of a run": (
        "sample pic --out lab --force",
        "lab is a run, which only a fit replaces",
        "--out",
    ),
    "all columns as the context": (
        "fit table.csv --context kind,colour,size",
        "no column of table is left to be the event",
        "leave one of",
    ),
    "fewer than no steps": ("fit nowhere.csv --steps -3", "--steps is -3", "give a number above 0"),
    "a rate that is no number": ("fit nowhere.csv --learning-rate nan", "--learning-rate is nan", "give a number"),
    "a batch of nothing": ("fit nowhere.csv --batch-size 0", "--batch-size is 0", "give at least 1"),
    "memory that is no number": ("fit nowhere.csv --memory nan", "--memory is nan", "give a number"),
    "a device before data are read": ("fit nowhere.csv --device cuba", "no device is called 'cuba'", "use auto"),
    "a flag that resembles none": ("fit pictures --foo 3", "unknown flag --foo", "see ptheta fit --help"),
    "unknown label": ("sample lab --context hut", "no kind is called 'hut'", "did you mean hat?"),
    "missing context": ("sample lab", "lab needs a context", "choose from --context hat shoe"),
    "unwanted context": ("sample pic --context hat", "pic has no context", "leave out --context"),
    "missing context of a completion": ("complete lab table.csv", "lab needs a context", "--context hat shoe"),
    "context column that is not there": ("fit table.csv made --context knd", "'knd'", "did you mean"),
    "labels the run does not know": ("score lab unknown.csv", "glove", ""),
    "no run": ("info nowhere", "no run folder nowhere", "`ptheta fit` printed"),
    "a folder that is not a run": ("sample pictures", "pictures is not a run folder", "`ptheta fit` printed"),
    "damaged weights": ("sample damaged", "damaged/model.safetensors", "fit again"),
    "a flag given twice": ("sample pic -n 2 --seed 1 --seed 2", "--seed is given twice", "give it once"),
    "edited config": ("score edited pictures", "edited/config.json was edited", "fit again"),
    "newer format": ("info newer", "newer has format 99, newer than the 5", "upgrade ptheta"),
    "pickle for weights": ("sample pickled", "pickled/model.safetensors is damaged", "fit again"),
    "existing run": ("fit pictures made --out pic", "pic exists", "replace it with --force"),
    "existing folder": ("sample pic --out taken", "taken exists", "replace it with --force"),
    "scores that are not a table": (
        "score pic pictures --out s.txt",
        "cannot be written as a .txt file",
        "or .csv file",
    ),
    "report that is not a page": ("report pic --out top.png", "a report is HTML, not .png", "name an .html file"),
    "report of nothing": ("report pic -n 0", "-n is 0", "give at least 1"),
    "report of no run": ("report pictures", "pictures is not a run folder", "`ptheta fit` printed"),
    "report by events of another kind": ("report pic numbers.csv", "numbers.csv", "Image(8×8"),
    "report by nothing": ("report pic nowhere.csv", "nowhere.csv", "check the path"),
    "report into a file that is there": ("report pic --out page.html", "page.html exists", "--force"),
    "force that replaces nothing": (
        "score pic pictures --force",
        "--force has no effect without --out",
        "name with --out",
    ),
    "more draws of an exact density": ("score pic pictures --draws 3", "--draws has no effect without --elbo", "give"),
    "existing completions": ("complete pic top.png --out taken", "taken exists", "--force"),
    "a folder that is not a run, forced": (
        "fit pictures --out taken --force",
        "taken exists and is not a run",
        "--out",
    ),
    "no samples": ("sample pic -n 0", "-n is 0", "give at least 1"),
    "fewer than no samples": ("sample pic -n -4", "-n is -4", "give at least 1"),
    "no completions": ("complete pic top.png -n 0", "-n is 0", "give at least 1"),
    "no scores": ("score pic pictures --limit 0", "--limit is 0", "give at least 1"),
    "kept more than all": ("complete pic top.png --keep 1.5", "keep is 1.5", "give a fraction from 0 to 1"),
    "kept less than nothing": ("complete pic top.png --keep -0.1", "keep is -0.1", "give a fraction from 0 to 1"),
    "mask of another size": ("complete pic top.png --mask big.png", "big.png is 9×8 pixels", "mask of that size"),
    "mask that is not a beginning": ("complete pic top.png --mask holes.png", "beginning", "the top rows"),
    "mask that is missing": ("complete pic top.png --mask no.png", "the mask no.png does not exist", "check the path"),
    "mask for a table": ("complete num numbers.csv --mask top.png", "top.png is a mask for pictures", "use --keep"),
    "mask and keep": ("complete pic top.png --mask top.png --keep 0.5", "--keep and --mask", "give one"),
    "top-p too high": ("sample pic --top-p 1.5", "top-p is 1.5", "above 0 and at most 1"),
    "top-p zero": ("sample pic --top-p 0", "top-p is 0.0", "above 0 and at most 1"),
    "min-p too high": ("sample pic --min-p 2", "min-p is 2.0", "from 0 to 1"),
    "top-k negative": ("sample pic --top-k -1", "top-k is -1", "0 (keep all levels) or more"),
    "temperature negative": ("sample pic --temperature -1", "temperature is -1.0", "at least 0"),
    "pictures of another size": ("score pic big.png", "big.png", "8x8"),
    "pictures of another size to complete": ("complete pic big.png", "big.png", "8x8"),
    "pictures with colours": ("score pic rgb.png", "rgb.png is rgb, not grey", "--colour grey"),
    "pictures with colours to complete": ("complete pic rgb.png", "rgb.png is rgb, not grey", "--colour grey"),
    "no such order": ("fit pictures made --order diagonal", "is 'diagonal', not one of raster,column,spiral", "--help"),
    "order of convolutions": ("fit pictures pixelcnn --order spiral", "is 'spiral', not one of", "'raster'"),
    "no such preset": ("fit pictures --preset cifar", "no preset is called 'cifar'", "did you mean cifar10?"),
    "preset of another model": ("fit pictures made --preset faces", "preset faces is a recipe for pixelcnn", "leave"),
    "resuming with a preset": ("fit --resume --out pic --preset faces", "has its recipe already", "--preset"),
    "no such method": ("sample pic --method parallel", "--method is 'parallel', not one of", "'fixed_point'"),
    "events of another kind": ("score pic numbers.csv", "numbers.csv", "Image(8×8"),
    "columns that are missing": ("score num table.csv", "table.csv has none of the columns a, b", "colour"),
    "no such split": ("score pic pictures --split tset", "no split 'tset'", "did you mean test?"),
    "no model to compare": ("compare table.csv --models ,", "nothing to compare", "--models"),
    "model that does not suit": ("compare numbers.csv --models made,independent --steps 1", "Independent", "see"),
    "nothing to resume": ("fit --resume --out nowhere", "no run folder nowhere", "`ptheta fit` printed"),
    "resuming what": ("fit --resume", "--resume needs the folder", "name it with --out"),
    "resuming with other options": ("fit --resume --out pic --levels 8", "--levels", "taken from the run"),
    "palette of one colour": ("fit pictures --palette 1", "palette is 1", "give 2 to 65,536 colours"),
    "palette of too many colours": ("compare pictures --palette 70000", "palette is 70000", "give 2 to 65,536"),
    "more colours than there are": ("fit pictures --palette 512", "fewer than the 512 asked for", "give --palette 25"),
    "palette and levels": ("fit pictures --palette 8 --levels 4", "combined with levels", "leave out palette or"),
    "palette and binarize": ("fit pictures --palette 8 --binarize once", "with binarize", "leave out palette or"),
    "palette of greys": ("fit pictures --palette 8 --colour grey", "with colour grey", "leave out palette or"),
    "palette of a table": ("fit table.csv --palette 8", "the events of table are not pictures", "palette"),
    "palette in words": ("fit pictures --palette many", "--palette is 'many', not a whole number", "--help"),
    "resuming with a palette": ("fit --resume --out pic --palette 8", "--palette cannot change", "from the run"),
    "divergence of different events": ("divergence pic num", "over Image(8×8", "models of the same events"),
    "divergence of one model": ("divergence pic", "OTHER is missing", "see ptheta divergence --help"),
    "divergence from one draw": ("divergence pic pic -n 1", "-n is 1", "give at least 2"),
    "divergence in a context that is not there": ("divergence pic pic --context hat", "pic has no context", "leave"),
    "no GPU called that": ("sample pic --device cuba", "no device is called 'cuba'", "use auto, cpu or cuda"),
}


@pytest.fixture
def broken(here):
    """Runs that are damaged in several ways, and a folder that is taken."""
    import shutil

    for name in ("damaged", "edited", "newer", "pickled"):
        shutil.copytree(here / "pic", here / name)
    weights = (here / "damaged" / "model.safetensors").read_bytes()
    (here / "damaged" / "model.safetensors").write_bytes(weights[:-9])
    (here / "pickled" / "model.safetensors").write_bytes(pickle.dumps({"weights": [0.0]}))
    config = json.loads((here / "edited" / "config.json").read_text())
    (here / "edited" / "config.json").write_text(json.dumps(config | {"seed": 5}))
    config["format"] = 99
    (here / "newer" / "config.json").write_text(json.dumps(config | {"sha256": config_digest(config)}))
    (here / "page.html").write_text("mine")
    (here / "taken").mkdir()
    (here / "taken" / "thesis.tex").write_text("years of work")
    return here


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_and_leaves_nothing(case, broken, ptheta):
    arguments, problem, remedy = BAD[case]
    before = contents(broken)
    result = ptheta(*arguments.split())
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("ptheta: ")
    found, _, advice = line.removeprefix("ptheta: ").partition("; ")
    assert problem in line
    assert remedy in line
    assert found
    assert advice
    assert contents(broken) == before


@pytest.mark.parametrize("case", ["unknown command", "existing run", "missing context", "wrong type for a flag"])
def test_with_json_the_error_is_one_object(case, broken, ptheta):
    arguments, problem, _ = BAD[case]
    result = ptheta(*arguments.split(), "--json")
    assert result.code == 2
    assert list(result.json) == ["error", "remedy"]
    assert problem in result.json["error"]
    assert len(result.out.splitlines()) == 1


def test_force_replaces_results_and_runs(broken, ptheta):
    assert ptheta("sample", "pic", "-n", "1", "--out", "taken", "--force").code == 0
    assert (broken / "taken" / "thesis.tex").exists(), "what has other names stays"
    assert ptheta("fit", "table.csv", "independent", "--out", "damaged", "--force").code == 0
    assert ptheta("info", "damaged").code == 0


def test_a_fit_that_fails_leaves_no_folder(here, ptheta):
    before = contents(here)
    result = ptheta("fit", "pictures", "made", "--steps", "3", "--learning-rate", "-1", "--out", "new")
    assert result.code == 2
    assert "--learning-rate is -1.0; give a number above 0" in result.err
    assert contents(here) == before
    assert not (here / "new").exists()


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("--stesp", ["--steps", "--size"], "did you mean --steps?"),
        ("hut", ["hat", "shoe"], "did you mean hat?"),
        ("Transfomer", ["made", "transformer"], "did you mean transformer?"),
        ("--foo", ["--force", "--folder"], "choose one of --force, --folder"),
        ("--lr", ["--hold", "--levels"], "choose one of --hold, --levels"),
        ("red", ["green", "blue"], "choose one of green, blue"),
    ],
)
def test_only_a_slip_of_the_fingers_is_taken_for_another_word(name, known, hint):
    assert nearest(name, known) == hint


def test_a_finished_fit_is_not_resumed_and_says_so(here, ptheta, monkeypatch):
    before = contents(here)
    monkeypatch.setattr("ptheta.runs.load", None)  # no data are read
    for more in ([], ["--steps", "3"], ["--steps", "4"]):
        result = ptheta("fit", "--resume", "--out", "pic", *more)
        assert result.code == 0
        assert "the fit in pic is finished after 4 steps; --steps with more than that goes on" in result.err
    assert ptheta("fit", "--resume", "--out", "pic", "--json").json["nats"] == pytest.approx(
        json.loads(ptheta("info", "pic", "--json").out)["results"]["nats"]
    )
    assert "learns in one pass" in ptheta("fit", "--resume", "--out", "lab").err
    assert contents(here) == before
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert "for 5 steps" in ptheta("fit", "--resume", "--out", "pic", "--steps", "5").err


def test_a_table_of_the_full_joint_is_refused_before_it_is_made():
    with pytest.raises(DensityError, match=r"the table has .* cells, more than"):
        Histogram(Image(28, 28, levels=2)).table()


def test_memory_that_runs_out_is_one_line(ptheta, monkeypatch):
    def greedy(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 EiB")

    monkeypatch.setattr("ptheta.models.autoregressive.made.MADE._draw", greedy)
    result = ptheta("sample", "pic", "-n", "1", "--out", "new")
    assert result.code == 2
    assert result.err == "ptheta: out of memory; choose a smaller model or --batch-size\n"


def test_errors_are_one_line_and_survive_pickling():
    error = UsageError("the problem", "the remedy")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, PthetaError)
    assert (str(again), again.problem, again.remedy) == ("the problem; the remedy", "the problem", "the remedy")
    assert nearest("mad", ["made", "histogram"]) == "did you mean made?"
    assert nearest("xyz", ["made", "histogram"]) == "choose one of made, histogram"
