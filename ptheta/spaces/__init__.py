"""Event spaces: what x, and the context y, can be.

A `Space` knows the shape of one event, checks a batch of events (`validate`), visits its dimensions in a default order,
and turns to and from JSON. It says nothing about who makes the events (`ptheta.data`) or how likely they are
(`ptheta.models`).

    Discrete(shape, levels)                  integers 0 … levels − 1
    Image(height, width, channels, levels)   pictures, [channels, height, width]
    Grid(height, width, levels)              grids of tokens without an order, such as palette colours
    Sequence(length, levels, end)            token sequences, perhaps with a token that ends a document
    Document(length, levels, end)            whole texts, each with its end
    Spectrogram(frames, bands, levels)       sounds as pictures of time and frequency
    Waveform(samples, levels)                sounds as quantised samples
    Label(names)                             one class out of several, with names
    Real(shape)                              real vectors
    Table(columns)                           rows of categories, numbers on grids and real numbers, some missing
    Joint(parts)                             several of these side by side, for contexts of parts

A new kind of space is one subclass with a `kind`; `Space.from_json` finds it by that name.
"""

from ptheta.spaces.base import MAX_DIMENSIONS, Space
from ptheta.spaces.discrete import MAX_LEVELS, Discrete, Grid, Image, Label, Sequence
from ptheta.spaces.joint import Joint
from ptheta.spaces.real import Real
from ptheta.spaces.sound import Spectrogram, Waveform
from ptheta.spaces.table import Column, Table
from ptheta.spaces.tokens import Document

__all__ = [
    "MAX_DIMENSIONS",
    "MAX_LEVELS",
    "Column",
    "Discrete",
    "Document",
    "Grid",
    "Image",
    "Joint",
    "Label",
    "Real",
    "Sequence",
    "Space",
    "Spectrogram",
    "Table",
    "Waveform",
]
