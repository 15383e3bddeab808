"""What commands print with --json: one object on one line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from ptheta.terminal import encodable, visible


def wants_json(args: list[str]) -> bool:
    """Whether --json is among the arguments."""
    return "--json" in args


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line; infinities become null, which JSON has, and control characters are escaped."""
    print(json_line(plain(value)))


def json_line(value: Any) -> str:
    """JSON that every encoding has, and that commands no terminal.

    >>> json_line({"a": "é\x9b"})
    '{"a": "é\\\\u009b"}'
    """
    whole = encodable(text := json.dumps(value, ensure_ascii=False), getattr(sys.stdout, "encoding", None) or "utf-8")
    text = text if whole == text else json.dumps(value)
    return "".join(one if visible(one) == one else f"\\u{ord(one):04x}" for one in text)


def plain(value: Any) -> Any:
    """A value with what JSON lacks replaced: paths by text, infinities by null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
