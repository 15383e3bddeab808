"""Mutants of every kind of file that is read: each ends in an answer or in an error of ours, soon, in little memory.

    python tests/fuzz/fuzz.py                          20,000 mutants, under a minute
    python tests/fuzz/fuzz.py --mutants 1000000        more of them
    python tests/fuzz/fuzz.py --only parquet --seed 3
    python tests/fuzz/fuzz.py --one "json:755"         that mutant, with its traceback

A mutant is a function of seed, form and number. They are read in a child process, so that one that ends the process,
as a segmentation fault does, is named and the others go on.
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from readers import Reader, readers

from ptheta.errors import PthetaError

LONGEST = 10.0
"""Seconds of the processor that reading may take, however busy it is."""

STILL = 60.0
"""Seconds after which a process that does not go on is ended, whether it works or waits."""

BROKEN = 3
"""Exit status of a child in which the fuzzer itself failed."""

MOST = 2**30
"""Bytes that it may take."""


class Slow(KeyboardInterrupt):
    """It took too long; as an interrupt, since nothing may catch it."""


class Mutant(NamedTuple):
    """The number of a mutant among those of a form."""

    reader: int
    number: int


class Failure(NamedTuple):
    """What a mutant did, and how to see it again."""

    name: str
    what: str


def main(arguments: list[str] | None = None) -> int:
    """Read mutants, and print those that fail; returns 1 if any did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=20_000, help="how many (20000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (0)")
    parser.add_argument("--only", default="", help="forms whose name has this in it")
    parser.add_argument("--one", default="", help="FORM:NUMBER, read in this process")
    parser.add_argument("--keep", type=Path, help="folder for the mutants that failed")
    asked = parser.parse_args(arguments)
    clock = time.perf_counter()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        tempfile.tempdir = folder  # what is unpacked goes with it
        os.environ["HF_DATASETS_CACHE"] = f"{folder}/cache"
        place = Path(folder, "files")
        place.mkdir()
        known = readers(place)
        if asked.one:
            name, _, number = asked.one.rpartition(":")
            reader = next(reader for reader in known if reader.name == name)
            _write(reader, _content(reader, asked.seed, int(number)))
            reader.read(reader.path)
            return 0
        chosen = [reader for reader in known if asked.only in reader.name]
        mutants = _planned(chosen, asked.mutants)
        ready = time.perf_counter() - clock
        failures, seconds = _read_all(chosen, mutants, asked.seed)
        for failure in failures:
            print(f"{failure.name}: {failure.what}")
            if asked.keep:
                name, _, number = failure.name.rpartition(":")
                reader = next(reader for reader in chosen if reader.name == name)
                asked.keep.mkdir(exist_ok=True)
                kept = asked.keep / f"{name.replace('/', '-').replace(' ', '_')}-{number}-{reader.path.name}"
                kept.write_bytes(_content(reader, asked.seed, int(number)))
    slowest = sorted(zip(seconds, (reader.name for reader in chosen)), reverse=True)[:5]
    total = time.perf_counter() - clock
    print(
        f"{len(mutants):,} mutants of {len(chosen)} forms in {total:.0f} s ({ready:.0f} s to prepare):"
        f" {len(failures)} failed; most time: {', '.join(f'{name} {s:.1f} s' for s, name in slowest)}"
    )
    return int(bool(failures))


def _planned(chosen: list[Reader], n: int) -> list[Mutant]:
    """How many mutants of each form, by its share."""
    shares = np.array([reader.share for reader in chosen])
    counts = np.maximum(1, np.floor(shares / shares.sum() * n).astype(int))
    counts[int(np.argmax(counts))] += max(0, n - int(counts.sum()))
    return [Mutant(i, k) for i, count in enumerate(counts) for k in range(count)]


def _content(reader: Reader, seed: int, number: int) -> bytes:
    random = np.random.default_rng([seed, zlib.crc32(reader.name.encode()), number])
    return reader.mutate(reader.content, random)


def _write(reader: Reader, content: bytes) -> None:
    reader.path.write_bytes(content)


def _read_all(chosen: list[Reader], mutants: list[Mutant], seed: int) -> tuple[list[Failure], list[float]]:
    """Read them in children, each from where the last one died."""
    state = mmap.mmap(-1, 16 + 8 * len(chosen))  # shared: the mutant at hand, since when; seconds of each form
    failures: list[Failure] = []
    start = 0
    with tempfile.TemporaryFile("w+") as report:
        while start < len(mutants):
            child = os.fork()
            if child == 0:
                try:
                    _child(chosen, mutants, start, seed, state, report)
                except BaseException as error:  # of the fuzzer itself; the parent cleans up, and not this process
                    report.write(f"the fuzzer\t{traceback.format_exception(error)!r}\n")
                    report.flush()
                finally:
                    os._exit(BROKEN)
            status = _watched(child, state)
            at = struct.unpack_from("q", state)[0]
            if status != 0:
                what = "it hangs" if status == signal.SIGKILL else f"it ends the process (status {status})"
                failures.append(Failure(_name(chosen, mutants[at]), what))
            start = at + 1 if status != BROKEN else len(mutants)
            _restore(chosen)
        report.seek(0)
        for line in report:
            name, _, what = line.rstrip("\n").partition("\t")
            failures.append(Failure(name, what))
    return failures, list(struct.unpack_from(f"{len(chosen)}d", state, 16))


def _name(chosen: list[Reader], mutant: Mutant) -> str:
    return f"{chosen[mutant.reader].name}:{mutant.number}"


def _watched(child: int, state: mmap.mmap) -> int:
    """How a child ended: 0, a signal, or an exit status; one that stands still is killed."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) and abs(os.waitstatus_to_exitcode(status))
        since = struct.unpack_from("d", state, 8)[0]
        if since and time.monotonic() - since > STILL:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def _child(chosen: list[Reader], mutants: list[Mutant], start: int, seed: int, state: mmap.mmap, report: Any) -> None:
    """Read mutants until the last one, or until memory has grown too much."""
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    faulthandler.disable()
    warnings.simplefilter("ignore")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (virtual + 4 * MOST,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def slow(*_: Any) -> None:
        raise Slow

    signal.signal(signal.SIGPROF, slow)
    for index in range(start, len(mutants)):
        mutant = mutants[index]
        reader = chosen[mutant.reader]
        content = _content(reader, seed, mutant.number)
        _write(reader, content)
        clock = time.monotonic()
        struct.pack_into("qd", state, 0, index, clock)
        what = ""
        try:
            signal.setitimer(signal.ITIMER_PROF, LONGEST)
            reader.read(reader.path)
        except PthetaError:
            pass
        except Slow:
            what = f"it took more than {LONGEST:.0f} s"
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]} ({last.filename}:{last.lineno})"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        _write(reader, reader.content) if reader.content else reader.path.unlink(missing_ok=True)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - used
        if grown > MOST:
            what = what or f"it took {grown / 2**20:,.0f} MiB"
        if what:
            report.write(f"{_name(chosen, mutant)}\t{what}\n")
            report.flush()
        offset = 16 + 8 * mutant.reader
        seconds = struct.unpack_from("d", state, offset)[0] + time.monotonic() - clock
        struct.pack_into("d", state, offset, seconds)
        if grown > MOST:
            break  # the most that a process ever took cannot be forgotten
    os._exit(0)


def _restore(chosen: list[Reader]) -> None:
    """The originals, where a child died over a mutant."""
    for reader in chosen:
        if reader.content:
            _write(reader, reader.content)
        else:
            reader.path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
