"""A run used with raw values: frames, dicts and lists of rows, texts, pictures and sounds in, the same kind out."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.configs import REFIT
from ptheta.data import Codec, ContextCodec, Split
from ptheta.data.codecs import DocumentCodec, FrameCodec, JointCodec, RowCodec, TextCodec
from ptheta.data.columns.contexts import known_conditions
from ptheta.data.holes import DRAWS, Holed, Unknown, opened, rows_of
from ptheta.data.reading import context_of, events_of_file
from ptheta.data.sources.tables import Source, Table
from ptheta.data.views import parts_of
from ptheta.errors import ContextError, PthetaError, RunError, UsageError, closest
from ptheta.evaluation.nats import elbos
from ptheta.evaluation.results import Score
from ptheta.foreign import guarded
from ptheta.imputing import filled, of_known
from ptheta.models import Autoregressive, Density, family
from ptheta.models.autoregressive.imputing import Imputing
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.raw_values import as_codec_takes, as_columns, texts_of, written
from ptheta.remarks import remark
from ptheta.stored_runs import StoredRun
from ptheta.typed import typed


class RawUse(StoredRun):
    """What a run does with raw values. They are

    - of a table a data frame of pandas, polars or Arrow, a dict of columns, or a list of dicts, one a row;
    - of anything else a list of texts, pictures (of PIL, or arrays) or sounds (arrays at the run's rate), an array of
      events, or the path of a file.

    Contexts are names, numbers, texts or rows, one for each value or one for all; of a table with the columns of the
    context they are read from it.
    """

    @property
    def name(self) -> str:
        """The zoo's name of the model's family, or `module:Class` of one's own."""
        return family(self.config["model"]["family"]).name

    @functools.cached_property
    def codec(self) -> Codec:
        """Raw value ↔ event, as it was in the fit."""
        return Codec.from_json(self.config["codec"])

    @functools.cached_property
    def context_codec(self) -> ContextCodec | None:
        """What a person gives ↔ context, as it was in the fit; None if there is no context."""
        if self.config["context_codec"] is None:
            return None
        codec = Codec.from_json(self.config["context_codec"])
        if not isinstance(codec, ContextCodec) or codec.space != self.model.context_space:
            raise RunError(f"the context codec of {self.path} does not fit its model", REFIT)
        return codec

    @typed
    def sample(self, n: int, context: Any = None, *, seed: int | None = None, **options: Any) -> Any:
        """Draw events as raw values: a data frame of pandas, or a list of texts, pictures or sounds, or an array.

        Args:
            n: how many.
            context: n of them, or one; of a table also a dict of columns and the value of each, given which the other
                cells are drawn, as with `ptheta sample --context NAME=VALUE`.
            seed: same seed, same machine → same values.
            options: of the family's `sample`: temperature, guidance …

        Raises:
            UsageError: no such column, value or option.

        >>> run.sample(3, context={"education": "Masters"}, seed=0)  # doctest: +SKIP
        """
        cells, context = self._cells(context)
        if isinstance(self.codec, FrameCodec) and (named := [name for name in options if name in self.codec.names]):
            raise UsageError(f"{named[0]!r} is a column", f"give context={{{named[0]!r}: {options[named[0]]!r}}}")
        return self.codec.decode(self.draw(n, cells, self._contexts(context, n), seed=seed, **options).cpu())

    def draw(
        self, n: int, cells: Mapping[str, str], rows: Tensor | None, *, seed: int | None = None, **options: Any
    ) -> Tensor:
        """Draw events, of a table given some of its cells.

        Args:
            n: how many.
            cells: column → value as a person writes it.
            rows: contexts, n or one; None without.
            seed, options: as of `sample`.

        Returns:
            Events [n, *space.shape].

        Raises:
            UsageError: no such column or value, or the family cannot be conditioned on cells.
        """
        if not cells:
            return self.model.sample(n, rows, seed=seed, **options)
        if not isinstance(self.codec, FrameCodec):
            raise UsageError(f"an event of {self.codec.space} has no columns", "leave out NAME=VALUE")
        if not isinstance(self.model, Autoregressive):
            raise UsageError(f"{self.name} cannot condition on cells", "fit an autoregressive model, see `ptheta zoo`")
        row, known = self.codec.cells(cells)
        x = torch.from_numpy(row)[None]
        x, kept = x if x.is_floating_point() else x.long(), torch.from_numpy(known)
        if rows is None:
            return self.model.complete(x, kept, n, None, seed=seed, **options).reshape(n, -1)
        return self.model.complete(x.expand(n, -1), kept, 1, rows, seed=seed, **options).reshape(n, -1)

    def _cells(self, context: Any) -> tuple[dict[str, str], Any]:
        """The cells of a table's columns that a dict gives, as a person writes them, and the context that remains."""
        if not isinstance(context, Mapping) or not isinstance(self.codec, FrameCodec):
            return {}, context
        given, own = {str(name): value for name, value in context.items()}, self.context_codec
        if own is None:
            parts, rest = [], {}
        else:
            parts = list(own.parts) if isinstance(own, JointCodec) else [getattr(own, "column", "context")]
            rest = {name: value for name, value in given.items() if name in parts or name not in self.codec.names}
        cells = {name: written(name, value) for name, value in given.items() if name not in rest}
        if rest and not isinstance(own, JointCodec) and [*rest] == parts:
            return cells, rest[parts[0]]
        return cells, rest or None

    def log_prob(self, values: Any, context: Any = None, *, unknown: Unknown = "error") -> np.ndarray:
        """log p(x | context) of raw values, nats [n] float64; of a model with only a bound, that bound from one draw.

        Args:
            values: see the class; of a table all cells are given.
            context: see the class.
            unknown: of a mixed table, what becomes of a category that no row of the fit had: `error`; or `missing`: the
                other cells of its row are scored, log p integrated over that cell, and how many there are is remarked.

        Raises:
            SourceError: a value that is none of the run's; its row and column are named.
            DensityError: the model has no density.
        """
        if isinstance(self.codec, TextCodec) and not isinstance(values, np.ndarray | Tensor):
            return self._of_texts(self.codec, texts_of(values), context)
        if unknown != "error":
            return self._of_known(values, context, unknown)
        x, rows = self._events(values, context)
        if self.model.density is Density.IMPLICIT:
            return self.model.elbo(x, rows).cpu().numpy()  # which says what to do instead
        contexts = None if rows is None else rows.expand(len(x), *rows.shape[1:]).cpu().numpy()
        return elbos(self.model, Split(x.cpu().numpy(), contexts)).numpy()

    def _of_known(self, values: Any, context: Any, unknown: Unknown) -> np.ndarray:
        """log p of the cells of rows whose categories are known."""
        if not isinstance(self.codec, RowCodec) or not isinstance(self.model, Imputing):
            raise UsageError(
                f"{self.path} cannot leave out cells", "fit `table` to mixed columns, or leave out unknown"
            )
        values = as_columns(values, self.codec.names)
        table = opened(values, self.codec)
        self._check_columns(self.codec, table)
        x, strange = rows_of(table, self.codec, self.codec.names, unknown, whole=True)
        rows = self._contexts(context, len(x), values)
        return of_known(self.model, x, strange, rows)

    def score(self, values: Any, context: Any = None, *, unknown: Unknown = "error") -> Score:
        """Mean −log p(x | context) of raw values with its standard error; arguments as of `log_prob`."""
        found = torch.from_numpy(self.log_prob(values, context, unknown=unknown))
        return Score.of(found, self.model.space.dimensions, self.model.density)

    @typed
    def impute(
        self,
        values: Any,
        n: int = 1,
        context: Any = None,
        *,
        best: bool = False,
        seed: int | None = 0,
        unknown: Unknown = "error",
    ) -> Any:
        """Fill the missing cells of a table, each given the other cells of its row; all else stays as it is.

        Args:
            values: a data frame of pandas, polars or Arrow, a dict of columns, or a list of dicts, one a row.
            n: draws; of more than one, a list of as many tables is returned.
            context: see the class.
            best: fill each cell with one best guess instead: of n draws (32 if n is 1) the most frequent category, the
                median of numbers.
            seed: of the draws; None: the system's entropy.
            unknown: what becomes of a category that no row of the fit had: `error`; or `missing`: the cell stays,
                nothing is conditioned on it, and how many there are is remarked.

        Returns:
            A table of the same type, columns and types as `values`.

        Raises:
            UsageError: the run is not of a table of mixed columns.
            SourceError: a cell that is none of its column's; row and column are named.
        """
        if n < 1:
            raise UsageError(f"n is {n}", "give at least 1")
        if not isinstance(self.codec, RowCodec) or not isinstance(self.model, Imputing):
            raise UsageError(f"{self.path} cannot fill in missing cells", "fit `table` to mixed columns")
        held = Holed(values, self.codec, unknown)
        rows = self._contexts(context, len(held.rows), values)
        if best:
            return held.filled(
                filled(self.model, self.codec, held.rows, DRAWS if n == 1 else n, rows, True, seed)[:, 0]
            )
        drawn = filled(self.model, self.codec, held.rows, n, rows, False, seed)
        tables = [held.filled(drawn[:, k]) for k in range(n)]
        return tables[0] if n == 1 else tables

    @typed
    def complete(
        self,
        values: Any,
        keep: Any = 0.5,
        n: int = 1,
        context: Any = None,
        *,
        tokens: int | None = None,
        seed: int | None = 0,
        **options: Any,
    ) -> list[Any]:
        """Draw the rest of partial values; the missing cells of a table are `impute`'s.

        Args:
            values: a list of texts, pictures or sounds, or an array of events.
            keep: fraction kept, from the beginning of the model's order (the top of a picture), or a mask, see
                `Autoregressive.complete`; a stream of text goes on from all of it.
            n: completions of each.
            context: see the class.
            tokens: of a stream of text, drawn after what is given, at most; None: as many as an event has.
            seed: of the draws; None: the system's entropy.
            options: of the family's `sample`: temperature, guidance …

        Returns:
            For every value a list of n, or an array [n, …] where events are arrays.

        Raises:
            UsageError: the family cannot complete, or the run is of a table.
        """
        if isinstance(self.codec, RowCodec):
            raise UsageError("of a table the missing cells are drawn", "use run.impute(frame)")
        model = self.model
        if not isinstance(model, Autoregressive):
            raise UsageError(f"{self.name} cannot complete", "use an autoregressive model, see `ptheta zoo`")
        if isinstance(self.codec, TextCodec) and isinstance(model, LanguageModel) and model.streams:
            return self._continued(self.codec, model, texts_of(values), n, context, tokens, seed, options)
        if tokens is not None:
            raise UsageError(f"{self.path} models events of a fixed size", "leave out tokens")
        x, rows = self._events(values, context)
        drawn = model.complete(x, keep, n, rows, seed=seed, **options).cpu()
        return [self.codec.decode(each) for each in drawn]

    def _continued(
        self,
        codec: TextCodec,
        model: LanguageModel,
        texts: list[Any],
        n: int,
        context: Any,
        tokens: int | None,
        seed: int | None,
        options: dict[str, Any],
    ) -> list[list[str]]:
        """Texts with what was written after each of them, n for each."""
        prompts = [codec.tokens(text, lambda _, i=i: f"text {i + 1}") for i, text in enumerate(texts) for _ in range(n)]
        rows = self._contexts(context, len(texts))
        rows = rows if rows is None or len(rows) == 1 else rows.repeat_interleave(n, 0)
        count = model.space.dimensions if tokens is None else tokens
        found = model.generate(prompts, count, rows, seed=seed, **options).tokens
        whole = [np.concatenate([prompt, drawn.cpu().numpy()]) for prompt, drawn in zip(prompts, found)]
        written = [codec.to_bytes(tokens[None])[0].decode("utf-8", "replace") for tokens in whole]
        return [written[start : start + n] for start in range(0, len(written), n)]

    def _of_texts(self, codec: TextCodec, texts: list[Any], context: Any) -> np.ndarray:
        """log p of texts of any length, each whole: with the end-of-document token, if there is one."""
        if not isinstance(self.model, Autoregressive):
            raise UsageError(
                f"{self.name} scores blocks of tokens only", "use run.model.log_prob, or fit a transformer"
            )
        end = [] if codec.end is None else [codec.end]
        rows = self._contexts(context, len(texts))
        tokens = [np.append(codec.tokens(t, lambda _, i=i: f"text {i + 1}"), end) for i, t in enumerate(texts)]
        with torch.no_grad():
            pieces = self.model.log_prob_per_token([each.astype(np.int64) for each in tokens], rows)
        return np.array([float(piece.double().sum()) for piece in pieces])

    def _events(self, values: Any, context: Any) -> tuple[Tensor, Tensor | None]:
        """Events of raw values, and their contexts."""
        if isinstance(values, str | Path) and not isinstance(self.codec, TextCodec | DocumentCodec):
            events = events_of_file(self.codec, values)
        elif isinstance(self.codec, FrameCodec):
            values = as_columns(values, self.codec.names)
            events = self._rows(self.codec, values)
        else:
            with guarded("the values", f"give events of {self.model.space}", problem="{origin} cannot be read"):
                events = self.codec.encode(as_codec_takes(values, self.codec), lambda row: f"value {row + 1}")
        x = torch.from_numpy(np.ascontiguousarray(events))
        x = self.model.space.validate(x if x.is_floating_point() else x.long())
        return x, self._contexts(context, len(x), values)

    def _rows(self, codec: FrameCodec, values: Any) -> np.ndarray:
        """Events of a table of which all cells are given."""
        table = opened(values, codec)
        parts, start = [np.empty((0, *codec.space.shape), codec.dtype)], 0
        self._check_columns(codec, table)
        for chunk in table.chunks(codec.names):

            def place(row: int, start: int = start) -> str:
                return f"row {start + row + 1:,}"

            columns = {name: codec.named(chunk[name], table.columns[name], place) for name in codec.names}
            parts.append(codec.encode(columns, place))
            start += len(chunk[codec.names[0]])
        return np.concatenate(parts)

    def _check_columns(self, codec: FrameCodec, table: Table) -> None:
        """Check that a table has all columns of the run.

        Raises:
            UsageError: it lacks one; what may be meant is named.
        """
        if lacking := [name for name in codec.names if name not in table.columns]:
            others = [name for name in table.columns if name not in codec.names]
            meant = closest(lacking[0], others)
            remedy = f"rename {meant!r}" if meant is not None else "give all columns that the run models"
            raise UsageError(f"the table has no column {lacking[0]!r}", remedy)

    def _contexts(self, context: Any, n: int, values: Any = None) -> Tensor | None:
        """Context rows, n or one; None without."""
        space, codec = self.model.context_space, self.context_codec
        if space is None or codec is None:
            if context is not None:
                raise ContextError(f"{self.path} has no context", "leave the context out")
            return None
        if context is None:
            return self._context_columns(codec, values)
        words = [context] if isinstance(context, str) else context
        if isinstance(words, list | tuple) and words and all(isinstance(word, str) for word in words):
            context = np.concatenate([context_of(codec, word) for word in words])
        rows = torch.as_tensor(context) if isinstance(context, np.ndarray) else context
        rows = space.validate(rows.long() if isinstance(rows, Tensor) and not rows.is_floating_point() else rows)
        if len(rows) not in (1, n):
            raise ContextError(f"{len(rows)} contexts are given for {n} values", "give as many, or one for all")
        if doubt := codec.doubt(rows.cpu().numpy()):
            remark(doubt)
        return rows

    def _context_columns(self, codec: ContextCodec, values: Any) -> Tensor | None:
        """The contexts in the columns of a table; None if it has none, which only models that know p(x) allow."""
        asked = self.config["data"]["request"].get("context")
        if values is not None and isinstance(self.codec, FrameCodec):
            table = opened(values, self.codec)
            source = Source("the table", "the table", {"all": table})
            try:
                parts = parts_of(asked, source)
            except PthetaError:
                parts = []
            if parts:
                masks = {"all": {"all": np.ones(len(table), bool)}}
                given = known_conditions(source, parts, codec, masks)
                found = [
                    given.encode(chunk, table, lambda row: f"row {row + 1:,}") for chunk in table.chunks(given.columns)
                ]
                rows = torch.from_numpy(np.concatenate(found)) if found else codec.space.null(0)
                return rows if rows.is_floating_point() else rows.long()
        if self.model.context_dropout:
            return None
        raise ContextError(f"{self.path} needs a context", f"give context=, or a table with the column {asked}")
