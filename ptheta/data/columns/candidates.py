"""Which columns could be a context, named where none is asked for."""

from __future__ import annotations

from ptheta.data.columns.choosing import Choice
from ptheta.data.finding.labels import MAX_NAMES
from ptheta.data.finding.looks import as_arrow, texts_among
from ptheta.data.kinds import KINDS
from ptheta.data.sources.tables import CHUNK, Column, Source

RICH = {"image": KINDS["picture"].what, "sound": KINDS["sound"].what}
"""Kind of column → what one would condition on."""

TARGETS = {"label", "labels", "class", "target", "y", "category", "outcome", "diagnosis"}
"""What the column that one would condition on is often called."""

CLASSES = 20
"""Classes that a last column has at most to be taken for such a one."""


def candidates(source: Source, choice: Choice) -> str:
    """A sentence on the columns that could be the context: texts, pictures, sounds, or few classes."""
    columns = {name: column for name, column in source.columns.items() if name not in choice.excluded}
    texts = texts_among(source, columns) - {n for n, c in columns.items() if c.kind == "document"}
    others = {n: "texts" if n in texts else RICH.get(c.kind) for n, c in columns.items() if n not in choice.event}
    rich = [(name, f"on {kind}") for name, kind in others.items() if kind]
    found = [(name, f"on {count}") for name, count in _classes(source, choice, columns, texts)] + rich
    if not found:
        return "context: none"
    listed = ", ".join(f"--context {name} would condition {on}" for name, on in found[:3])
    others = [name for name, _ in found[3:8]] + ["…"] * (len(found) > 8)
    rest = f", and {', '.join(others)} could be one too" if len(found) > 3 else ""
    return f"context: none; {listed}{rest}"


def _classes(source: Source, choice: Choice, columns: dict[str, Column], texts: set[str]) -> list[tuple[str, str]]:
    """Columns of few classes, and far fewer than rows, and how many: first those that are called as what is asked for,
    then a last column, where that usually is, then those of fewest classes."""
    table = next(iter(source.tables.values()))
    usable = {name for name, column in columns.items() if column.kind != "other"}
    whole_table = choice.kind is KINDS["table"] and set(choice.event) == usable
    counts = {name: len(c.names) for name, c in columns.items() if c.names and name not in choice.event}
    # In a table of whole numbers any column could be one: only strings are worth a word.
    kinds = ("string",) if whole_table else ("string", "int", "bool")
    names = [n for n, c in columns.items() if c.kind in kinds and (whole_table or n not in choice.event)]
    names = [name for name in names if name not in texts]
    values: dict[str, set] = {name: set() for name in names}
    seen = 0
    for chunk in table.chunks(names) if names else ():
        for name in names:
            values[name].update(as_arrow(chunk[name]).unique().to_pylist())
        seen += len(chunk[names[0]])
        if seen >= CHUNK:
            break
    counts |= {name: len(found) for name, found in values.items() if len(found) <= max(2, seen / 4)}
    least = "" if seen == len(table) or not seen else "at least "
    last = next(reversed(table.columns), None)
    ranked = sorted(
        (name for name, count in counts.items() if 2 <= count <= MAX_NAMES),
        key=lambda name: (name.lower() not in TARGETS, name != last or counts[name] > CLASSES, counts[name]),
    )
    return [(name, f"{'' if columns[name].names else least}{counts[name]:,} classes") for name in ranked]
