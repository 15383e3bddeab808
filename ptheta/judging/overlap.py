"""Who was trained on the events that are judged: the run, or another one that it is compared with or judged by."""

from __future__ import annotations

import hashlib

import numpy as np

from ptheta.data import Split
from ptheta.errors import PthetaError
from ptheta.numbers import plural
from ptheta.runs import Run

DIVIDED_BY = ("source", "seed", "validation", "limit")
"""What a request says of which rows are train."""


def learned_by(run: Run, events: Split) -> str | None:
    """How many events, and with their contexts, are among those that a run was trained on; None if there are none.

    Args:
        run: with its data at hand.
        events: of another source, or divided otherwise than the run's own.
    """
    try:
        train = run.own_data.train
    except PthetaError as error:
        return f"{run.path} may have been trained on the events judged: {error.problem}"
    if train.greys is not None and events.greys is not None:
        known, asked = train.greys, events.greys
    else:
        known, asked = train.x, events.x
    found = int(among(_digests(asked), _digests(known)).sum())
    if not found:
        return None
    line = f"{_counted(found, events)} among those that {run.path} was trained on"
    if train.context is None or events.context is None:
        return line
    pairs = int(among(_digests(asked, events.context), _digests(known, train.context)).sum())
    return f"{line}, {pairs:,} of them with the same context"


def also_learned_by(other: Run, run: Run, events: Split) -> str | None:
    """What another run may know of the events on which a run is judged; None if both were trained on the same rows.

    Args:
        other: whose events, or whose contexts, are events of the run.
        run: that is judged.
        events: it is judged on.
    """
    if divided_alike(run, other):
        return None
    may = f"{other.path} may have been trained on the events judged"
    in_context = other.context_codec is not None
    if run.codec != (other.context_codec if in_context else other.codec):
        return f"{may}: its data differ in {_differing(run, other)}"
    try:
        train = other.own_data.train
    except PthetaError as error:
        return f"{may}: {error.problem}"
    known = train.context if in_context else train.x
    assert known is not None
    found = int(among(_digests(events.x), _digests(known)).sum())
    if not found:
        return None
    return f"{_counted(found, events)} among those that {other.path} was trained on"


def _counted(found: int, events: Split) -> str:
    return f"{found:,} of the {plural(len(events), 'event')} judged {'is' if found == 1 else 'are'}"


def divided_alike(run: Run, other: Run) -> bool:
    """Whether two runs were trained on the same rows of one source, by what their configs say."""
    return not _differing(run, other)


def _differing(run: Run, other: Run) -> str:
    """What two runs' data differ in; values in memory are never known to be the same."""
    one, two = run.config["data"], other.config["data"]
    names = [name for name in DIVIDED_BY if one["request"].get(name) != two["request"].get(name)]
    if one["request"].get("source") is None and "source" not in names:
        names.insert(0, "source")
    return " and ".join(names) or ("" if one["splits"] == two["splits"] else "splits")


def among(rows: list[bytes], known: list[bytes]) -> np.ndarray:
    """Which rows are known, bool [n]."""
    every = set(known)
    return np.array([row in every for row in rows], bool)


def _digests(*columns: np.ndarray) -> list[bytes]:
    """A digest for each row of columns [n, …] side by side."""
    return [
        hashlib.blake2b(b"".join(np.ascontiguousarray(part).tobytes() for part in row), digest_size=16).digest()
        for row in zip(*columns)
    ]
