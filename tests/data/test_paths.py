"""What data name, by paths and links, lies beside them, unless it is allowed to lie elsewhere."""

import json
import os

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import ptheta
from ptheta.cli.main import main
from ptheta.data import load
from ptheta.data.codecs import JointCodec
from ptheta.data.reading import events_of_file
from ptheta.errors import SourceError
from ptheta.listing import following

OUT = r"leads out of the folder of the data, to .*; copy it there, or allow it with (--follow-paths|follow_paths=True)"


def picture(path):
    path.parent.mkdir(exist_ok=True, parents=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (4, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A folder of data, and a picture elsewhere."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for i in range(11):
        picture(tmp_path / "data" / f"{i}.png")
    picture(tmp_path / "elsewhere" / "secret.png")
    return tmp_path / "data", tmp_path / "elsewhere"


def described(inside, outside, name):
    names = [f"{i}.png" for i in range(11)] + [name]
    (inside / "metadata.csv").write_text("file_name,label\n" + "\n".join(f"{one},a" for one in names) + "\n")
    return inside


def linked_file(inside, outside):
    (inside / "link.png").symlink_to(outside / "secret.png")
    return inside


def linked_folder(inside, outside):
    (inside / "link").symlink_to(outside)
    return inside


def parquet(inside, outside):
    paths = [str(inside / f"{i}.png") for i in range(11)] + [str(outside / "secret.png")]
    cells = pa.array([{"bytes": None, "path": path} for path in paths])
    pq.write_table(pa.table({"image": cells}), inside / "t.parquet")
    return inside / "t.parquet"


WAYS = {
    "a link to a file": linked_file,
    "a link to a folder": linked_folder,
    "metadata.csv": lambda inside, outside: described(inside, outside, "../elsewhere/secret.png"),
    "metadata.csv, absolute": lambda inside, outside: described(inside, outside, str(outside / "secret.png")),
    "the path of a cell": parquet,
}


@pytest.mark.parametrize("way", WAYS)
def test_pictures_elsewhere_are_opened_only_if_that_is_allowed(way, places):
    source = WAYS[way](*places)
    with pytest.raises(SourceError, match=OUT):
        load(source, event="image")
    data = load(source, event="image", follow_paths=True)
    assert sum(map(len, data.splits.values())) == 12
    assert data.request["follow_paths"] is True


def test_a_saved_data_set_names_files_of_its_own(tmp_path):
    for name in ("one", "other"):
        datasets.Dataset.from_dict({"x": np.arange(12.0)}).save_to_disk(tmp_path / name)
    state = tmp_path / "one" / "state.json"
    about = json.loads(state.read_text())
    about["_data_files"][0]["filename"] = "../other/data-00000-of-00001.arrow"
    state.write_text(json.dumps(about))
    with pytest.raises(SourceError, match=OUT):
        load(tmp_path / "one")
    assert len(load(tmp_path / "one", follow_paths=True).train) > 0


def test_a_card_names_data_files_of_its_own(places):
    inside, outside = places
    for file in inside.iterdir():
        file.unlink()
    (outside / "t.csv").write_text("a,b\n" + "1.5,2.5\n" * 12)
    (inside / "t.csv").write_text("a,b\n" + "1.5,2.5\n" * 12)
    (inside / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: ../elsewhere/t.csv\n---\n"
    )
    with pytest.raises(SourceError, match=r"leads out of the folder of the data|cannot load"):
        load(inside)


def test_links_within_the_folder_and_a_linked_source_are_followed(places, tmp_path):
    inside, _ = places
    os.symlink(inside / "3.png", inside / "again.png")
    os.symlink(inside, tmp_path / "source")
    assert sum(map(len, load(tmp_path / "source").splits.values())) == 12


def test_the_flag(places, monkeypatch, capsys):
    inside, outside = places
    monkeypatch.chdir(inside.parent)
    linked_file(inside, outside)
    assert main(["fit", "data", "independent", "--out", "run"]) == 2
    assert "link.png leads out of the folder of the data" in capsys.readouterr().err
    assert main(["fit", "data", "independent", "--out", "run", "--follow-paths"]) == 0
    assert main(["score", "run", "data"]) == 2
    assert main(["score", "run", "data", "--follow-paths"]) == 0
    capsys.readouterr()
    assert main(["report", "run", "--follow-paths"]) == 0
    assert f"opening {inside.resolve()}, the data that run was fitted on\n" in capsys.readouterr().err


def test_a_run_allows_nothing_that_the_command_at_hand_does_not(places, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = linked_file(*places)
    data = load(source, follow_paths=True, levels=2)
    path = str(ptheta.fit("independent", data, out=tmp_path / "run", verbose=False).path)
    run = ptheta.Run.load(path)
    for read in (lambda: run.read(str(source)), lambda: run.data, lambda: run.reload(str(source))):
        with pytest.raises(SourceError, match=OUT):
            read()
    assert sum(map(len, run.read(str(source), follow_paths=True).splits.values())) == 12
    with following():
        assert run.own_data.fingerprint == data.fingerprint
    assert main(["score", path, str(source)]) == 2
    assert "allow it with --follow-paths" in capsys.readouterr().err
    assert main(["score", path, str(source), "--follow-paths", "--calibrate", "0", "--out", "s.parquet"]) == 0
    assert "of data (test" in capsys.readouterr().err  # divided as in the fit


def test_a_table_of_contexts_names_files_beside_it(places):
    inside, outside = places
    image = load(inside, levels=2).codec.to_json()
    codec = JointCodec({"p": image, "n": {"kind": "number", "column": "n"}})
    (inside / "c.csv").write_text(f"p,n\n{inside / '0.png'},1\n")
    assert events_of_file(codec, inside / "c.csv").shape == (1, 17)
    for name in (outside / "secret.png", inside / "../elsewhere/secret.png"):
        (inside / "c.csv").write_text(f"p,n\n{name},1\n")
        with pytest.raises(SourceError, match=r"row 1 of .*c\.csv: .*" + OUT):
            events_of_file(codec, inside / "c.csv")
        with following():
            assert events_of_file(codec, inside / "c.csv").shape == (1, 17)
