"""Several processes learn what one would have learned."""

import os
import socket
import subprocess
import sys

import pytest
import torch

import ptheta
from ptheta.data import Split
from ptheta.errors import FitError
from ptheta.models import family
from ptheta.spaces import Discrete
from ptheta.training import MaximumLikelihood, Settings, World, choose_device
from ptheta.weights import read_tensors

CPU = torch.device("cpu")


def run_two(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Two processes as the documentation starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command += ["-m", "--", "ptheta", "fit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_two_processes_match_one_at_the_same_global_batch(array_file, tmp_path):
    made = "--event", "x", "--steps", "12", "--batch-size", "16", "--width", "24", "--dropout", "0"
    done = run_two(array_file, "made", *made, "--out", tmp_path / "two", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, "one process speaks"
    assert done.stderr.count("test ") <= 2
    one = ptheta.fit("made", str(array_file), steps=12, batch_size=16, out=tmp_path / "one",
                     hyperparameters={"width": 24, "dropout": 0.0})  # fmt: skip
    two = ptheta.Run.load(tmp_path / "two")
    for name, tensor in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], tensor, rtol=1e-5, atol=1e-5)
    assert two.results()["nats"] == pytest.approx(one.results()["nats"], abs=1e-5)
    assert two.config["data"]["request"]["event"] == "x", "torchrun has such a flag, too"
    live = [read_tensors(run.checkpoint)[0]["weights/out.weight"] for run in (one, two)]
    start = ptheta.fit("made", str(array_file), steps=1, out=tmp_path / "start", hyperparameters={"width": 24})
    assert not torch.allclose(live[0], start.model.state_dict()["out.weight"], atol=1e-4), "something was learned"


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(FitError, match="a batch of 5 events cannot be shared evenly by 2 processes"):
        World(0, 2, CPU).check(5)
    space = Discrete((2,), 2)
    model = family("made").load()(space, **family("made").small)
    split = Split(torch.zeros(9, 2, dtype=torch.uint8).numpy())
    with pytest.raises(FitError, match="a multiple of their number"):
        MaximumLikelihood(model, split, split, Settings(batch_size=5), seed=0, world=World(1, 2, CPU))


def test_more_processes_than_events_are_refused():
    model = family("made").load()(Discrete((2,), 2), **family("made").small)
    split = Split(torch.zeros(3, 2, dtype=torch.uint8).numpy())
    with pytest.raises(FitError, match="3 training events for 4 processes"):
        MaximumLikelihood(model, split, split, Settings(), seed=0, world=World(0, 4, CPU))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_shares_of_a_batch_are_the_batch(size):
    rows = torch.arange(12)
    shares = [World(rank, size, CPU).share(rows) for rank in range(size)]
    assert {len(share) for share in shares} == {12 // size}
    assert sorted(torch.cat(shares).tolist()) == rows.tolist()


@pytest.mark.parametrize(
    ("name", "said"),
    [("cqu", "no device is called 'cqu'; use auto, cpu or cuda"), ("meta", "lacks float64")],
)
def test_devices_that_cannot_be_used_are_refused(name, said):
    with pytest.raises(FitError, match=said):
        choose_device(name)
