"""Tasks whose events are sounds: does a recogniser find the text in them?"""

from __future__ import annotations

import numpy as np

from ptheta.data.codecs import DocumentCodec, SoundCodec
from ptheta.data.codecs.waves import resampled
from ptheta.errors import RunError
from ptheta.judging.base import Case, Findings, Row
from ptheta.judging.overlap import also_learned_by
from ptheta.judging.texts import searched
from ptheta.metrics import character_error_rate, exact_match
from ptheta.runs import Run


def judge_spoken(case: Case) -> Findings:
    """How often a recogniser, p(text | sound), recognises the text that was asked for.

    Every sound is decoded to samples, analysed again and recognised. Rows: draws of the model; the same held against
    the texts of others; the real events, decoded and analysed again (what the codec loses); and the real events as they
    are (the recogniser's ceiling).
    """
    run, judge = case.run, case.how.judge
    found = Findings("→ sound: a recogniser recovers the requested text")
    if judge is None:
        found.notes.append("no recognition without --judge, a run that finds texts for these sounds")
        return found
    codec = check_recogniser(run, judge)
    assert isinstance(run.codec, SoundCodec)
    assert isinstance(judge.codec, DocumentCodec)
    asked = case.names()
    found.made = drawn = case.draw()
    n, k = drawn.shape[:2]
    recognised = recognise(judge, analysed(run.codec, codec, drawn.flatten(0, 1).numpy()), case.how.beams)
    every = [asked[i] for i in range(n) for _ in range(k)]
    others = case.others()
    found.rows["model"] = recognition(every, recognised, k)
    found.rows["shuffled texts"] = recognition([asked[others[i]] for i in range(n) for _ in range(k)], recognised, k)
    again = recognise(judge, analysed(run.codec, codec, case.events.x), case.how.beams)
    found.rows["real, through the codec"] = recognition(asked, again)
    if codec == run.codec:
        found.rows["real sounds"] = recognition(asked, recognise(judge, case.events.x, case.how.beams))
    found.notes.append(f"recogniser: {judge.path.name}, {case.how.beams} beams")
    found.notes += filter(None, [also_learned_by(judge, run, case.events)])
    found.examples = list(zip(every, every, recognised))
    return found


def check_recogniser(run: Run, judge: Run) -> SoundCodec:
    """The codec of the sounds that a recogniser reads.

    Raises:
        RunError: it is not p(text | sound).
    """
    if not isinstance(judge.codec, DocumentCodec) or not isinstance(judge.context_codec, SoundCodec):
        raise RunError(f"{judge.path} is not a recogniser for {run.path}", "fit one with --event TEXT --context SOUND")
    return judge.context_codec


def analysed(codec: SoundCodec, other: SoundCodec, x: np.ndarray) -> np.ndarray:
    """Events [n, …] of one codec as those of another: decoded to samples and analysed, silent ones too."""
    return np.stack([other.event(resampled(sound, codec.rate, other.rate)) for sound in codec.decode(x)])


def recognise(judge: Run, contexts: np.ndarray, beams: int) -> list[str]:
    """The most probable text of each sound."""
    return searched(judge, contexts.astype(np.int64), beams)


def recognition(asked: list[str], recognised: list[str], together: int = 1) -> Row:
    """Share of texts that are recognised exactly, and character errors; `together` in a row are of one context."""
    asked, recognised = ([" ".join(text.casefold().split()) for text in texts] for texts in (asked, recognised))
    return {
        "recognised": exact_match(asked, recognised, together),
        "CER": character_error_rate(asked, recognised, together),
    }
