"""Errors of other libraries in one line, and their progress bars off."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from ptheta.foreign import guarded


def reading(origin: str) -> contextlib.AbstractContextManager[None]:
    """Within, whatever is raised while a source is read becomes one line; see `ptheta.foreign`."""
    return guarded(origin)


@contextlib.contextmanager
def one_line(origin: str, remedy: str) -> Iterator[None]:
    """As `reading`, of data sets of Hugging Face, with the progress bars and loggers of `datasets` off."""
    with guarded(origin, remedy, problem="cannot load {origin}"), _quiet():
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
        if shown:
            datasets.enable_progress_bars()
