"""Sounds: read as other libraries read them, seen as librosa sees them, and back."""

import importlib
import io
import wave

import datasets
import librosa
import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from scipy.io import wavfile

from ptheta.data import Codec, load
from ptheta.data.codecs import SpectrogramCodec, WaveformCodec
from ptheta.data.codecs.waves import read_sound, resampled
from ptheta.data.reading import events_of_file
from ptheta.errors import SourceError, UsageError
from ptheta.spaces import Document, Label, Spectrogram, Waveform

RATE = 8000


def tone(seconds, hertz=440.0, rate=RATE, seed=0):
    """A tone that swells and fades, with a little noise."""
    t = np.arange(round(seconds * rate)) / rate
    noise = 0.002 * np.random.default_rng(seed).standard_normal(len(t))
    return (0.5 * np.sin(2 * np.pi * hertz * t) * np.sin(np.pi * t / seconds) + noise).astype(np.float32)


def wav(samples, rate=RATE):
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, np.rint(samples * 32767).astype(np.int16))
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Twelve low and twelve high tones of 0.2 to 0.43 s, in folders named so."""
    for kind, hertz in (("low", 220), ("high", 1500)):
        (tmp_path / "tones" / kind).mkdir(parents=True)
        for i in range(12):
            (tmp_path / "tones" / kind / f"{i:02d}.wav").write_bytes(wav(tone(0.2 + 0.02 * i, hertz, seed=i)))
    return tmp_path / "tones"


# Reading


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_is_read_without_the_extra_as_soundfile_reads_it(subtype, channels, tmp_path, monkeypatch):
    x = np.stack([tone(0.1), tone(0.1, 700)][:channels], 1)
    soundfile.write(tmp_path / "a.wav", x, RATE, subtype)
    wanted, _ = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    forbid(monkeypatch, "soundfile", "librosa")
    samples, rate = read_sound(tmp_path / "a.wav")
    assert rate == RATE
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, wanted.mean(1), atol=1e-7)


@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_16"), ("ogg", "VORBIS"), ("wav", "FLOAT")])
def test_other_kinds_are_read_by_soundfile_and_without_it_say_what_to_install(suffix, subtype, tmp_path, monkeypatch):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(0.1), RATE, subtype)
    samples, rate = read_sound({"path": str(path), "bytes": None})
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32")[0])
    assert rate == RATE
    forbid(monkeypatch, "soundfile")
    needed = r"needs soundfile, which is not installed; install it with pip install 'ptheta\[audio\]'"
    with pytest.raises(SourceError, match=needed):
        read_sound(path)


def forbid(monkeypatch, *names):
    found = importlib.import_module

    def load_module(name, *rest):
        if name in names:
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(importlib, "import_module", load_module)


def test_a_library_that_does_not_load_is_said(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", tone(0.1), RATE)

    def load_module(name, *rest):
        raise OSError("sndfile library not found")

    monkeypatch.setattr(importlib, "import_module", load_module)
    with pytest.raises(SourceError, match=r"needs soundfile, which does not load: sndfile library not found; install"):
        read_sound(tmp_path / "a.flac")


@pytest.mark.parametrize("codec", [WaveformCodec(RATE, 800), SpectrogramCodec(RATE, 128, 256, 32, 8)])
def test_arrays_of_any_type_are_the_sound_that_a_file_of_them_is(codec, tmp_path):
    whole = np.rint(tone(0.1) * 32767).astype(np.int16)
    wavfile.write(tmp_path / "16.wav", RATE, whole)
    wavfile.write(tmp_path / "32.wav", RATE, whole.astype(np.int32) << 16)
    wavfile.write(tmp_path / "8.wav", RATE, ((whole >> 8) + 128).astype(np.uint8))
    for name, array in (
        ("16", whole),
        ("16", whole / 32768),
        ("16", whole.astype(np.int32) << 16),
        ("16", (whole.astype(np.int32) + 2**15).astype(np.uint16)),
        ("32", whole.astype(np.int32) << 16),
        ("8", ((whole >> 8) + 128).astype(np.uint8)),
    ):
        np.testing.assert_array_equal(codec.encode([array]), events_of_file(codec, tmp_path / f"{name}.wav"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((5, 2)), r"row 2 is an array of float64 of shape \[5, 2\]"),
        (np.array([True, False]), "row 2 is an array of bool"),
        (np.array([0.1, np.nan]), "sample 1 of row 2 is nan"),
        (np.array([np.inf, 0.1]), "sample 0 of row 2 is inf"),
        (np.zeros(0), "row 2 contains no samples"),
        (np.zeros(7, np.int16), "row 2 is silent: all 7 samples are 0"),
        (np.full(7, 128, np.uint8), "row 2 is silent: all 7 samples are 0"),
        (0.5, "row 2 is a float, not a sound"),
    ],
)
def test_arrays_that_are_no_sound_are_said(value, said):
    for codec in (WaveformCodec(RATE, 8), SpectrogramCodec(RATE, 128, 256, 32, 8)):
        with pytest.raises(SourceError, match=said):
            codec.encode([tone(0.1), value])


def test_bad_sounds_are_named_with_a_remedy(tmp_path):
    good = wav(tone(0.1))
    cases = {
        "empty.wav": (wav(np.zeros(0)), "contains no samples; remove it"),
        "silent.wav": (wav(np.zeros(800)), "silent: all 800 samples are 0; remove it"),
        "short.wav": (good[:-100], "claims 800 samples but holds 750"),
        "text.wav": (b"hello", "not a readable sound"),
        "half.flac": (b"fLaC" + b"\0" * 50, "not a readable sound"),
    }
    for name, (content, said) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=f"{name}.*{said}"):
            read_sound(tmp_path / name, lambda _, name=name: name)
    with pytest.raises(SourceError, match=r"a.wav does not exist"):
        read_sound(tmp_path / "a.wav", lambda _: "a.wav")
    with pytest.raises(SourceError, match=r"has no sound"):
        read_sound(None)


def test_a_header_that_claims_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.data.codecs.waves.MAX_SAMPLES", 100)
    monkeypatch.setattr(wave.Wave_read, "readframes", lambda self, n: pytest.fail("read"))
    with pytest.raises(SourceError, match=r"claims 800 samples; at most 100"):
        read_sound(wav(tone(0.1)))


def test_resampling_keeps_the_pitch():
    y = resampled(tone(0.5, 1000, rate=16000), 16000, RATE)
    assert y.dtype == np.float32
    assert len(y) == 4000
    assert np.abs(np.fft.rfft(y)).argmax() * RATE / len(y) == pytest.approx(1000, abs=2)
    np.testing.assert_allclose(y[500:-500], tone(0.5, 1000)[500:-500], atol=0.02)


# Codecs


def test_spectrograms_are_those_of_librosa():
    codec = SpectrogramCodec(RATE, 128, 256, 32, 30, low=-60, high=20)
    x = codec.encode([tone(0.3)])
    power = librosa.feature.melspectrogram(y=tone(0.3), sr=RATE, n_fft=256, hop_length=128, n_mels=32)
    decibels = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    k = decibels.shape[1]
    assert x.shape == (1, 1, 30, 32)
    assert k == 1 + 2400 // 128
    wanted = np.rint(np.clip((decibels.T + 60) / 80, 0, 1) * 255)
    assert np.abs(x[0, 0, :k] - wanted).max() <= 1  # float32 against float32
    assert (x[0, 0, :k] != wanted).mean() < 0.01
    assert not x[0, 0, k:].any()


@pytest.mark.parametrize("seconds", [0.01, 0.3, 2.0])
def test_a_spectrogram_sounds_like_what_it_was_made_of(seconds):
    codec = SpectrogramCodec(RATE, 128, 256, 32, 40, low=-60, high=20)
    x = codec.encode([tone(seconds)])
    (y,) = codec.decode(x)
    frames = min(40, 1 + int(seconds * RATE) // 128)
    assert len(y) == max(frames - 1, 1) * 128
    again = codec.encode([y])[0, 0, : frames - 1].astype(int)
    loud = x[0, 0, : frames - 1] > x.max() - 25 * 255 / 80  # what is heard beside a tone
    if frames > 2:
        assert np.abs(again - x[0, 0, : frames - 1])[loud].mean() * 80 / 255 < 2  # dB
        assert np.abs(np.fft.rfft(y)).argmax() * RATE / len(y) == pytest.approx(440, abs=30)
    np.testing.assert_array_equal(codec.decode(x)[0], y)


def test_a_silent_spectrogram_is_a_short_silence():
    codec = SpectrogramCodec(RATE, 128, 256, 32, 40)
    (y,) = codec.decode(np.zeros((1, 1, 40, 32), np.uint8))
    np.testing.assert_array_equal(y, np.zeros(128))


def test_time_goes_right_and_low_bands_are_at_the_bottom():
    codec = SpectrogramCodec(RATE, 128, 256, 4, 6)
    x = np.zeros((1, 1, 6, 4), np.uint8)
    x[0, 0, 5, 0] = 255  # last frame, lowest band
    (picture,) = codec.pictures(x)
    assert picture.size == (6, 4)
    assert np.argwhere(np.asarray(picture)).tolist() == [[3, 5]]
    np.testing.assert_array_equal(codec.upright(torch.from_numpy(x))[0, 0], np.asarray(picture))


def test_waveforms_are_mu_law_to_half_a_level():
    codec = WaveformCodec(RATE, 3000)
    s = tone(0.3)
    x = codec.encode([s])
    assert codec.space == Waveform(3000, 256)
    np.testing.assert_allclose(x[0, :2400], (librosa.mu_compress(s, mu=255, quantize=False) + 1) / 2 * 255, atol=0.501)
    assert (x[0, 2400:] == 128).all()
    (y,) = codec.decode(x)
    assert len(y) <= 2400
    inner = librosa.mu_compress(np.stack([y, s[: len(y)]]), mu=255, quantize=False)
    assert np.abs(inner[0] - inner[1]).max() <= 0.5 / 255 * 2 + 1e-6
    levels = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(WaveformCodec(RATE, 256).encode(WaveformCodec(RATE, 256).decode(levels)), levels)
    assert len(codec.decode(np.full((1, 3000), 128, np.uint8))[0]) == 1


@pytest.mark.parametrize("codec", [SpectrogramCodec(RATE, 128, 256, 16, 8), WaveformCodec(RATE, 900, 64)])
def test_codecs_are_json_and_write_wav_files(codec, tmp_path):
    assert Codec.from_json(codec.to_json()) == codec
    x = codec.encode([tone(0.1)])
    (path,) = codec.write(x, tmp_path, context_names=["low"])
    rate, samples = wavfile.read(path)
    assert (path.name, rate, samples.dtype) == ("sample-0000-low.wav", RATE, np.int16)
    np.testing.assert_allclose(samples / 32767, np.clip(codec.decode(x)[0], -1, 1), atol=1 / 32767)
    assert events_of_file(codec, path).shape == x.shape


# Loading


def test_a_folder_of_sounds_is_spectrograms_with_labels(folder):
    data = load(folder, context="label")
    codec = data.codec
    assert data.context_space == Label(("high", "low"))
    assert codec == SpectrogramCodec(RATE, 128, 256, 32, 1 + 3360 // 128, codec.low, codec.high)
    assert data.space == Spectrogram(27, 32)
    assert 30 < codec.high - codec.low <= 70
    assert data.train.files is not None
    x = codec.encode(data.train.files)
    np.testing.assert_array_equal(data.train.x, x)
    band = data.train.x[:, 0].sum(1).argmax(1)  # the loudest
    assert band[data.train.context == 0].min() > band[data.train.context == 1].max()
    assert "audio: 24 sounds of 0.20 to 0.42 s, at 8,000 Hz: frames of 32 ms every 16 ms, 32 mel bands" in "".join(
        data.notes
    )


def test_the_loudest_of_train_is_the_highest_level(folder):
    data = load(folder)
    power = [
        librosa.feature.melspectrogram(y=read_sound(f)[0], sr=RATE, n_fft=256, hop_length=128, n_mels=32)
        for f in data.train.files
    ]
    decibels = np.concatenate([librosa.power_to_db(p, ref=1.0, top_db=None).reshape(-1) for p in power])
    assert data.codec.high == pytest.approx(np.percentile(decibels, 99.95), abs=0.06)


def test_options_of_sounds_are_obeyed(folder):
    data = load(folder, sound="waveform", rate=4000, seconds=0.25)
    assert data.space == Waveform(1000)
    assert "audio: 24 sounds of 8,000 Hz are resampled to 4,000 Hz" in data.notes
    assert "audio: 18 sounds of more than 0.25 s are cut" in data.notes
    data = load(folder, seconds=0.2, bands=10, hop=8, levels=16)
    assert data.space == Spectrogram(1 + 1600 // 64, 10, 16)
    assert data.codec.window == 256


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sound": "mp3"}, "no kind of sound is called 'mp3'"),
        ({"rate": 10}, "rate is 10; give 100 to 192,000"),
        ({"seconds": 0}, "seconds is 0"),
        ({"sound": "waveform", "bands": 9}, "a waveform has no bands"),
        ({"bands": 200}, "200 bands are too many"),
        ({"size": 8}, "not a size of pictures"),
        ({"palette": 8}, "not pictures"),
        ({"whole": True}, "not texts"),
    ],
)
def test_options_that_make_no_sense_are_said(options, said, folder):
    with pytest.raises((UsageError, SourceError), match=said):
        load(folder, **options)


def test_options_of_sounds_are_for_sounds():
    with pytest.raises(UsageError, match=r"not sounds; leave out sound and rate"):
        load("digits", sound="waveform", rate=8000)


def test_new_sounds_of_another_rate_are_resampled_and_it_is_said(folder, tmp_path):
    run = load(folder, sound="waveform")
    (tmp_path / "new").mkdir()
    for i in range(3):
        (tmp_path / "new" / f"{i}.wav").write_bytes(wav(tone(0.3, rate=16000), 16000))
    data = load(tmp_path / "new", codec=run.codec)
    assert data.codec == run.codec
    assert "audio: 3 sounds of 16,000 Hz are resampled to 8,000 Hz" in data.notes
    assert "resampled from 16,000 to 8,000 Hz" in (run.codec.remark(str(tmp_path / "new" / "0.wav")) or "")
    assert run.codec.remark(str(folder / "low" / "00.wav")) is None


def test_the_most_frequent_rate_is_taken_up_to_16_khz(tmp_path):
    for i, rate in enumerate([44100] * 6 + [8000] * 5):
        (tmp_path / f"{i:02d}.wav").write_bytes(wav(tone(0.1, rate=rate), rate))
    assert load(tmp_path).codec.rate == 16000
    (tmp_path / "00.wav").write_bytes(wav(tone(0.1)))
    assert load(tmp_path).codec.rate == 8000


def test_silent_and_empty_sounds_of_a_source_are_named(folder):
    (folder / "low" / "03.wav").write_bytes(wav(np.zeros(800)))
    with pytest.raises(SourceError, match=r"low/03\.wav is silent"):
        load(folder)
    (folder / "low" / "03.wav").write_bytes(wav(np.zeros(0)))
    with pytest.raises(SourceError, match=r"low/03\.wav contains no samples"):
        load(folder)


def test_audio_columns_of_datasets_are_sounds(tmp_path):
    sounds = [{"bytes": wav(tone(0.1 + 0.01 * i, seed=i)), "path": f"{i}.wav"} for i in range(20)]
    rows = pa.table({"audio": sounds, "text": ["one", "two"] * 10})
    table = datasets.Dataset(rows).cast_column("audio", datasets.Audio(decode=False))
    data = load(table, context="text")
    assert isinstance(data.codec, SpectrogramCodec)
    assert data.context_space == Document(4, 257)
    table.to_parquet(tmp_path / "t.parquet")
    again = load(tmp_path / "t.parquet", event="text", context="audio")
    assert isinstance(again.context_codec, SpectrogramCodec)
    assert (again.space, again.context_space) == (data.context_space, data.space)
    joined = {text: row.tobytes() for text, row in zip(data.context_codec.decode(data.test.context), data.test.x)}
    assert len(joined) == len(set(joined.values()))


def test_one_file_and_folders_with_a_table_are_sources(folder, tmp_path):
    lines = ["file_name,text", *(f"low/{i:02d}.wav,tone {i}" for i in range(12))]
    for file in (folder / "high").iterdir():
        file.unlink()
    (folder / "high").rmdir()
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    data = load(folder, context="text")
    assert data.context_codec.decode(data.test.context)[0].startswith("tone ")
    one = load(folder / "low" / "00.wav", codec=data.codec)
    np.testing.assert_array_equal(one.splits["all"].x, events_of_file(data.codec, folder / "low" / "00.wav"))


@pytest.mark.parametrize("suffix", ["mp3", "aiff", "aif", "opus", "ogg", "flac", "au", "caf", "w64"])
def test_every_format_of_libsndfile_is_a_sound(tmp_path, suffix):
    for i in range(6):
        x, rate = tone(0.2, seed=i, rate=16000), 16000
        kind, subtype = {"opus": ("OGG", "OPUS"), "aif": ("AIFF", None)}.get(suffix, (None, None))
        soundfile.write(tmp_path / f"{i}.{suffix}", x, rate, subtype, format=kind)
    data = load(tmp_path, validation=1)
    assert [note for note in data.notes if note.startswith("audio: 6 sounds")]
    (tmp_path / f"3.{suffix}").write_bytes(b"no sound")
    with pytest.raises(SourceError, match=rf"3\.{suffix} is not a readable sound"):
        load(tmp_path, validation=1)


def test_averaged_channels_are_counted_and_cancelled_ones_named(tmp_path):
    for i in range(12):
        x = tone(0.2, seed=i)
        y = {3: x, 5: -0.99 * x, 7: tone(0.2, 1234.0, seed=i)}.get(i)
        (tmp_path / f"{i:02d}.wav").write_bytes(wav(x if y is None else np.stack([x, y], 1)))
    notes = load(tmp_path).notes
    assert f"audio: the channels of 3 of 12 sounds are averaged, such as {tmp_path}/" in "\n".join(notes)
    assert f"audio: the channels of 1 of 12 sounds cancel each other out, such as {tmp_path}/05.wav" in notes
    codec = load(tmp_path).codec
    assert "the mean of its 2 channels, which cancel each other out," in (codec.remark(f"{tmp_path}/05.wav") or "")
    assert (codec.remark(f"{tmp_path}/07.wav") or "").endswith("the mean of its 2 channels")
    assert any("are averaged" in remark for remark in load(tmp_path, codec=codec).remarks)
    x = tone(0.2)
    (tmp_path / "05.wav").write_bytes(wav(np.stack([x, -x], 1)))
    with pytest.raises(SourceError, match=r"the channels of .*05\.wav cancel each other out; save one of them alone"):
        load(tmp_path)


def test_all_damaged_sounds_are_named_together(folder):
    for name in ("low/03", "high/07"):
        (folder / f"{name}.wav").write_bytes(b"no sound")
    with pytest.raises(SourceError, match=r"2 files cannot be used in \S+: high/07\.wav, low/03\.wav: each is not "):
        load(folder)


def test_only_the_sounds_within_a_limit_are_read(folder):
    codec = load(folder).codec
    (folder / "low" / "03.wav").write_bytes(b"no sound")
    limited = load(folder, codec=codec, limit=5)
    (split,) = limited.splits.values()
    assert len(split) == 5
    names = [f"{kind}/{i:02d}" for kind in ("high", "low") for i in range(12)]
    assert split.files == [f"{folder}/{names[row]}.wav" for row in split.rows]
