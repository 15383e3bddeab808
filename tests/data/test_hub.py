"""Data sets of Hugging Face: folders, the Hub, and objects."""

import json

import datasets
import numpy as np
import pytest
from PIL import Image as pil

from ptheta.data import load
from ptheta.errors import SourceError
from ptheta.spaces import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def faces():
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = {"image": [pil.fromarray(x) for x in PIXELS], "label": [0, 1] * 6}
    dataset = datasets.Dataset.from_dict(rows, features=features)
    return datasets.DatasetDict({"train": dataset, "test": dataset.select(range(4)), "unsupervised": dataset})


def check(data):
    assert data.space == Image(4, 4)
    assert data.context_space.names == ("no", "yes")
    assert {s: len(v) for s, v in data.splits.items()} == {"train": 11, "validation": 1, "test": 4}
    np.testing.assert_array_equal(data.test.x[:, 0], PIXELS[:4])
    assert data.test.context.tolist() == [0, 1, 0, 1]


def test_a_folder_of_parquet_loads_as_it_was_published(faces, tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for split in ("train", "test"):
        faces[split].to_parquet(folder / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text("# Faces")
    check(load(folder, context="label"))


def test_a_data_set_object_and_a_saved_one(faces, tmp_path):
    check(load(faces, context="label"))
    faces.save_to_disk(tmp_path / "saved")
    check(load(tmp_path / "saved", context="label"))


def write_splits(folder):
    for split, n in (("train", 20), ("test", 3)):
        (folder / f"{split}.csv").write_text("a,b\n" + "1,x\n" * n)


SPLITS = {"train": {"num_examples": 90}, "test": {"num_examples": 3}}
CARD = "".join(
    f"  - name: {name}\n    num_bytes: 1\n    num_examples: {split['num_examples']}\n" for name, split in SPLITS.items()
)
FEATURES = "  features:\n  - name: a\n    dtype: int64\n  - name: b\n    dtype: string\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", f"---\ndataset_info:\n  splits:\n{CARD}---\nA set.\n"),
        ("README.md", f"---\ndataset_info:\n{FEATURES}  splits:\n{CARD}---\nA set.\n"),
        ("dataset_info.json", json.dumps({"splits": SPLITS})),
    ],
)
def test_other_numbers_of_rows_than_declared_are_reported(tmp_path, name, content):
    folder = tmp_path / "csvs"
    folder.mkdir()
    write_splits(folder)
    (folder / name).write_text(content)
    remark = "csvs: its description declares other numbers of rows than are read: train 90 (read 20)"
    assert load(folder).remarks == [remark]
    (folder / name).write_text(content.replace("90", "20"))
    assert load(folder).remarks == []


def test_other_numbers_of_rows_than_a_saved_data_set_declares_are_reported(faces, tmp_path):
    faces.save_to_disk(tmp_path / "saved")
    about = tmp_path / "saved" / "train" / "dataset_info.json"
    splits = {"train": {"name": "train", "num_bytes": 1, "num_examples": 13}}
    about.write_text(json.dumps(json.loads(about.read_text()) | {"splits": splits}))
    assert "saved: its description declares other numbers of rows than are read: train 13 (read 12)" in (
        load(tmp_path / "saved").remarks
    )


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"splits": 3}', '{"splits": {"train": 3, "test": {}}}', "[" * 10**5]
)
def test_a_damaged_description_declares_nothing(tmp_path, content):
    write_splits(tmp_path)
    (tmp_path / "dataset_info.json").write_text(content)
    assert load(tmp_path).remarks == []


def test_the_hub_is_asked_for_ids_and_errors_are_one_line(faces, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda name: faces if name == "some/faces" else 1 / 0)
    check(load("some/faces", context="label"))

    def unreachable(name):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(SourceError, match=r"cannot load ylecun/mnist: no route to host; .*digits") as caught:
        load("ylecun/mnist")
    assert "\n" not in str(caught.value)


def test_labels_outside_their_names_are_named(tmp_path):
    features = datasets.Features({"x": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    dataset = datasets.Dataset.from_dict({"x": list("ababab"), "label": [0, 1, 0, -1, 0, 1]}, features=features)
    with pytest.raises(SourceError, match=r"'label' is -1 at row 4 of .*2 labels are 0 to 1"):
        load(dataset, event="x", context="label")


def test_csv_folders_with_splits(tmp_path):
    folder = tmp_path / "csvs"
    folder.mkdir()
    (folder / "train.csv").write_text("a,b\n" + "1,x\n2,y\n" * 10)
    (folder / "test.csv").write_text("a,b\n1,x\n")
    data = load(folder)
    assert {s: len(v) for s, v in data.splits.items()} == {"train": 18, "validation": 2, "test": 1}
    assert data.codec.values == [[1, 2], ["x", "y"]]
