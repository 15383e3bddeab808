"""Options stand once: the flags of `fit` and `compare`, their help and the keywords of `load` are the same fields."""

import importlib
import inspect
import shlex
import subprocess
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from scipy.io import wavfile

import ptheta as library
from ptheta.cli.arguments import call, flag_of
from ptheta.cli.families import of_family
from ptheta.cli.groups import described, of_data, of_learning
from ptheta.cli.main import COMMANDS
from ptheta.cli.needs import Needs
from ptheta.data.kinds import option_groups
from ptheta.data.option_groups import types_of
from ptheta.errors import UsageError
from ptheta.training import OBJECTIVES, Settings
from ptheta.wording import on_command_line

DATA = [flag.name for flags in of_data().values() for flag in flags]


def help_of(*arguments, ptheta, capsys):
    with pytest.raises(SystemExit):
        ptheta(*arguments, "--help")
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_shows_what_nobody_types(command, ptheta, capsys):
    said = help_of(command, ptheta=ptheta, capsys=capsys)
    assert "{None" not in said
    assert "None}" not in said
    assert "default: None" not in said
    assert "default: False" not in said


def test_the_help_of_fit_is_in_groups(ptheta, capsys):
    said = help_of("fit", "digits", "transformer", ptheta=ptheta, capsys=capsys)
    titles = ["data", "picture", "text", "sound", "table", "learning", "hyperparameters"]
    places = [said.index(f"{title} options") for title in titles]
    assert places == sorted(places)
    flags = {"--validation": 0, "--size HxW": 1, "--tokenizer": 2, "--hop FLOAT": 3, "--columns": 4, "--warmup": 5}
    for flag, group in flags.items():
        assert places[group] < said.index(flag) < places[group + 1]
    assert said.index("--window INT") > places[-1]


def test_options_of_an_objective_are_shown_with_the_families_that_learn_by_it(ptheta, capsys):
    for arguments in (["fit"], ["fit", "digits", "made"]):
        said = help_of(*arguments, ptheta=ptheta, capsys=capsys)
        assert "--warmup" in said
        assert "--r1" not in said
    assert "r1 is an option of adversarial" in ptheta("fit", "table.csv", "made", "--r1", "2").err


@pytest.mark.parametrize("command", ["fit", "compare"])
def test_every_option_of_load_is_a_flag(command, ptheta, capsys):
    said = help_of(command, ptheta=ptheta, capsys=capsys)
    keywords = set(inspect.signature(library.load).parameters) - {"source", "codec", "context_codec"}
    assert {*DATA, "seed"} == keywords
    assert all(f"{flag_of(name)} " in said for name in keywords)


def test_every_setting_of_learning_is_a_flag_with_its_help():
    groups = of_learning()
    assert [flag.name for flag in groups["learning"]] == Settings.names()
    assert [flag.name for flag in groups["adversarial"]] == list(OBJECTIVES["adversarial"].options())
    flags = [flag for flags in groups.values() for flag in flags]
    assert all(flag.help and flag.default is None for flag in flags)


def test_the_help_of_hyperparameters_is_that_of_the_family():
    (flags,) = of_family("transformer").values()
    assert next(flag for flag in flags if flag.name == "width").help == "of the stream"


def test_descriptions_that_share_a_line_or_go_on_are_whole():
    class Something:
        """One.

        Args:
            a, b: both of
                them.
            c: alone.

        Raises:
            d: never.
        """

    assert described(Something) == {"a": "both of them", "b": "both of them", "c": "alone"}


def test_the_keywords_of_load_have_their_types_and_help():
    parameters = inspect.signature(library.load).parameters
    about = " ".join((library.load.__doc__ or "").split())
    for group in option_groups():
        for one in group.options():
            if one.name not in ("event", "context"):
                assert (parameters[one.name].default, parameters[one.name].annotation) == (
                    one.default,
                    types_of(group)[one.name],
                )
            assert f" {one.name}: {one.metadata['help']}" in about


def test_compare_takes_the_options_of_sounds(ptheta, here):
    Path("tones").mkdir()
    for i in range(12):
        t = np.arange(1600) / 8000
        wavfile.write(f"tones/{i}.wav", 8000, (20_000 * np.sin(2 * np.pi * 100 * (i + 1) * t)).astype(np.int16))
    asked = shlex.split("--sound spectrogram --rate 4000 --seconds 0.2 --bands 4 --hop 50 --levels 3")
    result = ptheta("compare", "tones", "--models", "independent", *asked, "--out", "both", "--json")
    assert result.code == 0, result.err
    run = library.Run.load("both/independent")
    assert str(run.model.space) == "Spectrogram(5 frames × 4 bands, 3 levels)"
    assert ptheta("compare", "tones", "--hop", "0").err.startswith("ptheta: --hop is 0; give 0.1 to 1000")
    assert ptheta("compare", "tones", "--hopp", "9").err == "ptheta: unknown flag --hopp; did you mean --hop?\n"


def test_an_option_stands_in_two_files_at_most():
    package = Path(library.__file__).parent
    found = subprocess.run(["grep", "-rlw", "--include=*.py", "hop", package], capture_output=True, text=True).stdout
    assert len(found.splitlines()) <= 2, found


def test_every_command_that_can_replace_needs_the_place():
    """`compress` always needs --out."""
    for name in sorted(set(COMMANDS) - {"compress"}):
        command = getattr(importlib.import_module(f"ptheta.cli.{name}"), name)
        parameters = inspect.signature(command, eval_str=True).parameters
        if "force" in parameters:
            marks = getattr(parameters["force"].annotation, "__metadata__", ())
            assert [mark.flag for mark in marks if isinstance(mark, Needs)] == ["out"], name


def test_a_flag_without_the_one_it_needs_is_refused_and_with_it_passed_on():
    def command(*, deep: Annotated[int, Needs("sea")] = 0, sea: str = "") -> tuple[int, str]:
        """Dive.

        Args:
            deep: metres
            sea: name
        """
        return deep, sea

    with on_command_line(), pytest.raises(UsageError, match="--deep has no effect without --sea; give --sea too"):
        call(command, ["--deep", "3"], "dive")
    assert call(command, ["--deep", "3", "--sea", "north"], "dive") == (3, "north")
    assert call(command, ["--sea", "north"], "dive") == (0, "north")


def test_the_help_wraps_at_the_width_of_the_terminal_only(ptheta, capsys, monkeypatch):
    """A sentence that the source wraps is one paragraph of the help: all lines but the last are nearly full."""
    shown = help_of("score", ptheta=ptheta, capsys=capsys)
    about = shown[shown.index("--anomaly") : shown.index("--against PATH")].splitlines()[1:-1]
    assert all(len(line.strip("│ ")) > 45 for line in about[:-1])
