"""What the exhibit of a kind of data answers, and how events are shown that are nothing but numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from ptheta.anomalies import Scores
from ptheta.data import Split
from ptheta.data.codecs import ArrayCodec, Codec
from ptheta.errors import SourceError, UsageError
from ptheta.evaluation.results import KEYS, Score
from ptheta.evaluation.samples import features
from ptheta.files import replacing_folder, write_bytes
from ptheta.models import Density
from ptheta.reporting.exhibits.given import Given
from ptheta.reporting.exhibits.ranking import Ranking
from ptheta.reporting.exhibits.rows import as_lines, as_table
from ptheta.reporting.markup import Html, joined
from ptheta.reporting.pictures import save_picture
from ptheta.runs import Run

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image as Picture

CodecT = TypeVar("CodecT", bound=Codec)

SHOWN = 1024
"""Events in a grid, at most."""

SOME = 3
"""Values that stand for a column in an example."""

ROWS = 40
"""Contexts in a grid beside the files of all events, at most."""

LISTED = 8
"""Rows of each kind in a report, at most."""


class Exhibit(Generic[CodecT]):
    """How events of a kind are shown and written.

    Every question has an answer here, by which numbers are shown as numbers and files are those that the codec writes;
    a kind answers those that it has a better answer to.

    Args:
        codec: of the events.
    """

    overview: ClassVar[int] = 64
    """Events in the overview of a run, about."""
    contexts: ClassVar[int] = 8
    """Contexts in the overview of a run, unless they are labels."""
    repeats: ClassVar[int] = 1
    """Events in the overview for each such context."""
    each: ClassVar[int] = 4
    """Events that `sample` draws for each context unless asked otherwise."""
    completion: ClassVar[Literal["values", "cells", "tokens", "texts"]] = "values"
    """What `complete` draws: the values that are not kept, the empty cells of a table, what follows a text whatever its
    length, or the rest of a whole text."""
    is_text: ClassVar[bool] = False
    """Whether an event is one whole text: it is printed, and as a context given as such."""
    names_dimensions: ClassVar[bool] = True
    """Whether a report names dimensions one by one."""
    gives_reasons: ClassVar[bool] = False
    """Whether `reasons` says which values make an event strange."""
    pages: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """What a run folder has instead of a picture: its name → a file, and what that is."""

    # as a context

    is_cell: ClassVar[bool] = False
    """Whether the codec's values are written into a cell of a table, and read again from there."""
    is_value: ClassVar[bool] = False
    """Whether a context is one plain value, of which many events are drawn."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Of the files of one event each; none if contexts are not given as files."""
    example: ClassVar[str] = "VALUE"
    """A context as a person might type it."""

    def __init__(self, codec: CodecT):
        self.codec = codec

    @classmethod
    def of(cls, codec: CodecT) -> Exhibit[CodecT]:
        """The exhibit of a codec of this kind: of this class, or of one that knows more of what the codec makes."""
        return cls(codec)

    @property
    def words(self) -> list[str]:
        """All there are, if they are names."""
        return []

    def some_values(self, name: str) -> list[str]:
        """Some values of a column, as a person writes them."""
        return self.words[:SOME]

    def remark(self, file: str | Path) -> str | None:
        """What reading a file does to its event that a person should know, in a sentence; None if nothing."""
        return None

    # scores

    def rates(self, score: Score, x: np.ndarray) -> dict[str, float]:
        """Further rates of the score of events x [n, *space.shape] by name; none if bits per dimension say it all."""
        return {}

    def spelled(self, results: Mapping[str, Any]) -> str:
        """A score in print, beside its nats: the rates among some results, or else bits per dimension."""
        key = next(key for key in KEYS.values() if key in results)
        return "≤ " * (key == KEYS[Density.LOWER_BOUND]) + self.codec.in_bits(results[key])

    def reasons(self, scores: Scores, events: Split, row: int) -> list[tuple[str, str, float]]:
        """What makes an event strange: name, value and excess in nats of dimensions, most surprising first."""
        return []

    def strangest(self, events: Split, scores: Scores, contexts: list[str] | None = None) -> Picture | None:
        """A picture of where the surprise of the strangest events is, from scores with pieces; None: there is none."""
        return None

    # samples

    def drawn(self, x: Tensor) -> list[Picture]:
        """Events x [n, *space.shape] as pictures large enough to look at; none if they are not looked at."""
        return []

    def sheet(self, x: Tensor, given: Given | None = None, *, most: int | None = None) -> Picture | None:
        """One picture of events x [n, *space.shape], those of a context together; None if they are not looked at.

        Args:
            x: events.
            given: their contexts, if there are any.
            most: contexts that are shown, the first ones; None: all.
        """
        return None

    def write(self, x: Tensor, directory: Path, given: Given | None) -> list[Path]:
        """Write events as files of the kind into a folder; if they are looked at, also one sheet of all, last.

        Args:
            x: events [n, *shape].
            directory: made if missing; or one file, by its ending.
            given: contexts of the events, if there are any.

        Raises:
            UsageError: the events cannot be one file of that ending.
        """
        if directory.suffix and not directory.is_dir():
            return [self.write_one(x, directory, given)]
        with replacing_folder(directory) as temporary:
            files = self.codec.write(x, temporary, "sample", None if given is None else given.names)
            sheet = self.sheet(x[:SHOWN], given, most=ROWS)
            if sheet is not None:
                files.append(save_picture(sheet, temporary / f"{'samples' if given is None else 'contexts'}.png"))
        return [directory / file.relative_to(temporary) for file in files]

    def write_one(self, x: Tensor, path: Path, given: Given | None) -> Path:
        """Write events as one file: a sheet, or what the codec writes, if that is one file of the path's ending."""
        sheet = self.sheet(x[:SHOWN], given) if path.suffix.lower() == ".png" else None
        if sheet is not None:
            return save_picture(sheet, path)
        with tempfile.TemporaryDirectory() as folder:
            files = self.codec.write(x, Path(folder), "sample", None if given is None else given.names)
            if path.suffix.lower() != files[0].suffix:
                kinds = ".png" if self.codec.is_picture else files[0].suffix
                raise UsageError(
                    f"these samples cannot be written as a {path.suffix} file", f"name a folder or a {kinds} file"
                )
            if len(files) > 1:
                raise UsageError(f"{len(x)} samples are {len(files)} files", "name a folder with --out")
            return write_bytes(path, files[0].read_bytes())

    def write_overview(self, x: Tensor, folder: Path, given: Given | None) -> list[Path]:
        """Write samples into a run folder."""
        return self.codec.write(x, folder, "samples", None if given is None else given.names)

    def extras(
        self, run: Run, x: Tensor | None, say: Callable[[str], None]
    ) -> dict[str, Callable[[float], list[Path]]]:
        """What else a fit leaves to look at in the run folder.

        Args:
            run: the run.
            x: its samples, if any could be drawn.
            say: is called with each line that a person should see.

        Returns:
            What it is → writes it in about as many seconds as it is given, and returns the files.
        """
        return {}

    # completions

    def read_mask(self, path: Path) -> Tensor:
        """A mask [*space.shape] from a picture: True where events are kept.

        Raises:
            PthetaError: these events have no such mask, or it is not a picture of their size.
        """
        raise SourceError(f"{path} is a mask for pictures, and the run models {self.codec.space}", "use --keep")

    def write_completions(
        self,
        x: Tensor,
        kept: Tensor,
        drawn: Tensor,
        directory: Path,
        names: list[str] | None = None,
        contexts: list[str] | None = None,
    ) -> list[Path]:
        """Write completions as files of the kind; if they are looked at, also `completions.png`, last.

        Args:
            x: events [b, *space.shape].
            kept: mask [*space.shape], True where events were kept.
            drawn: completions [b, n, *space.shape].
            directory: made if missing.
            names: of the events, written beside them if there are several.
            contexts: captions of their contexts, written beside them.
        """
        if contexts is not None:
            several = names if names and len(names) > 1 else None
            names = [f"{name}: {given}" for name, given in zip(several, contexts)] if several else contexts
        elif names and len(names) == 1:
            names = None
        with replacing_folder(directory) as temporary:
            files = self.codec.write(drawn.flatten(0, 1), temporary, "completion")
            sheet = self.completed(x, kept, drawn, names)
            if sheet is not None:
                files.append(save_picture(sheet, temporary / "completions.png"))
        return [directory / file.relative_to(temporary) for file in files]

    def completed(self, x: Tensor, kept: Tensor, drawn: Tensor, names: list[str] | None) -> Picture | None:
        """A picture of events, of what was kept of them and of their completions; None if they are not looked at.

        Args:
            x, kept, drawn: as in `write_completions`.
            names: written beside the events; None: nothing is.
        """
        return None

    def check_prompt(self, run: Run) -> None:
        """Check that events may begin with a prompt.

        Raises:
            UsageError: they may not.
        """
        raise UsageError(
            f"a prompt is the beginning of a text, and {run.path} models {run.model.space}",
            "leave out --prompt; `ptheta complete` continues a beginning of other kinds",
        )

    @property
    def columns(self) -> list[str]:
        """Names of the columns of an event, of which some may be given."""
        return []

    # a report

    def samples(self, several: Mapping[str, Tensor], rows: np.ndarray, given: Given | None) -> Html:
        """Events in a report.

        Args:
            several: title → events [n, *space.shape].
            rows: all of their numbers in the order in which they may be chosen.
            given: contexts of the events, which are the same ones for all titles.
        """
        chosen = torch.from_numpy(rows[:LISTED].copy())
        of = None if given is None else given[chosen]
        return joined(self.listed(title, x[chosen], of) for title, x in several.items())

    def listed(self, title: str, x: Tensor, given: Given | None) -> Html:
        """Events in a report as rows of values."""
        frame = self.frame(x)
        return as_lines(title, self.values(x)) if frame is None else as_table(title, frame, given)

    def frame(self, x: Tensor) -> pd.DataFrame | None:
        """Events as columns of the user's own values; None if they are not vectors of few values."""
        return None

    def features(self, several: list[Tensor]) -> list[np.ndarray]:
        """Events of several sets as vectors [n, d] of few numbers, made alike for all: what a classifier sees."""
        return features(ArrayCodec(list(several[0].shape[1:]), None, "float64"), several)

    def values(self, x: Tensor) -> np.ndarray:
        """The values of events by which they are listed, [n, k]."""
        return np.asarray(x).reshape(len(x), -1)

    def note(self, run: Run) -> str:
        """What a report says of the samples that it shows, beyond how they were drawn; begins with a space."""
        return ""

    def surprises(self, ranking: Ranking) -> list[Html]:
        """The most and least surprising events in a report."""
        return [ranking.as_table()]
