"""Sounds are judged by what a recogniser hears, context by context."""

import wave
from types import SimpleNamespace

import numpy as np
import pytest

import ptheta
from ptheta.data.codecs import DocumentCodec
from ptheta.judging import sounds
from ptheta.judging.base import Case, How

RATE = 4000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Independent samples given whether they are loud or soft, and often the other."""
    folder = tmp_path_factory.mktemp("sounds")
    g = np.random.default_rng(0)
    for i in range(40):
        name = ("loud", "soft")[i % 2]
        (folder / name).mkdir(exist_ok=True)
        samples = g.normal(size=24) * (8000 if name == "loud" else 3000)
        with wave.open(str(folder / name / f"{i}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.astype("<i2").tobytes())
    data = ptheta.load(str(folder), None, "label", sound="waveform", levels=16)
    return ptheta.fit("independent", data, out=folder / "run")


def test_draws_of_a_context_are_averaged_before_their_error_is_told(run, monkeypatch):
    def heard(x):
        middle = (run.model.space.levels - 1) / 2
        return np.where(np.abs(x - middle).reshape(len(x), -1).mean(1) > 5, "loud", "soft")

    monkeypatch.setattr(sounds, "recognise", lambda judge, x, beams: heard(x).tolist())
    judge = SimpleNamespace(path=run.path, config=run.config, codec=DocumentCodec(8), context_codec=run.codec)
    events = run.data.train
    case = Case(run, events, How(samples=3, judge=judge))
    found = sounds.judge_spoken(case)
    assert found.made.shape[:2] == (len(events), 3)
    asked = np.array(case.names())
    again = sounds.analysed(run.codec, run.codec, found.made.flatten(0, 1).numpy())
    right = (heard(again).reshape(-1, 3) == asked[:, None]).mean(1)
    assert 0 < right.mean() < 1
    measure = found.rows["model"]["recognised"]
    assert measure.value == pytest.approx(right.mean())
    assert measure.error == pytest.approx(right.std(ddof=1) / np.sqrt(len(right)))
    assert found.rows["real sounds"]["recognised"].value == pytest.approx((heard(events.x) == asked).mean())
