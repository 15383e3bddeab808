"""Processes that would not learn the same model stop, all of them, with one line and without a trace."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.run

from ptheta.cli.arguments import flag_of
from ptheta.cli.fit import fit, groups
from ptheta.cli.main import main
from ptheta.errors import FitError
from ptheta.models import ZOO
from ptheta.training import numbers
from ptheta.weights import read_tensors

MADE = "made --width 16 --batch-size 8"
PAIRS = {  # the commands of both processes, what is said, and what befalls each of them
    "other data": (
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        f"fit b.npy {MADE} --steps 2 --out runs/new",
        "the process of rank 1 (of 2) differs from rank 0 in data (",
    ),
    "other settings": (
        f"fit a.npy {MADE} --steps 2 --learning-rate 0.001 --out runs/new",
        f"fit a.npy {MADE} --steps 2 --learning-rate 0.002 --out runs/new",
        "differs from rank 0 in learning_rate (0.002, not 0.001); start all with the same data, settings and",
    ),
    "another budget and another seed": (
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        f"fit a.npy {MADE} --steps 3 --seed 5 --out runs/new",
        "steps (3, not 2), seed (5, not 0)",
    ),
    "another option of the objective": (
        "fit a.npy toy_gan --batch-size 8 --steps 2 --out runs/new",
        "fit a.npy toy_gan --batch-size 8 --steps 2 --r1 5 --out runs/new",
        "in r1 (5.0, not 0.1)",
    ),
    "another hyperparameter": (
        "fit a.npy made --width 16 --steps 2 --out runs/new",
        "fit a.npy made --width 24 --steps 2 --out runs/new",
        "in width (24, not 16)",
    ),
    "another version": (
        f"fit a.npy {MADE} --steps 2",
        f"fit a.npy {MADE} --steps 2",
        "in torch (1.0, not ",
        None,
        "an older torch",
    ),
    "counting of other data": (
        "fit a.npy independent --out runs/new",
        "fit b.npy independent --out runs/new",
        "the process of rank 1 (of 2) differs from rank 0 in data (",
    ),
    "resumed with other data": (
        "fit a.npy --resume --steps 6 --out runs/done",
        "fit b.npy --resume --steps 6 --out runs/done",
        "the process of rank 1 (of 2) differs from rank 0 in data (",
    ),
    "resumed from other checkpoints": (
        "fit --resume --steps 6 --out runs/done",
        "fit --resume --steps 6 --out runs/further",
        "in step (4, not 2)",
    ),
    "data that one lacks": (
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        f"fit nowhere.npy {MADE} --steps 2 --out runs/new",
        "ptheta: the process of rank 1 (of 2) cannot continue: no file or folder is called nowhere.npy; check the path",
    ),
    "data that the first one lacks": (
        f"fit nowhere.npy {MADE} --steps 2 --out runs/new",
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        "no file or folder is called nowhere.npy; check the path",
    ),
    "data that one lacks, while the other estimates its steps": (
        "fit digits transformer --steps 1 --out runs/new",
        "fit nowhere.npy transformer --steps 1 --out runs/new",
        "ptheta: the process of rank 1 (of 2) cannot continue: no file or folder is called nowhere.npy; check the path",
    ),
    "a step that does not fit": (
        "fit digits made --width 9000 --steps 1 --memory 0.1 --out runs/new",
        "fit digits made --width 9000 --steps 1 --memory 0.1 --out runs/new",
        "values an event: ",
    ),
    "data that both lack": (
        f"fit nowhere.npy {MADE} --out runs/new",
        f"fit nowhere.npy {MADE} --out runs/new",
        "ptheta: no file or folder is called nowhere.npy; check the path",
    ),
    "a flag that one mistypes": (
        f"fit a.npy {MADE} --steps 2",
        f"fit a.npy {MADE} --stesp 2",
        "the process of rank 1 (of 2) cannot continue: unknown flag --stesp; did you mean --steps?",
    ),
    "a checkpoint that one cannot read": (
        "fit --resume --steps 6 --out runs/done",
        "fit --resume --steps 6 --out runs/torn",
        "the process of rank 1 (of 2) cannot continue: runs/torn/checkpoint/state.safetensors",
    ),
    "one that is killed while it loads": (
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        "the process of rank 0 (of 2) stopped because another one ended; see the message of that one, and fit again",
        None,
        "killed while it loads",
    ),
    "one that is killed before its first step": (
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        f"fit a.npy {MADE} --steps 2 --out runs/new",
        "the process of rank 0 (of 2) stopped because another one ended",
        None,
        "killed as it learns",
    ),
}
ALIKE = {
    "fit": f"fit a.npy {MADE} --steps 2 --out runs/both",
    "estimated": "fit digits transformer --limit 60 --width 32 --layers 1 --steps 1 --out runs/estimated",
    "count": "fit a.npy independent --out runs/counted",
    "resume": "fit --resume --steps 6 --out runs/done",
}


GAME = "toy_gan --width 16 --batch-size 8 --steps 9 --average 0.9"
STOPPED = {f"stopped {i}": f"fit a.npy {GAME} --out runs/stopped" for i in range(6)}
"""Ctrl-C in both processes, again and again: a deadlock of leaving them shows in one of five."""
TWO_PLAYERS = {
    "whole": (f"fit a.npy {GAME} --out runs/game-whole", None),
    "part": (f"fit a.npy {GAME} --out runs/game-part", "Ctrl-C after four steps"),
    "rest": ("fit --resume --out runs/game-part", None),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Case → how both processes ended, what they printed, and what lay under runs/ afterwards."""
    folder = tmp_path_factory.mktemp("processes")
    g = np.random.default_rng(0)
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", g.integers(0, 3, (80, 4)).astype(np.uint8))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, steps in (("done", "2"), ("torn", "2"), ("further", "4")):
            assert main(["fit", "a.npy", *MADE.split(), "--steps", steps, "--out", f"runs/{name}"]) == 0
        state = Path("runs/torn/checkpoint/state.safetensors")
        state.write_bytes(state.read_bytes()[:-9])
    cases = {
        name: {"commands": [first, second], "sabotage": sabotage or [None, None]}
        for name, (first, second, _, *sabotage) in PAIRS.items()
    } | {name: {"commands": [command, command]} for name, command in ALIKE.items()}
    cases |= {
        name: {"commands": [command, command], "sabotage": [sabotage, sabotage]}
        for name, (command, sabotage) in TWO_PLAYERS.items()
    }
    cases |= {
        name: {"commands": [f"{command} --force"] * 2, "sabotage": ["Ctrl-C after four steps"] * 2}
        for name, command in STOPPED.items()
    }
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, str(Path(__file__).with_name("processes.py")), "cases.json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"folder": folder}


@pytest.mark.parametrize("case", PAIRS)
def test_processes_that_differ_stop_with_one_line(case, outcomes):
    said, *sabotage = PAIRS[case][2:]
    ended = outcomes[case]["ended"]
    killed = bool(sabotage) and "killed" in sabotage[1]
    assert [code for code, *_ in ended] == [2, 9 if killed else 2], ended
    assert [out for _, out, _ in ended] == ["", ""]
    lines = [line for _, _, err in ended for line in err.splitlines() if line.startswith("ptheta: ")]
    assert len(lines) == 1, ended
    assert said in lines[0]
    assert "Traceback" not in ended[0][2] + ended[1][2]
    assert ended[1][2] == "", "the first one speaks"
    assert outcomes[case]["left"] == ["runs/done", "runs/further", "runs/torn"], "nothing half-made is left"
    assert outcomes[case]["seconds"] < 60


@pytest.mark.parametrize("case", ALIKE)
def test_processes_that_do_not_differ_go_on(case, outcomes):
    ended = outcomes[case]["ended"]
    assert [code for code, *_ in ended] == [0, 0], ended
    assert ended[1][1:] == ["", ""]


@pytest.mark.parametrize("case", STOPPED)
def test_interrupted_processes_leave_each_other(case, outcomes):
    assert [code for code, *_ in outcomes[case]["ended"]] == [130, 130], outcomes[case]["ended"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RANK": "abc"}, "RANK is 'abc' in the environment, not a whole number"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two' in the environment, not a whole number"),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK is '-1' in the environment, not a whole number"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2 and WORLD_SIZE 2 in the environment"),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": ""}, "LOCAL_RANK is '' in the environment"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "the process of rank 0 (of 2) cannot reach the others: "),
    ],
)
def test_an_environment_that_names_processes_wrongly_is_one_line(environment, said, monkeypatch, capfd, array_file):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["fit", str(array_file), "made", "--steps", "1"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"ptheta: {said}")
    assert line.endswith("; start several processes with torchrun, or unset RANK, LOCAL_RANK and WORLD_SIZE")


def test_one_process_needs_no_environment(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert numbers() == (0, 1, 0)
    monkeypatch.setenv("RANK", "½")
    with pytest.raises(FitError, match="RANK is '½'"):
        numbers()


FLAGS = sorted(
    {flag_of(name) for name, p in inspect.signature(fit).parameters.items() if p.kind is p.KEYWORD_ONLY}
    | {flag_of(flag.name) for titles in groups().values() for flags in titles.values() for flag in flags}
    | {flag_of(name) for row in ZOO.values() for name in row.load().hyperparameter_signature()}
    | {"--no-compile", "--help", "-h"}
)


@pytest.mark.parametrize("flag", FLAGS)
def test_torchrun_passes_every_flag_on_as_documented(flag):
    assert "`torchrun --nproc-per-node 2 -m -- ptheta fit SOURCE …`" in " ".join((fit.__doc__ or "").split())
    words = ["fit", "SOURCE", flag, "3", flag.upper()]
    parsed = torch.distributed.run.get_args_parser().parse_args(["--nproc-per-node", "2", "-m", "--", "ptheta", *words])
    assert (parsed.module, parsed.training_script, parsed.training_script_args) == (True, "ptheta", words)


def test_two_players_on_two_processes_are_resumed_to_the_bit(outcomes):
    for name, code in (("whole", 0), ("part", 130), ("rest", 0)):
        assert [ended[0] for ended in outcomes[name]["ended"]] == [code, code], outcomes[name]["ended"]
    whole, part = (
        read_tensors(outcomes["folder"] / f"runs/game-{name}/checkpoint/state.safetensors")[0]
        for name in ("whole", "part")
    )
    assert any(name.startswith("scaffolding.opponent/") for name in whole)
    assert whole.keys() == part.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, part[name]), name
    weights = read_tensors(outcomes["folder"] / "runs/game-whole/model.safetensors")[0]
    assert not any("opponent" in name for name in weights)
