"""What a person sees while a model learns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from ptheta import terminal
from ptheta.data import Data
from ptheta.errors import UsageError
from ptheta.evaluation.results import Score
from ptheta.models import Density
from ptheta.numbers import count, plural
from ptheta.reporting.card import free_energy_text, scored_events
from ptheta.reporting.contexts import run_words
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.waiting import QUIET, waiting
from ptheta.runs import Run
from ptheta.training import Budget, Timetable, Verdict
from ptheta.training.state import Position
from ptheta.wording import worded

PATIENCE = 2.0
"""Seconds after which anything shows a progress bar."""

LINES = 8
"""Validations that are lines where there is no terminal, beside the first one, about."""

FORESEEN = 0.1
"""Part of the budget after which the number of steps is foreseen, if enough of them were timed."""

LATEST = 0.5
"""Part of it after which few timed steps are enough."""

WARM = 3
"""First steps of a process, which take longer than all others: nothing is foreseen from them."""

TIMED = 5
"""Steps after those whose median time is that of all that are to come."""


@contextmanager
def track(what: str, total: int, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """How far work on `total` events is, with rate and time left: on a terminal a bar, if it takes longer than two
    seconds; elsewhere some lines, if it takes longer than ten, also while nothing is done yet."""
    clock = time.perf_counter()
    console = console or terminal.console()
    columns = _plain("{task.description}"), BarColumn(), _plain("{task.fields[state]}")
    shown = console.is_terminal
    unseen = nullcontext() if shown else waiting(what, console)
    with (
        unseen,
        Progress(*columns, console=console, transient=True, refresh_per_second=4, disable=not shown) as bar,
    ):
        task = bar.add_task(what, total=total, state="", visible=False)
        done, milestone = 0, 0.0

        def advance(n: int) -> None:
            nonlocal done, milestone
            done += n
            seconds = time.perf_counter() - clock
            state = f"{done:,} of {total:,}, {done / seconds:,.0f}/s, {_time((total - done) * seconds / done)} left"
            bar.update(task, completed=done, state=state, visible=seconds > PATIENCE)
            if not shown and seconds > QUIET and milestone <= done / max(total, 1) < 1:
                console.print(f"{what}: {state}", soft_wrap=True)
                milestone = done / total + 1 / LINES

        yield advance


def _plain(text: str) -> TextColumn:
    """A column of a bar in which text is not markup."""
    return TextColumn(text, markup=False)


class FitProgress:
    """Reports the progress of a fit: nats, bits per dimension, rate, time left.

    Args:
        run: of the fit; every validation is written to its metrics.
        data: fitted.
        budget: of the fit; None for models that count.
        console: to show it on.
        is_main: whether this process writes and reports at all (rank 0).
        track: also write TensorBoard scalars.

    Attributes:
        timetable: of the command, if it is known.
        advise: number of steps → what would give more, in a sentence; None if they are enough.
        steps: done so far.
    """

    def __init__(
        self, run: Run, data: Data, budget: Budget | None, *, console: Console, is_main: bool, track: bool = False
    ):
        self.run, self.data, self.budget, self.is_main = run, data, budget, is_main
        self.console = console
        self.timetable: Timetable | None = None
        self.advise: Callable[[int], str | None] = lambda steps: None
        self.steps, self.member, self.advised = 0, 0, False
        self.milestone = 0.0  # progress from which the next validation is a line, where there is no bar
        self.line: str | None = None
        self.ends: list[float] = []  # when the first steps of this process ended, seconds
        columns = _plain("{task.description}"), BarColumn(bar_width=24), _plain("{task.fields[state]}")
        self.live = self.console.is_terminal
        self.bar = Progress(*columns, console=self.console, transient=True, refresh_per_second=4, disable=not self.live)
        self.task = self.bar.add_task("fitting", total=1.0, state="")
        self.verdict: Verdict | None = None
        self.clock, self.counted_events = 0.0, 0
        self.first: tuple[int, float] | None = None  # step and time at which this process began
        self.scalars = _Scalars(run) if track and is_main else None

    def __enter__(self) -> FitProgress:
        model = self.run.model
        given = f" given {model.context_space}" if model.context_space else ""
        about = f" over {model.space}{given}, {count(model.free_parameters)} parameters"
        self.say(Text.assemble((self.run.name, "bold"), about))
        budget = "" if self.budget is None else f" for {self.budget}{self._shares()}"
        what = f"{plural(len(self.data.train), 'event')}" if self.run.has_data else f"to the {self.data.source}"
        self.say(f"fitting {what}{budget}; the run is {self.run.path}")
        self.clock = time.perf_counter()
        self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()
        if self.scalars:
            self.scalars.close()

    def say(self, line: str | Text) -> None:
        """One line on the terminal."""
        self.console.print(worded(line) if isinstance(line, str) else line, soft_wrap=True)

    def during(self, what: str) -> AbstractContextManager[None]:
        """Within, it is shown what is being done, if that takes long."""
        return waiting(what, self.console)

    def _shares(self) -> str:
        """How a budget in minutes is shared, in words; empty for any other."""
        times = self.timetable
        if times is None or times.whole is None:
            return ""
        return f" ({_time(times.passed)} have passed, at most {_time(times.reserve)} are kept for scores and pictures)"

    # Callbacks of the fit loop

    def record(self, values: dict[str, Any], verdict: Verdict | None) -> None:
        """A validation was done."""
        if not self.is_main:
            return
        self.run.log(values)
        self.verdict, self.steps = verdict, values["step"]
        if not self.live:
            average = next((f"train average {values[k]:.2f}" for k in values if k.startswith("train_")), "")
            judged = verdict.text if verdict else ""
            shown = filter(None, [average if self.run.has_data else "", judged])
            member = f"member {values['member']}, " if "member" in values else ""
            self.line = f"{member}step {values['step']:,}: {', '.join(shown)}"
        if self.scalars:
            self.scalars.add(values)

    def advance(self, progress: float, position: Position) -> None:
        """A step was done."""
        self.steps = position.all_steps
        if position.member != self.member:
            self.member, self.milestone = position.member, 1.0
        if self.line is not None and (progress >= min(1.0, self.milestone) or position.all_steps == 1):
            self.say(self.line)
            self.milestone = progress + 1 / LINES
        self.line = None
        now = time.perf_counter()
        if not self.advised and not position.member:
            self.ends.append(now)
            self._foresee(progress, position)
        first_step, first_time = self.first = self.first or (position.all_steps - 1, self.clock)
        rate = (position.all_steps - first_step) / max(now - first_time, 1e-9)
        left = position.seconds * (1 / max(progress, 1e-9) - 1)
        member = f"member {position.member + 1}, " if position.member else ""
        parts = [
            f"{member}step {position.all_steps:,}",
            f"train average {position.mean:.2f}" if self.run.has_data else "",
        ]
        if self.verdict is not None:
            codec, value = self.data.codec, self.verdict.nats
            bound = "≤ " * (self.run.model.density is Density.LOWER_BOUND)
            bits = "" if value is None else f" ({bound}{codec.bits(value):.3f} {codec.bits_label})"
            parts.append(f"{self.verdict.text}{bits}")
        state = "  ".join([*filter(None, parts), f"{rate:.1f} steps/s", f"{_time(left)} left"])
        self.bar.update(self.task, completed=min(progress, 1.0), state=state)

    def _foresee(self, progress: float, position: Position) -> None:
        """Say that there will be few steps, once their pace is known; the median leaves validations out."""
        timed = [b - a for a, b in pairwise(self.ends[WARM - 1 :])]
        if not timed or progress < (FORESEEN if len(timed) >= TIMED else LATEST):
            return
        self.advised = True
        left = position.seconds * (1 / progress - 1)
        steps = position.step + round(left / max(median(timed), 1e-9))
        if line := self.advise(steps):
            self.say(f"about {plural(steps, 'step')} fit into {self.budget}: that is little; {line}")

    def counted(self, n: int) -> None:
        """`n` more events were counted."""
        self.counted_events += n
        rate = self.counted_events / max(time.perf_counter() - self.clock, 1e-9)
        done = self.counted_events / len(self.data.train)
        self.bar.update(self.task, completed=done, state=f"{self.counted_events:,} events, {rate:,.0f}/s")

    @contextmanager
    def scoring(self, n: int) -> Iterator[Callable[[int], None]]:
        """A bar while n test events are scored."""
        with track("scoring", n, self.console) as advance:
            yield advance

    def note(self, text: str) -> None:
        """Something was decided; it is kept among the run's notes."""
        if self.is_main:
            self.say(text)
            self.run.log({"step": self.steps, "notes": [text]})

    def stopping(self) -> None:
        """Ctrl-C was pressed."""
        self.say("stopping as soon as this step is saved; press Ctrl-C again to stop at once")

    def interrupted(self) -> None:
        """Ctrl-C: what is learned is kept."""
        if self.run.is_pending:
            self.say(f"stopped before there were weights; the run in {self.run.path} is unchanged")
            return
        kept = "the weights so far are in" if (self.run.path / "model.safetensors").exists() else "no weights yet in"
        self.say(f"stopped; {kept} {self.run.path}")
        self.say(f"resume with: ptheta fit --resume --out {run_words(self.run)}")

    def finished(self, results: dict[str, Any]) -> None:
        """The final score."""
        if "free_energy" in results:
            self.say(f"{free_energy_text(results)}, in {_time(results['seconds'])}")
            return
        score = Score.from_json(results, self.run.model.space.dimensions)
        if score.density is not Density.IMPLICIT:
            value = (str(score), "bold"), f" nats, {exhibit_of(self.data.codec).spelled(results)}"
        else:
            distance = f"{results.get('energy_distance', math.nan):.4f}"
            value = "energy distance ", (distance, "bold"), ", no density,"
        steps = f" and {plural(results['steps'], 'step')}" if "steps" in results else ""
        steps += f" of {plural(results['members'], 'member')}" if "members" in results else ""
        rest = f" on {scored_events(results)}, in {_time(results['seconds'])}{steps}"
        self.say(Text.assemble(f"{results['split']} ", *value, rest))
        for note in results.get("notes", []):
            self.say(note)
        if "nats_random_orders" in results:
            self.say(f"in random orders {results['nats_random_orders']:.2f} nats")
        if zero := results.get("zero_probability"):
            self.say(f"{plural(zero, 'event')} of them have probability 0")

    def remarks(self) -> None:
        """What is not as it should be in the run folder."""
        for remark in self.run.remarks:
            self.say(remark)


def _time(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class _Scalars:
    """TensorBoard scalars in the run folder; nothing is written while another run lies there.

    Args:
        run: of the fit.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, run: Run):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                "TensorBoard is not installed", "install it with pip install 'ptheta[track]', or leave out --track"
            ) from error
        self._run, self._open, self._writer = run, SummaryWriter, None
        self._waiting: list[dict[str, Any]] = []

    def add(self, values: dict[str, Any]) -> None:
        """The numbers of a validation."""
        self._waiting.append(values)
        if self._run.is_pending:
            return
        self._writer = self._writer or self._open(str(self._run.path / "tensorboard"))
        for values in self._waiting:
            for name, value in values.items():
                if isinstance(value, float) and name != "seconds":
                    self._writer.add_scalar(name, value, values["step"])
        self._waiting.clear()

    def close(self) -> None:
        """Write what is left."""
        if self._waiting and not self._run.is_pending:
            self.add({})
        if self._writer:
            self._writer.close()
