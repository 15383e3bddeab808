"""Reading and writing sound files: samples of one channel, −1 … 1, at a rate in Hz.

Plain PCM WAV files (8, 16, 24 and 32 bits) are read by Python itself; all others by soundfile, of the extra `audio`.
"""

from __future__ import annotations

import importlib
import io
import wave
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.codecs.base import Place, nowhere
from ptheta.errors import NoSourceError, SourceError
from ptheta.files import write_bytes
from ptheta.foreign import guarded
from ptheta.listing import regular, unreadable

MAX_SAMPLES = 2**28
"""Most samples of all channels that a sound may claim, checked before they are read."""


CANCELLED = 0.01
"""Part of the power of a sound's channels below which that of their mean shows that they cancel each other out."""


def read_sound(value: Any, place: Place = nowhere) -> tuple[np.ndarray, int]:
    """Samples [k] of one channel (the mean of all), float32, and their rate in Hz; raises as `read_channels`."""
    channels, rate = read_channels(value, place)
    return channels.mean(1, dtype=np.float32), rate


def cancels(channels: np.ndarray) -> bool:
    """Whether little is left of channels [k, c] in their mean, as where one is the other upside down.

    >>> wave = np.sin(np.arange(100.0))
    >>> cancels(np.stack([wave, -wave], 1)), cancels(np.stack([wave, 0 * wave], 1))
    (True, False)
    """
    power = np.square(channels.astype(np.float64)).mean()
    return bool(np.square(channels.mean(1, dtype=np.float64)).mean() < CANCELLED * power)


def read_channels(value: Any, place: Place = nowhere) -> tuple[np.ndarray, int]:
    """Samples of all channels [k, c], float32, and their rate in Hz.

    Args:
        value: a path, the bytes of a file, or a dict with bytes or path, as `datasets` stores it.
        place: names it in an error.

    Raises:
        SourceError: missing, damaged, of no length, silent, in the mean of its channels too, or of a kind that needs
            the extra `audio`.
    """
    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") is not None else value.get("path")
    if value is None:
        raise SourceError(f"{place(0)} has no sound", "remove that row")
    if not isinstance(value, bytes | str | Path):
        raise SourceError(
            f"{place(0)} is a {type(value).__name__}, not a sound", "give a file, its bytes, or samples [k]"
        )
    try:
        content = value if isinstance(value, bytes) else regular(value, place(0)).read_bytes()
    except FileNotFoundError:
        raise NoSourceError(f"{place(0)} does not exist", "check the path") from None
    except OSError as error:
        raise unreadable(error.filename or place(0), error) from None
    with guarded(place(0), "remove it or save it again as WAV", problem="{origin} is not a readable sound"):
        channels, rate = _pcm(content, place) or _decoded(content, place)  # [k, channels]
    _check_audible(channels, place)
    if not channels.mean(1, dtype=np.float32).any():
        raise SourceError(f"the channels of {place(0)} cancel each other out", "save one of them alone")
    return channels, rate


def as_samples(value: np.ndarray, place: Place = nowhere) -> np.ndarray:
    """An array as samples [k] of one channel, float32; whole numbers are scaled by the range of their type to −1 … 1.

    Args:
        value: real or whole numbers [k]; unsigned ones are silent in the middle of their range.
        place: names it in an error.

    Raises:
        SourceError: other shapes or types, numbers that are not finite, no length, or silence.
    """
    if value.ndim != 1 or value.dtype.kind not in "iuf":
        shape = f"{value.dtype} of shape {list(value.shape)}"
        raise SourceError(f"{place(0)} is an array of {shape}", "give the samples of one channel, numbers [k]")
    if value.dtype.kind == "f":
        samples = value.astype(np.float32, copy=False)
    else:
        half = 2.0 ** (8 * value.dtype.itemsize - 1)
        samples = (value / half - (value.dtype.kind == "u")).astype(np.float32)
    if not np.isfinite(samples).all():
        at = int(np.argmin(np.isfinite(samples)))
        raise SourceError(f"sample {at:,} of {place(0)} is {value[at]}", "give finite samples, −1 … 1")
    _check_audible(samples, place)
    return samples


def _check_audible(samples: np.ndarray, place: Place) -> None:
    if len(samples) == 0:
        raise SourceError(f"{place(0)} contains no samples", "remove it or record it again")
    if not samples.any():
        raise SourceError(f"{place(0)} is silent: all {len(samples):,} samples are 0", "remove it or record it again")


def _pcm(content: bytes, place: Place) -> tuple[np.ndarray, int] | None:
    """Samples [k, channels] of a plain PCM WAV file, and their rate; None for any other file."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, rate, n = file.getsampwidth(), file.getnchannels(), file.getframerate(), file.getnframes()
            _claims(n * channels, place)
            data = file.readframes(n)
    except (wave.Error, EOFError):
        return None
    if width not in (1, 2, 3, 4) or rate < 1:
        return None
    if len(data) != n * channels * width:
        raise SourceError(
            f"{place(0)} claims {n:,} samples but holds {len(data) // (channels * width):,}", "restore or save it again"
        )
    raw = np.frombuffer(data, np.uint8)
    if width == 1:  # 8-bit WAV is unsigned
        whole = (raw.astype(np.int32) - 128) << 24
    else:
        wide = np.zeros((len(raw) // width, 4), np.uint8)
        wide[:, 4 - width :] = raw.reshape(-1, width)
        whole = wide.view("<i4")[:, 0]
    return (whole / 2**31).astype(np.float32).reshape(-1, channels), rate


def _decoded(content: bytes, place: Place) -> tuple[np.ndarray, int]:
    """Samples [k, channels] of any sound file, and their rate."""
    soundfile = audio_library("soundfile", f"{place(0)} is not a plain PCM WAV file, and reading it")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _claims(file.frames * file.channels, place)
            samples, n = file.read(dtype="float32", always_2d=True), file.frames
            rate = file.samplerate
    except soundfile.SoundFileError as error:
        why = getattr(error, "error_string", str(error))  # the message itself names an object in memory
        raise SourceError(f"{place(0)} is not a readable sound ({why})", "remove it or save it again as WAV") from None
    if len(samples) != n or not np.isfinite(samples).all():
        raise SourceError(f"{place(0)} is damaged", "restore or save it again")
    return samples, rate


def _claims(samples: int, place: Place) -> None:
    if samples > MAX_SAMPLES:
        raise SourceError(f"{place(0)} claims {samples:,} samples", f"at most {MAX_SAMPLES:,} are read; cut it")


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """A sound [k] at another rate, float32."""
    if rate == wanted:
        return samples
    librosa = audio_library("librosa", f"resampling from {rate:,} to {wanted:,} Hz")
    return librosa.resample(samples, orig_sr=rate, target_sr=wanted).astype(np.float32, copy=False)


def write_wave(samples: np.ndarray, rate: int, path: Path) -> Path:
    """Write samples [k], −1 … 1, as a 16-bit PCM WAV file; what is louder is clipped."""
    return write_bytes(path, wave_bytes(samples, rate), flush=False)


def wave_bytes(samples: np.ndarray, rate: int) -> bytes:
    """A 16-bit PCM WAV file of samples [k], −1 … 1; what is louder is clipped."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def audio_library(name: str, what: str) -> Any:
    """A package of the extra `audio`.

    Raises:
        SourceError: it is not installed, or a library of the system that it needs.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SourceError(
            f"{what} needs {name}, which is not installed", "install it with pip install 'ptheta[audio]'"
        ) from None
    except OSError as error:  # soundfile without its libsndfile
        reason = " ".join(str(error).split())
        raise SourceError(
            f"{what} needs {name}, which does not load: {reason}", "install libsndfile, or save sounds as PCM WAV"
        ) from None
