"""Small pictures, tables and texts."""

import numpy as np

QUOTED = '"green, dark"'
ALPHABET = np.array(list("the quick brown fox\n"))


def greys(seed, n=12, side=6, channels=()):
    """Pictures of a slope with noise, [n, side, side, *channels]."""
    g = np.random.default_rng(seed)
    slope = np.arange(side)[:, None] * 20 + np.arange(side)
    slope = slope.reshape(side, side, *(1 for _ in channels))
    return (slope + g.integers(0, 40, (n, side, side, *channels))).astype(np.uint8)


def rows(seed, n=150):
    """CSV of categories, whole numbers, cents and missing cells."""
    g = np.random.default_rng(seed)
    lines = ["colour,age,price,gap"]
    for _ in range(n):
        age = g.integers(18, 90)
        gap = "" if g.random() < 0.3 else str(g.integers(0, 5))
        price = f"{age + g.integers(0, 100) / 100:.2f}"
        lines.append(f"{g.choice(['red', 'blue', QUOTED])},{age},{price},{gap}")
    return "\n".join(lines) + "\n"


def text(seed, n):
    return "".join(np.random.default_rng(seed).choice(ALPHABET, n)).encode()
