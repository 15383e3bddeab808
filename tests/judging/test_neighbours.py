"""Baselines that look things up find what a person would."""

import numpy as np
import torch

from ptheta.data import Split
from ptheta.data.codecs import DocumentCodec, ImageCodec, JointCodec, LabelCodec
from ptheta.judging.base import derangement
from ptheta.judging.neighbours import Lookup, nearest_texts, nearest_training


def split(contexts):
    contexts = np.asarray(contexts)
    return Split(np.zeros((len(contexts), 1), np.uint8), contexts)


def test_the_nearest_picture_is_that_of_least_distance():
    g = np.random.default_rng(0)
    known, asked = (g.integers(0, 256, (n, 1, 3, 3)).astype(np.uint8) for n in (40, 7))
    distance = ((known[None].astype(float) - asked[:, None]) ** 2).sum((2, 3, 4))
    found = nearest_training(ImageCodec(3, 3), split(known), asked)
    assert found.tolist() == distance.argmin(1).tolist()


def test_the_nearest_text_shares_most_letters():
    known = ["a red car", "green apple", "the blue sea", "grinning face"]
    assert nearest_texts(known, ["apples, green", "red cars", "a grin"]).tolist() == [1, 0, 3]
    codec = DocumentCodec(20)
    assert nearest_training(codec, split(codec.encode(known)), codec.encode(["a blue sea"])).tolist() == [2]


def test_the_neighbour_of_a_label_has_the_same_one():
    labels = np.array([0, 1, 2, 0, 1, 2, 0], np.uint8)
    asked = np.array([2, 0, 1, 2, 2, 0], np.uint8)
    found = nearest_training(LabelCodec(["a", "b", "c"]), split(labels), asked, seed=1)
    assert labels[found].tolist() == asked.tolist()


def test_contexts_of_parts_have_no_neighbours():
    codec = JointCodec({"a": LabelCodec(["x", "y"]).to_json(), "b": LabelCodec(["u", "v"]).to_json()})
    assert nearest_training(codec, split(np.zeros((3, 2), np.uint8)), np.zeros((1, 2), np.uint8)) is None


def test_words_are_looked_up_by_dice():
    english = ["the dog runs.", "the cat runs.", "the dog sleeps.", "the cat sleeps.", "the sea"]
    french = ["le chien court.", "le chat court.", "le chien dort.", "le chat dort.", "le la mer"]
    lookup = Lookup(english, french)
    assert lookup("The dog sleeps.") == "le chien dort."
    assert lookup("cat runs") == "chat court"
    assert lookup("zebra!") == "zebra!"


def test_a_rare_pair_does_not_win_over_a_frequent_one():
    lookup = Lookup(["a b"] * 5 + ["a c"], ["x y"] * 5 + ["x z"])
    assert lookup("a") == "x"
    assert lookup("b") == "y"
    assert lookup("c") == "z"  # it has occurred with x and z once each: z, which occurs with nothing else


def test_a_derangement_moves_everything_and_is_a_permutation():
    for n in (2, 3, 50):
        found = derangement(n, 4)
        assert sorted(found.tolist()) == list(range(n))
        assert (found != np.arange(n)).all()
    assert torch.equal(*map(torch.from_numpy, (derangement(9, 1), derangement(9, 1))))
