"""Data sets through Hugging Face `datasets`: folders and the Hub."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptheta.data.formats import PICTURES, SOUNDS
from ptheta.data.sources.arrow_ipc import validated
from ptheta.data.sources.declared import DESCRIPTION, compare_counts, counts_beside, counts_of
from ptheta.data.sources.delimited import open_text_tables
from ptheta.data.sources.faults import one_line
from ptheta.data.sources.json_tables import open_json_tables
from ptheta.data.sources.left_out import left_out
from ptheta.data.sources.tables import ArrowTable, ParquetTable, Source, Table
from ptheta.errors import SourceError
from ptheta.foreign import guarded
from ptheta.listing import exists, inside, is_file, regular
from ptheta.numbers import plural
from ptheta.remarks import remark


def open_hub(name: str) -> Source:
    """Open a data set of the Hub by its id."""
    from ptheta.data.sources.splits import named_splits

    with one_line(name, "check the name, and that the Hub can be reached; `digits` works offline"):
        import datasets

        with _offline_if_unreachable():
            loaded = datasets.load_dataset(name)
    return Source(name.split("/")[-1], name, named_splits(tables_of(loaded, name), name))


def open_saved(path: Path, files: Sequence[Path]) -> Source:
    """Open a folder written by `Dataset.save_to_disk`.

    Args:
        path: of the folder.
        files: all in it.
    """
    from ptheta.data.sources.splits import named_splits

    with one_line(str(path), "save it again with save_to_disk"):
        import datasets

        for file in [path / "dataset_dict.json", *(one for one in files if one.name == "state.json")]:
            _check_named(file)
        loaded = datasets.load_from_disk(str(path))
        tables = tables_of(loaded, path.name)
    compare_counts(_declared(loaded), tables, path.name)
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


def open_dataset_folder(path: Path, files: Sequence[Path]) -> Source:
    """Open a folder with data files and perhaps a README.

    `datasets` finds the files of the splits. Parquet, CSV and JSON files are then read where they lie, as single files
    are; everything else, and what a README declares the types of, through the cache of `datasets`.

    Args:
        path: of the folder.
        files: all in it; those that `datasets` passes over are reported.
    """
    from ptheta.data.sources.splits import named_splits

    packed = any(file.suffix.lower() in (".zip", ".tar") for file in files)
    what = "unpack its archives first" if packed else "check that it holds data files that `datasets` can load"
    with one_line(str(path), what):
        import datasets

        for card in (path / "README.md", path / ".huggingface.yaml"):
            _check_card(card)
        with tempfile.TemporaryDirectory() as unknown:  # its own cache knows types that it has inferred before
            builder = datasets.load_dataset_builder(str(path), cache_dir=unknown)
        form = type(builder).__module__.rpartition(".")[2]
        groups = {str(split): [Path(one) for one in own] for split, own in (builder.config.data_files or {}).items()}
        for file in _flat(groups):
            inside(file, f"a data file of {path}")
        read = [file.resolve() for file in _flat(groups)]
        if form == "parquet":
            tables: dict[str, Table] = {
                split: ParquetTable.of(own, f"{path.name}/{split}", builder.info.features)
                for split, own in groups.items()
            }
        elif form in READERS and _is_plain(builder) and all(map(_is_own, _flat(groups))):
            tables = READERS[form](groups)
        else:
            for file in _flat(groups) if form == "arrow" else ():
                with guarded(file):
                    validated(file)
            tables = tables_of(datasets.load_dataset(str(path), verification_mode="no_checks"), path.name)
    compare_counts(counts_of(builder.info.splits) or counts_beside(path), tables, path.name)
    taken = [file for file in files if file.resolve() in {*read} or file == path / DESCRIPTION]
    left_out(files, taken, "not data of any split")
    if (media := sum(file.suffix in (*PICTURES, *SOUNDS) for file in files)) > (n := sum(map(len, tables.values()))):
        remark(f"left out, without a row of their own in the metadata: {plural(media - n, 'file')} of {media:,}")
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


def _declared(loaded: Any) -> dict[str, Any]:
    """Split → number of rows, as the descriptions of saved data sets declare them."""
    splits = loaded if isinstance(loaded, dict) else {"all": loaded}
    found = {name: counts_of(one.info.splits).get(str(one.split or name)) for name, one in splits.items()}
    return {str(name): rows for name, rows in found.items()}


READERS: dict[str, Callable[[Mapping[str, list[Path]]], dict[str, Table]]] = {
    "csv": open_text_tables,
    "json": open_json_tables,
}
"""Builder of `datasets` → what reads its files here."""


def _flat(files: Mapping[str, list[Path]]) -> list[Path]:
    return [file for own in files.values() for file in own]


def _is_plain(builder: Any) -> bool:
    """Whether a README declares neither types nor where in a file the rows are."""
    return builder.info.features is None and not getattr(builder.config, "field", None)


def _is_own(file: Path) -> bool:
    """Whether it is a file that the readers of single files open."""
    return is_file(file) and file.name.lower().endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz", ".json", ".jsonl"))


def _check_card(file: Path) -> None:
    """That nothing in the header of a README, or in a file of YAML, stands for something else in it: some lines of
    references to references are a list of more items than memory has room for.

    Raises:
        SourceError: something does.
    """
    if not is_file(file):
        return
    import yaml

    lines = regular(file).read_text(encoding="utf-8", errors="replace").splitlines()
    if file.suffix == ".md":
        lines = lines[1 : lines.index("---", 1)] if lines[:1] == ["---"] and "---" in lines[1:] else []
    if found := next((event for event in yaml.parse("\n".join(lines)) if isinstance(event, yaml.AliasEvent)), None):
        raise SourceError(f"{file} refers to *{found.anchor} in its header", "write out what it stands for")


def _check_named(file: Path) -> None:
    """What a file of `save_to_disk` names stays in its folder; of Arrow files, the offsets stay in the file.

    Raises:
        SourceError: it leads elsewhere, or a file is missing or damaged.
    """
    if not file.is_file():
        return
    about = json.loads(file.read_text(encoding="utf-8"))
    for name in about.get("splits", []):
        inside(file.parent / name, file)
    for one in [*(about.get("_data_files") or []), *(about.get("_indices_data_files") or [])]:
        data = regular(file.parent / one["filename"])
        if not exists(data):
            raise SourceError(f"{file} names {one['filename']}, which does not exist", "restore it")
        with guarded(data, "save the data again with save_to_disk"):
            validated(data)


def tables_of(loaded: Any, origin: str = "") -> dict[str, Table]:
    """Split → table of a `Dataset` or `DatasetDict`; pictures and sound stay encoded. Errors name origin and split."""
    import datasets

    splits = loaded if isinstance(loaded, dict) else {"all": loaded}
    tables: dict[str, Table] = {}
    for name, dataset in splits.items():
        for column, feature in dataset.features.items():
            if isinstance(feature, datasets.Image | datasets.Audio):
                dataset = dataset.cast_column(column, type(feature)(decode=False))
        parts = [origin] if origin and not isinstance(loaded, dict) else filter(None, (origin, str(name)))
        tables[str(name)] = ArrowTable.of(dataset, "/".join(parts))
    return tables


@contextlib.contextmanager
def _offline_if_unreachable() -> Iterator[None]:
    """Without a network, use only what is cached instead of waiting through many retries."""
    from datasets import config
    from huggingface_hub import constants

    host = urllib.parse.urlsplit(constants.ENDPOINT).hostname
    places: tuple[Any, ...] = (config, constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    try:
        if not urllib.request.getproxies():
            socket.getaddrinfo(host, 443)
    except OSError:
        for place in places:
            place.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for place, value in zip(places, before):
            place.HF_HUB_OFFLINE = value
