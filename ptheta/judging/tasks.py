"""From the kinds of event and context to the metric of the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ptheta.data import Split
from ptheta.errors import ContextError, RunError
from ptheta.judging.base import Case, Findings, How, kind_of
from ptheta.judging.categories import is_category, judge_category
from ptheta.judging.nats import Nats, nats_of
from ptheta.judging.pictures import judge_described, judge_labelled, judge_restored
from ptheta.judging.sounds import judge_spoken
from ptheta.judging.texts import judge_texts
from ptheta.models import Density
from ptheta.runs import Run

TASKS: dict[tuple[str, str], Callable[[Case], Findings]] = {
    **{(kind, "text"): judge_texts for kind in ("text", "picture", "sound", "label", "other")},
    ("label", "picture"): judge_labelled,
    ("text", "picture"): judge_described,
    ("picture", "picture"): judge_restored,
    ("text", "sound"): judge_spoken,
    ("label", "sound"): judge_spoken,
}
"""Kinds of context and event → what judges them; of others only categories are judged by more than nats."""


@dataclass
class Judgement:
    """What is known of a run's answers to contexts.

    Attributes:
        nats: of p(x | y), and what y gains.
        findings: of the task's metric; None for kinds that have none.
    """

    nats: Nats
    findings: Findings | None

    @property
    def notes(self) -> list[str]:
        """Of both, in sentences."""
        return self.nats.notes + ([] if self.findings is None else self.findings.notes)


def judge(
    run: Run,
    events: Split,
    how: How | None = None,
    against: Run | None = None,
    advance: Callable[[int], None] | None = None,
) -> Judgement:
    """Judge a run with a context by nats, and by the metric of its task beside trivial baselines.

    Args:
        run: p(x | y), whose own data are at hand: baselines learn from them.
        events: with contexts.
        how: events are made and judged.
        against: a run of p(x), fitted to the same kind of events.
        advance: called with the number of events scored, for each density in turn.

    Raises:
        ContextError: the run or the events have no context.
        RunError: no events, or a run that cannot serve as what it was given for.
    """
    how = how or How()
    if run.model.context_space is None or events.context is None:
        raise ContextError(f"{run.path} has no context to be judged by", "use `ptheta score` for its nats")
    if len(events) < 2:
        raise RunError("there are fewer than 2 events to judge", "give more")
    nats = nats_of(run, events, against, how.seed, advance)
    task = TASKS.get((kind_of(run.context_codec), kind_of(run.codec)))
    if task is None and is_category(run.model.space):
        task = judge_category
    return Judgement(nats, None if task is None else task(Case(run, events, how)))


def densities(run: Run, against: Run | None) -> int:
    """How many densities `judge` scores the events with."""
    if run.model.density is not Density.EXACT:
        return 1
    return 2 + (against is not None) + (run.model.context_dropout > 0)
