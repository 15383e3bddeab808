"""Sounds of a report are heard in the page."""

import base64
import io
import re
import wave

import numpy as np
import pytest
import torch

from ptheta.data.codecs import SpectrogramCodec, WaveformCodec
from ptheta.data.codecs.waves import wave_bytes
from ptheta.data.options import Sounds as Options
from ptheta.reporting.exhibits import exhibit_of, sounds

WAVEFORM = WaveformCodec(8000, 4000)
SPECTROGRAM = SpectrogramCodec.of(8000, 0.3, Options(bands=8))


def played(page):
    """Captions of the players in a page, and what they play, int16."""
    found = []
    for attributes in re.findall(r"<audio ([^>]*)>", page):
        given = dict(re.findall(r'([a-z-]+)="([^"]*)"', attributes))
        assert " controls" in f" {attributes}"
        head, data = given["src"].split(",")
        assert head == "data:audio/wav;base64"
        with wave.open(io.BytesIO(base64.b64decode(data))) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
            found.append((given["aria-label"], np.frombuffer(file.readframes(file.getnframes()), "<i2")))
    return found


@pytest.mark.parametrize("codec", [WAVEFORM, SPECTROGRAM], ids=["waveform", "spectrogram"])
def test_a_report_plays_samples_beside_real_sounds(codec):
    t = np.arange(2400) / 8000
    x = torch.from_numpy(codec.encode([np.sin(2 * np.pi * f * t).astype(np.float32) for f in range(200, 1000, 100)]))
    page = exhibit_of(codec).samples({"Samples": x, "Real": x.flip(0)}, np.arange(8), None)
    heard = played(page)
    assert [caption for caption, _ in heard] == [f"{title}, {i}" for title in ("Samples", "Real") for i in (1, 2, 3, 4)]
    assert ("<img" in page) == codec.is_picture
    expected = wave_bytes(codec.decode(x[:1])[0], 8000)
    with wave.open(io.BytesIO(expected)) as file:
        np.testing.assert_array_equal(heard[0][1], np.frombuffer(file.readframes(file.getnframes()), "<i2"))


def test_long_sounds_are_cut_so_that_a_page_stays_small(monkeypatch):
    monkeypatch.setattr(sounds, "PLAYED", 8000)
    x = torch.from_numpy(WAVEFORM.encode([np.sin(np.arange(4000.0)).astype(np.float32)] * 6))
    heard = played(exhibit_of(WAVEFORM).samples({"Samples": x, "Real": x}, np.arange(6), None))
    assert sum(2 * len(sound) for _, sound in heard) <= 8000
    assert heard[0][0] == "Samples, 1, the first 0.1 of 0.5 s"
