"""Ctrl-C, SIGTERM and SIGHUP end a command in whatever it does, with one line and the customary status."""

import errno
import io
import os
import signal
import time

import pytest

from ptheta.cli.main import main
from ptheta.runs import Run

PHASES = {
    "loading": "ptheta.data.loading._load",
    "estimating": "ptheta.training.cost.Estimate.at",
    "validating": "ptheta.training.objectives.likelihood.evaluate",
    "scoring": "ptheta.fitting.results.evaluate",
}
"""What a fit is doing → what is made to take a minute."""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_ends_a_fit_in_every_phase(phase, number, status, monkeypatch, tmp_path, array_file, capsys):
    sent = []

    def slow(*_, **__):
        sent.append(time.perf_counter())
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(PHASES[phase], slow)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["fit", str(array_file), "made", "--minutes", "0.01", "--out", str(tmp_path / "run")]) == status
    assert len(sent) == 1
    assert time.perf_counter() - sent[0] < 20
    said = capsys.readouterr().err
    assert said.endswith("ptheta: stopped\n")
    assert "Traceback" not in said
    assert signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / "run").exists() == (phase in ("validating", "scoring")), "what was learned is kept"


def test_a_command_that_was_begun_with_nohup_goes_on(monkeypatch, tmp_path, array_file):
    from ptheta.training.loop import Trainer

    step, steps = Trainer._step, []

    def hung_up(*args):
        steps.append(os.kill(os.getpid(), signal.SIGHUP))
        return step(*args)

    monkeypatch.setattr(Trainer, "_step", hung_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["fit", str(array_file), "made", "--steps", "3", "--out", str(tmp_path / "run")]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert len(steps) == 3


class Lost(io.StringIO):
    """A stream whose reader has gone, whose terminal was closed, or whose disk is full."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))

    def flush(self):
        self.write("")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
def test_a_fit_whose_messages_nobody_reads_goes_on(number, monkeypatch, tmp_path, array_file):
    monkeypatch.setattr("sys.stderr", Lost(number))
    assert main(["fit", str(array_file), "made", "--steps", "2", "--out", str(tmp_path / "run")]) == 0
    assert Run.load(tmp_path / "run").results()["steps"] == 2
    assert main(["fit", str(tmp_path / "missing")]) == 2
