"""Ctrl-C and SIGTERM end a command in whatever it does, with one line and the customary status."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ptheta.cli.main import main

SLOW = """
import sys, time
import ptheta.{module} as module
from ptheta.cli.main import main

def slow(*_, **__):
    print("here", flush=True)
    for _ in range(600):
        time.sleep(0.1)

module.{name} = slow
sys.exit(main(sys.argv[1:]))
"""

PHASES = {
    "loading": ("data.loading", "_load"),
    "estimating": ("training.cost", "Estimate.at"),
    "validating": ("training.objectives.likelihood", "evaluate"),
    "scoring": ("fitting.results", "evaluate"),
}
"""What a fit is doing → what is made to take a minute."""


@pytest.mark.parametrize("phase", PHASES)
def test_sigterm_ends_a_fit_in_every_phase(phase, tmp_path):
    module, name = PHASES[phase]
    code = SLOW.format(module=module, name=name)
    command = [sys.executable, "-c", code, "fit", "digits", "made", "--minutes", "0.01", "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        clock = time.perf_counter()
        process.terminate()
        _, said = process.communicate(timeout=40)
    assert process.returncode == 128 + signal.SIGTERM
    assert time.perf_counter() - clock < 20
    assert said.endswith("ptheta: stopped\n")
    assert "Traceback" not in said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_loading_is_a_status(number, status, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("ptheta.load", lambda *_, **__: os.kill(os.getpid(), number))
    assert main(["fit", "digits", "--steps", "1"]) == status
    assert capsys.readouterr().err == "ptheta: stopped\n"
    assert signal.getsignal(signal.SIGTERM) is before
