"""Ctrl-C and SIGTERM end a command in whatever it does, with one line and the customary status."""

import os
import signal
import time

import pytest

from ptheta.cli.main import main

PHASES = {
    "loading": "ptheta.data.loading._load",
    "estimating": "ptheta.training.cost.Estimate.at",
    "validating": "ptheta.training.objectives.likelihood.evaluate",
    "scoring": "ptheta.fitting.results.evaluate",
}
"""What a fit is doing → what is made to take a minute."""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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
