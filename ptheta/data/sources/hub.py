"""Data sets through Hugging Face `datasets`: folders and the Hub."""

from __future__ import annotations

import contextlib
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ptheta.data.formats import PICTURES, SOUNDS
from ptheta.data.sources.faults import one_line
from ptheta.data.sources.left_out import left_out
from ptheta.data.sources.tables import ArrowTable, ParquetTable, Source, Table
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


def open_saved(path: Path) -> Source:
    """Open a folder written by `Dataset.save_to_disk`."""
    from ptheta.data.sources.splits import named_splits

    with one_line(str(path), "save it again with save_to_disk"):
        import datasets

        tables = tables_of(datasets.load_from_disk(str(path)), path.name)
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


def open_dataset_folder(path: Path, files: Sequence[Path]) -> Source:
    """Open a folder with data files and perhaps a README.

    `datasets` finds the splits; Parquet files are then read where they lie, everything else through its cache.

    Args:
        path: of the folder.
        files: all in it; those that `datasets` passes over are reported.
    """
    from ptheta.data.sources.splits import named_splits

    with one_line(str(path), "check that it holds data files that `datasets` can load"):
        import datasets

        builder = datasets.load_dataset_builder(str(path))
        read = [Path(file).resolve() for group in (builder.config.data_files or {}).values() for file in group]
        if type(builder).__module__.endswith("packaged_modules.parquet.parquet"):
            tables: dict[str, Table] = {
                str(split): ParquetTable.of(
                    [Path(file) for file in files], f"{path.name}/{split}", builder.info.features
                )
                for split, files in (builder.config.data_files or {}).items()
            }
        else:
            tables = tables_of(datasets.load_dataset(str(path)), path.name)
    left_out(files, [file for file in files if file.resolve() in {*read}], "not among the data files of `datasets`")
    if (media := sum(file.suffix in (*PICTURES, *SOUNDS) for file in files)) > (n := sum(map(len, tables.values()))):
        remark(f"left out, without a row of their own in the metadata: {plural(media - n, 'file')} of {media:,}")
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


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
