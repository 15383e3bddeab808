"""`ptheta`: dispatch to a command; whatever goes wrong becomes one line and an exit status."""

from __future__ import annotations

import errno
import importlib
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ptheta.cli.arguments import fail, flagged
from ptheta.cli.clock import timed
from ptheta.cli.json_output import wants_json
from ptheta.cli.notes import printing_remarks
from ptheta.cli.places import holding
from ptheta.errors import PthetaError, Stopped, UsageError, nearest, stopping
from ptheta.foreign import TRACEBACK, out_of_memory
from ptheta.listing import following
from ptheta.terminal import discard, safe
from ptheta.wording import on_command_line

COMMANDS = {
    "fit": "learn a distribution from data",
    "sample": "draw from a fitted model",
    "score": "log-likelihood of data, per event and per dimension",
    "evaluate": "how well p(x | y) does its task: nats gained by the context, and the task's own metric",
    "classify": "p(y | x) by Bayes, beside a classifier trained on the same data",
    "complete": "fill in the rest of a partial event",
    "compress": "compress files losslessly, to the bits the model promises",
    "decompress": "restore compressed files, exactly",
    "compare": "fit several models to the same data, and rank them in nats",
    "divergence": "how far two fitted models are apart: KL both ways, Jensen–Shannon, total variation, χ²",
    "report": "a page about a run: curves, samples, calibration, surprise, columns, divergences",
    "zoo": "the families of models",
    "info": "what a run folder holds",
}

EPILOGUE = """\
  ptheta fit digits                              a first model in a minute
  ptheta fit photos/ transformer --size 32x32    a folder of pictures
  ptheta sample runs/digits-transformer -n 16
  ptheta COMMAND --help                          help for one command
  ptheta COMMAND … --allow-module NAME           import a module that a run's model is of
  ptheta COMMAND … --follow-paths                open files that data name, wherever they are
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; None: those of the process.

    Returns:
        exit status: 0, 1 for a fault of ptheta's own, 2 for an error of the user's, 130 after Ctrl-C, 143 after
        SIGTERM, 129 after SIGHUP.
    """
    args = sys.argv[1:] if argv is None else argv
    with safe(), timed(whole_process=argv is None), on_command_line():
        return _run(args)


def _run(args: list[str]) -> int:
    """A command's exit status."""
    try:
        with _signals():
            code = _dispatch(args)
            sys.stdout.flush()
        return code
    except KeyboardInterrupt as stop:
        print("ptheta: stopped", file=sys.stderr)
        return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)
    except BrokenPipeError:
        discard(sys.stdout)
        return 0
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of a library in Rust is no Exception
        if os.environ.get(TRACEBACK):
            traceback.print_exception(error)
        known = _known(error)
        if known is not None:
            return fail(flagged(known, args), as_json=wants_json(args))
        command = shlex.join(["ptheta", *args])
        unexpected = PthetaError(
            f"internal error, {type(error).__name__}: {error}".removesuffix(": "),
            f"please report it with the traceback that this command shows: {TRACEBACK}=1 {command}",
        )
        fail(unexpected, as_json=wants_json(args))
        return 1


def _known(error: BaseException) -> PthetaError | None:
    """An error as one of the user's or the system's; None: it is a fault of ours."""
    if isinstance(error, PthetaError):
        return error
    if out_of_memory(error):
        return UsageError("out of memory", "choose a smaller model or --batch-size")
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        discard(sys.stdout)  # what waits to be written to it would fail again
    what = f"{error.filename or 'a file or the output'}: {error.strerror or error}"
    return UsageError(what, REMEDIES.get(error.errno, "check the path, or name another"))


REMEDIES = {
    errno.EACCES: "change its permissions, or name another",
    errno.EPERM: "change its permissions, or name another",
    errno.EROFS: "choose a writable place with --out",
    errno.ENOSPC: "free disk space, or choose another place with --out",
    errno.EDQUOT: "free disk space, or choose another place with --out",
    errno.EMFILE: "allow more open files with ulimit -n",
}
"""What the system refuses → what helps."""


@contextmanager
def _signals() -> Iterator[None]:
    """Within, the first signal that asks to stop is raised as an exception wherever the command is, and a second one
    ends the process at once. Learning has its own handlers, which finish a step first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in stopping()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


FOLLOW, LOADING = "--follow-paths", ("fit", "compare")
"""Allows data to name files elsewhere, in every command; an option of `load` in these."""

ALLOW = "--allow-module"


def allowing(args: list[str]) -> list[str]:
    """Arguments without --allow-module NAME, whose modules are imported: run folders may then name families of theirs.

    Raises:
        UsageError: the name is missing, or the module cannot be imported.
    """
    if not any(word.partition("=")[0] == ALLOW for word in args):
        return args
    from ptheta.cli.families import see_working_folder
    from ptheta.models.zoo import load_module

    rest, queue = [], list(args)
    while queue:
        word = queue.pop(0)
        flag, equals, name = word.partition("=")
        if flag != ALLOW:
            rest.append(word)
            continue
        name = name if equals else queue.pop(0) if queue else ""
        if not name:
            raise UsageError(f"{ALLOW} needs a value", "name a module")
        see_working_folder()
        load_module(name)
    return rest


def _dispatch(args: list[str]) -> int:
    if args and args[0] == "help":
        args = [*args[1:2], "--help"]
    if not args or args[0] in ("-h", "--help"):
        print(_help())
        return 0
    if args[0] in ("-V", "--version"):
        from ptheta import __version__

        print(f"ptheta {__version__}")
        return 0
    name, *rest = args = allowing(args)
    if name not in COMMANDS:
        raise UsageError(f"no command is called {name!r}", nearest(name, list(COMMANDS)))
    command = importlib.import_module(f"ptheta.cli.{name}")
    with holding(), printing_remarks(), ExitStack() as stack:
        if FOLLOW in rest and (name not in LOADING or "--resume" in rest):
            stack.enter_context(following())
            rest = [word for word in rest if word != FOLLOW]
        command.main(rest)
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    head = "Learn p(x) or p(x | y) from samples; then sample, score, complete, compare."
    return f"usage: ptheta COMMAND [ARGUMENTS]\n\n{head}\n\ncommands:\n" + "\n".join(lines) + f"\n\n{EPILOGUE}"


if __name__ == "__main__":
    sys.exit(main())
