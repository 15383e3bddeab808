"""Errors of other libraries in one line."""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Iterator

from ptheta.errors import PthetaError, SourceError
from ptheta.listing import unreadable


@contextlib.contextmanager
def one_line(origin: str, remedy: str) -> Iterator[None]:
    """Run with the progress bars of `datasets` off, and turn its errors into one line."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    except PthetaError:
        raise
    except Exception as error:  # datasets, pyarrow, fsspec and the network raise dozens of kinds
        reason = error.__cause__ or error
        if isinstance(reason, PermissionError):
            raise unreadable(reason.filename or origin, reason) from error
        raise SourceError(f"cannot load {origin}: {_reason(reason)}", remedy) from error
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
        if shown:
            datasets.enable_progress_bars()


@contextlib.contextmanager
def reading(origin: str) -> Iterator[None]:
    """Turn errors of reading and parsing files into one line."""
    import pyarrow as pa

    try:
        yield
    except PthetaError:
        raise
    except MemoryError:
        raise SourceError(f"{origin} does not fit into memory", "give a --limit, or a smaller source") from None
    except PermissionError as error:
        raise unreadable(error.filename or origin, error) from None
    except (pa.ArrowException, OSError, ValueError, EOFError, zlib.error) as error:
        raise SourceError(f"cannot read {origin}: {_reason(error)}", "repair or replace it") from error


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
