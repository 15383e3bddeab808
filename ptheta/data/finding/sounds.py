"""Finding the codec of a column of sounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from ptheta.data.codecs.sounds import SoundCodec, WaveformCodec
from ptheta.data.codecs.spectrograms import SpectrogramCodec
from ptheta.data.codecs.waves import cancels, read_channels, read_sound, resampled
from ptheta.data.failures import Failures
from ptheta.data.finding.documents import chosen
from ptheta.data.options import Sounds
from ptheta.data.sources.tables import Source
from ptheta.data.splits import Masks
from ptheta.numbers import plural

MOST_RATE = 16_000
"""Hz, of sounds unless asked otherwise, at most."""

LONG = 99
"""Percentile of the durations that an event holds unless asked otherwise."""

SAMPLED = 500
"""Training sounds from which the range of loudness is estimated."""

LOUD = 99.95
"""Percentile of the loudness of bands that is the highest level."""

QUIET = 1
"""Percentile that is the lowest level, if it lies within `RANGE`."""

RANGE = 70.0
"""dB from the lowest level to the highest, at most."""


@dataclass
class Survey:
    """What the sounds of a column are like.

    Args:
        rates: Hz → number of sounds.
        seconds: of each sound.
        train: number of training sounds.
        averaged: places of those of several channels.
        cancelled: places of those whose channels cancel each other out.
    """

    rates: Counter = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    train: int = 0
    averaged: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)


def survey(source: Source, name: str, masks: Masks) -> Survey:
    """Read all sounds once.

    Raises:
        UnusableFiles: some are missing, damaged, of no length or silent; all of them are named.
    """
    found, failures = Survey(), Failures()
    for split, values, place in chosen(source, name, masks):
        for row, value in enumerate(values):
            with failures.caught():
                samples, rate = read_channels(value, lambda _, row=row, place=place: place(row))
                found.rates[rate] += 1
                found.seconds.append(len(samples) / rate)
                if samples.shape[1] > 1:
                    found.averaged.append(place(row))
                    found.cancelled += [place(row)] * cancels(samples)
        found.train += len(values) * (split in ("train", "all"))
    failures.end()
    return found


def sound_codec(source: Source, name: str, options: Sounds, masks: Masks, seed: int) -> tuple[SoundCodec, list[str]]:
    """The codec of a column of sounds, and what was assumed, in sentences.

    Args:
        source: with its tables.
        name: of the column.
        options: of sounds.
        masks: the range of loudness is that of train.
        seed: of the sounds from which it is taken.

    Raises:
        SourceError: a sound that is missing, damaged, of no length or silent.
        UsageError: more bands than a frame tells apart.
    """
    found = survey(source, name, masks)
    rate = options.rate or min(found.rates.most_common(1)[0][0], MOST_RATE)
    seconds = options.seconds or float(np.percentile(found.seconds, LONG, method="higher"))
    shortest, longest = min(found.seconds), max(found.seconds)
    summary = f"{name}: {plural(len(found.seconds), 'sound')} of {shortest:.2f} to {longest:.2f} s, at {rate:,} Hz"
    if options.sound == "waveform":
        codec: SoundCodec = WaveformCodec(rate, max(1, round(seconds * rate)), options.levels or 256)
        return codec, [f"{summary}: µ-law samples", *sound_notes(codec, name, found)]
    codec = SpectrogramCodec.of(rate, seconds, options)
    low, high = _range(source, name, masks, codec, found.train, seed)
    codec = replace(codec, low=low, high=high)
    notes = [f"{summary}: {codec.frames_text}, {low:g} to {high:g} dB", *sound_notes(codec, name, found)]
    return codec, notes


def _range(
    source: Source, name: str, masks: Masks, codec: SpectrogramCodec, train: int, seed: int
) -> tuple[float, float]:
    """dB of the lowest and the highest level, from at most `SAMPLED` training sounds."""
    wanted = set(np.random.default_rng(seed).choice(train, min(train, SAMPLED), replace=False).tolist())
    chunks, number = [], -1
    for split, values, _ in chosen(source, name, masks):
        for value in values if split in ("train", "all") else ():
            number += 1
            if number in wanted:
                samples, rate = read_sound(value)
                chunks.append(codec.decibels(resampled(samples, rate, codec.rate)).reshape(-1))
    decibels = np.concatenate(chunks)
    high = float(np.round(np.percentile(decibels, LOUD), 1))
    low = float(np.round(max(np.percentile(decibels, QUIET), high - RANGE), 1))
    return min(low, high - 1), high


def sound_notes(codec: SoundCodec, name: str, found: Survey) -> list[str]:
    """How many sounds are averaged over their channels, resampled and cut, in sentences."""
    notes, total = [], len(found.seconds)
    if found.averaged:
        count = f"{len(found.averaged):,} of {total:,} sounds"
        notes.append(f"{name}: the channels of {count} are averaged, such as {found.averaged[0]}")
    if found.cancelled:
        count = f"{len(found.cancelled):,} of {total:,} sounds"
        notes.append(f"{name}: the channels of {count} cancel each other out, such as {found.cancelled[0]}")
    for rate, count in sorted(found.rates.items()):
        if rate != codec.rate:
            are = f"{plural(count, 'sound')} of {rate:,} Hz {'is' if count == 1 else 'are'}"
            notes.append(f"{name}: {are} resampled to {codec.rate:,} Hz")
    most = codec.samples / codec.rate
    if cut := sum(seconds > most + 1e-9 for seconds in found.seconds):
        notes.append(f"{name}: {plural(cut, 'sound')} of more than {most:.2f} s {'is' if cut == 1 else 'are'} cut")
    return notes
