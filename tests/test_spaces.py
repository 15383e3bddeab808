"""Spaces say what an event can be, refuse what is none, and survive JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from ptheta.errors import SpaceError
from ptheta.spaces import (
    MAX_DIMENSIONS,
    Column,
    Discrete,
    Document,
    Grid,
    Image,
    Joint,
    Label,
    Real,
    Sequence,
    Space,
    Spectrogram,
    Table,
    Waveform,
)

SPACES = [
    Discrete((2, 3), 4),
    Discrete((), 7),
    Discrete((3,), 5, (5, 1, 2)),
    Image(28, 28, levels=2),
    Image(2, 3, 3),
    Grid(2, 3, 512),
    Sequence(5, 1000),
    Sequence(5, 1000, 999),
    Label(("cat", "dog")),
    Real((2, 2)),
    Real(()),
]
each_space = pytest.mark.parametrize("space", SPACES, ids=str)


@each_space
def test_a_space_survives_json(space):
    again = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert again == space
    assert type(again) is type(space)
    assert hash(again) == hash(space)


@each_space
def test_the_order_visits_every_dimension_once(space):
    assert space.order().sort().values.tolist() == list(range(space.dimensions))
    assert math.prod(space.shape) == space.dimensions
    assert len(space.coordinates()) == space.dimensions
    assert len(set(map(tuple, space.coordinates().tolist()))) == space.dimensions


GEOMETRIES = {
    Image(2, 3, 3): ("channel", "height", "width"),
    Spectrogram(4, 2): ("channel", "time", "band"),
    Waveform(5): ("time",),
    Grid(2, 3, 512): ("height", "width"),
    Sequence(5, 9): ("token",),
    Document(5, 9): ("token",),
    Table((Column("age", per=1), Column("kind", 3))): ("column",),
    Discrete((2, 3), 4): ("axis 0", "axis 1"),
    Real((7,)): ("axis 0",),
    Joint({"a": Label(("x", "y")), "b": Real((2,))}): ("axis 0",),
    Label(("cat", "dog")): (),
}


@pytest.mark.parametrize("space", GEOMETRIES, ids=str)
def test_the_axes_of_an_event_have_names(space):
    assert space.axes == GEOMETRIES[space]
    assert len(space.axes) == len(space.shape)


@pytest.mark.parametrize("space", GEOMETRIES, ids=str)
def test_greys_loudness_and_reals_are_numbers_and_all_else_are_names(space):
    assert space.ordered == isinstance(space, Image | Waveform | Real)


def test_pictures_are_read_row_by_row_with_the_colours_of_a_pixel_together():
    space = Image(2, 3, 3)
    visited = space.coordinates()[space.order()].tolist()
    assert visited == [[row, column, channel] for row in range(2) for column in range(3) for channel in range(3)]
    flat = torch.arange(18).reshape(space.shape)  # [channels, height, width]
    assert [int(flat[c, r, w]) for r, w, c in visited] == space.order().tolist()


def test_grids_are_read_row_by_row():
    space = Grid(2, 3, 512)
    assert space.coordinates()[space.order()].tolist() == [[row, column] for row in range(2) for column in range(3)]
    assert space.to_json() == {"kind": "grid", "height": 2, "width": 3, "levels": 512}
    assert str(space) == "Grid(2×3, 512 levels)"
    assert isinstance(space, Discrete)
    assert not isinstance(space, Image), "its levels have no order"


def test_sequences_may_name_the_token_that_ends_a_document():
    space = Sequence(256, 257, 256)
    assert str(space) == "Sequence(length=256, levels=257, end of document 256)"
    assert space != Sequence(256, 257)
    assert str(Sequence(256, 257)) == "Sequence(length=256, levels=257)"
    assert Space.from_json({"kind": "sequence", "length": 256, "levels": 257}) == Sequence(256, 257), "as once written"


def test_event_counts_are_exact_integers():
    assert Image(28, 28, levels=2).event_count == 2**784
    assert Discrete((3,), 5, (5, 1, 2)).event_count == 10
    assert Label(("a", "b", "c")).event_count == 3
    assert Real((2,)).event_count is None


def test_allowed_levels_are_those_below_each_size():
    allowed = Discrete((2, 2), 3, (1, 2, 3, 2)).allowed()
    assert allowed is not None
    assert allowed.int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 0]]
    assert Discrete((2, 2), 3).allowed() is None


@pytest.mark.parametrize(
    "x",
    [
        [[0, 1], [2, 3]],
        np.array([[0, 1], [2, 3]], dtype=np.uint8),
        np.array([[0, 1], [2, 3]], dtype=np.uint16),
        np.array([[0, 1], [2, 3]], dtype=">i4").astype(np.int32),
        torch.tensor([[0, 1], [2, 3]], dtype=torch.int16),
        np.asfortranarray([[0, 1], [2, 3]]),
    ],
)
def test_integers_of_any_kind_become_int64(x):
    event = Discrete((2,), 4).validate(x)
    assert event.dtype == torch.int64
    assert event.tolist() == [[0, 1], [2, 3]]


def test_checking_keeps_the_type_and_copies_nothing():
    x = torch.tensor([[0, 255]], dtype=torch.uint8)
    checked = Discrete((2,), 256).check(x)
    assert checked.data_ptr() == x.data_ptr()
    assert checked.dtype == torch.uint8


@pytest.mark.parametrize("levels", [2, 255, 256, 300])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int64])
def test_a_compact_type_neither_hides_nor_invents_a_wrong_level(levels, dtype):
    space, top = Discrete((1,), levels), min(levels - 1, torch.iinfo(dtype).max)
    assert space.validate(torch.tensor([[top]], dtype=dtype)).item() == top
    if levels <= torch.iinfo(dtype).max:
        with pytest.raises(SpaceError, match=rf"x\[1, 0\] is {levels}"):
            space.validate(torch.tensor([[0], [levels]]).to(dtype))


@pytest.mark.parametrize(
    ("space", "x", "said"),
    [
        (Discrete((2,), 3), [[0, 1], [3, 9]], r"x\[1, 0\] is 3, outside the levels 0 to 2"),
        (Discrete((2,), 3), [[0, -1]], r"x\[0, 1\] is -1"),
        (Discrete((2,), 3, (3, 2)), [[2, 1], [2, 2]], r"x\[1, 1\] is 2, outside the levels 0 to 1"),
        (Discrete((2,), 3), [[0.0, 1.0]], "float64"),
        (Discrete((2,), 3), [0, 1], r"shape \[2\].*\[n, 2\]"),
        (Discrete((2,), 3), [["a", "b"]], "not numbers"),
        (Discrete((2,), 3), [[0, None]], "not numbers"),
        (Discrete((2,), 3), None, "NoneType"),
        (Discrete((2,), 3), 1, "int"),
        (Discrete((), 3), torch.tensor(1), r"shape \[\]"),
        (Label(("cat", "dog")), ["cat", "cow"], "cow"),
        (Label(("cat", "dog")), [2], r"x\[0\] is 2"),
        (Real((2,)), [[0.0, math.nan]], r"x\[0, 1\] is nan"),
        (Real((2,)), [[0.0, 1.0], [-math.inf, 1.0]], r"x\[1, 0\] is -inf"),
        (Real((2,)), [[1.0]], "shape"),
        (Image(2, 2), np.zeros((1, 2, 2), np.uint8), r"\[n, 1, 2, 2\]"),
        (Grid(1, 2, 5), [[[0, 5]]], r"x\[0, 0, 1\] is 5, outside the levels 0 to 4"),
    ],
)
def test_what_is_no_event_is_refused_with_the_place(space, x, said):
    with pytest.raises(SpaceError, match=said):
        space.validate(x)


@each_space
def test_no_events_are_a_batch_too(space):
    empty = torch.zeros(0, *space.shape, dtype=torch.float32 if isinstance(space, Real) else torch.uint8)
    assert space.validate(empty).shape == (0, *space.shape)


def test_labels_are_known_by_name_and_number():
    space = Label(["cat", "dog"])
    assert space.validate("dog").tolist() == [1]
    assert space.validate(["dog", "cat"]).tolist() == [1, 0]
    assert space.validate(np.array(["dog", "cat"])).tolist() == [1, 0]
    assert space.validate(np.array([1, 0])).tolist() == [1, 0]
    with pytest.raises(SpaceError, match="did you mean dog"):
        space.index("dgo")


def test_real_events_keep_their_precision():
    assert Real((1,)).validate(np.ones((1, 1), np.float32)).dtype == torch.float32
    assert Real((1,)).validate([[1]]).dtype == torch.float64


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image(0, 3),
        lambda: Grid(3, 0, 2),
        lambda: Grid(2, 2, 0),
        lambda: Discrete((2,), 0),
        lambda: Discrete((2,), 2**30),
        lambda: Real((MAX_DIMENSIONS, 2)),
        lambda: Discrete((2,), 3, (3,)),
        lambda: Discrete((2,), 3, (2, 2)),
        lambda: Discrete((2,), 3, (3, 0)),
        lambda: Sequence(4, 3, 3),
        lambda: Sequence(4, 3, -1),
        lambda: Label(()),
        lambda: Label(("a", "a")),
    ],
)
def test_spaces_that_cannot_be_are_refused(make):
    with pytest.raises(SpaceError):
        make()


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ({"kind": "imagge", "height": 1}, "did you mean image"),
        ({"height": 1}, "None"),
        ({"kind": "image", "hight": 1, "width": 1}, "did you mean height"),
        ({"kind": "image", "height": 1}, "cannot read"),
        ({"kind": "image", "height": "tall", "width": 1}, "cannot read"),
        ({"kind": "sequence", "length": 10**12, "levels": 2}, "not usable"),
    ],
)
def test_damaged_descriptions_are_refused(description, said):
    with pytest.raises(SpaceError, match=said):
        Space.from_json(description)
