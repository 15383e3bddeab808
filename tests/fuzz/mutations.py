"""What befalls a file: flipped bits, cuts, repetitions, swapped pieces, and numbers that claim far too much."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator

HUGE = [
    b"\xff" * 4, b"\xff" * 8, b"\x00" * 4, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80",
    b"\xff" * 7 + b"\x7f", b"\x7f" + b"\xff" * 7, b"\x00\x00\x00\x10", b"\x10\x00\x00\x00", b"\x01\x00\x00\x00",
]  # fmt: skip
"""Numbers as headers have them, in either order of bytes."""

WORDS = [
    b"9" * 4_300, b"9" * 23, b"1000000000000", b"-1", b"0", b"1e400", b"-1e-320", b"NaN", b"Infinity", b"null", b"true",
    b"[]", b"{}", b'""', b"[" * 3_000, b'{"a":' * 3_000, b'"', b",", b";", b"\t", b"\n", b"\r", b"\0", b"\xff\xfe",
    b"\xef\xbb\xbf", b"\x1b[2J", b"/dev/zero", b"../../../etc/passwd", b"[/b]", b"\xed\xa0\x80", b"\\ud800", b"," * 500,
]  # fmt: skip
"""Words that mean something to a parser of text."""


def mutated(content: bytes, random: Random) -> bytes:
    """One to three mutations after each other."""
    data = bytearray(content)
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        data = bytearray(MUTATIONS[int(random.integers(len(MUTATIONS)))](data, random))
    return bytes(data)


def _flip(data: bytearray, random: Random) -> bytearray:
    for _ in range(int(random.choice([1, 1, 2, 8, 64]))):
        if data:
            data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    return data


def _flip_early(data: bytearray, random: Random) -> bytearray:
    """Headers come first."""
    if data:
        data[int(random.integers(min(len(data), 96)))] = int(random.integers(256))
    return data


def _cut(data: bytearray, random: Random) -> bytearray:
    return data[: int(random.integers(len(data) + 1))]


def _extend(data: bytearray, random: Random) -> bytearray:
    return data + (
        data[: int(random.integers(200))] if random.random() < 0.5 else random.bytes(int(random.integers(64)))
    )


def _piece(data: bytearray, random: Random) -> tuple[int, int]:
    start = int(random.integers(len(data) + 1))
    return start, min(len(data), start + int(random.choice([1, 2, 4, 8, 32, 128, 512])))


def _duplicate(data: bytearray, random: Random) -> bytearray:
    start, stop = _piece(data, random)
    return data[:stop] + data[start:stop] * int(random.choice([1, 1, 2, 30])) + data[stop:]


def _delete(data: bytearray, random: Random) -> bytearray:
    start, stop = _piece(data, random)
    return data[:start] + data[stop:]


def _clear(data: bytearray, random: Random) -> bytearray:
    start, stop = _piece(data, random)
    data[start:stop] = bytes([int(random.choice([0, 255]))]) * (stop - start)
    return data


def _swap(data: bytearray, random: Random) -> bytearray:
    a, b, c = sorted(int(k) for k in random.integers(len(data) + 1, size=3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _huge(data: bytearray, random: Random) -> bytearray:
    number = HUGE[int(random.integers(len(HUGE)))]
    near = min(len(data), int(random.choice([32, 256, 1 << 30])))
    start = int(random.integers(near + 1))
    start = len(data) - start if random.random() < 0.3 else start  # what ends a file often describes it
    data[start : start + len(number)] = number
    return data


def _word(data: bytearray, random: Random) -> bytearray:
    """A number or a word of a text becomes another, or one is put in."""
    word = WORDS[int(random.integers(len(WORDS)))]
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?|\w+|\"[^\"]{0,40}\"", bytes(data[:20_000])))
    if found and random.random() < 0.7:
        start, stop = found[int(random.integers(len(found)))].span()
    else:
        start = stop = int(random.integers(len(data) + 1))
    data[start:stop] = word
    return data


MUTATIONS: list[Callable[[bytearray, Random], bytes | bytearray]] = [
    _flip, _flip, _flip_early, _cut, _extend, _duplicate, _delete, _clear, _swap, _huge, _huge, _word, _word,
]  # fmt: skip

VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**24, 10**6, 2**63, 10**23, 1.5, 1e308, -0.5, "", "x", "9" * 40, "/dev/zero", [], {}, [[]],
    [-1], [10**6, 10**6], {"kind": "image"}, "pixelcnn", "transformer", [1] * 500,
]  # fmt: skip
"""What takes the place of a value in JSON."""


def mutated_json(value: Any, random: Random) -> Any:
    """A copy of a JSON value in which one value, name or row is another."""
    value = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                visit(node[key])

    visit(value)
    node, key = places[int(random.integers(len(places)))]
    action = random.random()
    if action < 0.1:
        del node[key]
    elif action < 0.2 and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
    elif action < 0.3:
        other, place = places[int(random.integers(len(places)))]
        node[key] = json.loads(json.dumps(other[place])) if len(json.dumps(other[place])) < 10_000 else None
    elif action < 0.5 and isinstance(node[key], int | float):
        node[key] = node[key] * int(random.choice([-1, 0, 2, 10**6])) + int(random.choice([0, 1, -1]))
    else:
        node[key] = VALUES[int(random.integers(len(VALUES)))]
    return value
