"""Tasks whose events are pictures: is it what was asked for, and how near is it to the true one?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import Codec, DocumentCodec
from ptheta.data.views import PICTURE_VIEW
from ptheta.distributions.discretised import bin_log_mass, level_value
from ptheta.errors import RunError, UsageError
from ptheta.judging.base import Case, Findings, as_pixels, as_tensor, contexts_of
from ptheta.judging.classifiers import support_vectors
from ptheta.judging.neighbours import nearest_training
from ptheta.judging.overlap import also_learned_by
from ptheta.metrics import accuracy, mean, of_samples, psnr, ssim
from ptheta.runs import Run
from ptheta.spaces import Discrete

CANDIDATES = 10
"""Captions among which a judge finds the true one."""

CHOSEN_BY = 200
"""Validation pictures by which a scale is chosen, at most."""

SCALES = np.geomspace(0.003, 1.0, 24)
"""Scales of a logistic that are tried, in units of half the range of levels."""

MOST_DECIBELS = 99.0
"""What equal pictures count in a mean of PSNR."""

# Label → picture


def judge_labelled(case: Case) -> Findings:
    """Agreement of a classifier, trained on the real training pictures, with the labels asked for.

    Its accuracy on real pictures is the ceiling; samples held against shuffled labels are chance.
    """
    run = case.run
    classifier = support_vectors(case.train, run.model.space, run.codec, case.how.seed)
    drawn = case.draw()  # [n, k, …]
    n, k = drawn.shape[:2]
    asked = case.context.astype(np.int64)
    seen = classifier.predict(drawn.flatten(0, 1).numpy()).reshape(n, k)
    found = Findings("label → picture: a classifier recovers the requested label", made=drawn)
    found.notes.append(f"classifier: {classifier.name} trained on {classifier.rows:,} real pictures")
    found.rows = {
        "model": {"agreement": mean((seen == asked[:, None]).mean(1))},
        "shuffled labels": {"agreement": mean((seen == asked[case.others()][:, None]).mean(1))},
        "real pictures": {"agreement": accuracy(asked, classifier.predict(case.events.x))},
    }
    return found


# Text → picture


def judge_described(case: Case) -> Findings:
    """How often a judge, p(text | picture), finds the caption asked for among ten, and the nats of a neighbour.

    Rows: draws of the model; the same held against the captions of others; the training picture whose caption is
    nearest; and the real pictures, the judge's ceiling. Chance is one in ten.
    """
    run, how = case.run, case.how
    assert isinstance(run.context_codec, DocumentCodec)
    found = Findings("text → picture: a judge picks the requested caption among ten")
    nearest = nearest_training(run.context_codec, case.train, case.context, how.seed)
    assert nearest is not None
    if how.judge is None:
        found.notes.append("no agreement without --judge, a run that finds texts for these pictures")
    else:
        check_judge(run, how.judge)
        captions = run.context_codec.decode(case.context)
        choices = candidates(captions, how.seed)
        found.made = drawn = case.draw()
        others = case.others()
        pictures = {
            "model": drawn,
            "shuffled captions": drawn[others],
            "nearest neighbour": as_tensor(case.train.x[nearest])[:, None],
            "real pictures": case.events.events()[0][:, None],
        }
        found.rows = {name: {"agreement": mean(recognised(how.judge, x, choices))} for name, x in pictures.items()}
        found.notes.append(f"judge: {how.judge.path.name}; {len(choices[0])} captions, of which one is true")
        found.notes += filter(None, [also_learned_by(how.judge, run, case.events)])
    if not run.model.space.ordered:
        found.notes.append("no nats of the nearest neighbour: the colours of a palette have no order")
    elif case.validation is not None:
        nats, scale = neighbour_nats(case, nearest)
        found.rows.setdefault("nearest neighbour", {})["nats"] = mean(-nats)
        found.notes.append(
            f"nearest neighbour's nats: logistics around its pixels, scale {scale:.3g} of half the range"
        )
    return found


def candidates(captions: list[str], seed: int, count: int = CANDIDATES) -> list[list[str]]:
    """For each caption itself first, and then different other ones, drawn with a seed.

    Raises:
        UsageError: there are too few different captions.
    """
    different = sorted(set(captions))
    if len(different) < 2:
        raise UsageError("there is only one caption", "judge more events")
    count = min(count, len(different))
    g = np.random.default_rng(seed)
    found = []
    for caption in captions:
        drawn = [different[i] for i in g.permutation(len(different))[:count]]
        found.append([caption, *[other for other in drawn if other != caption][: count - 1]])
    return found


def recognised(judge: Run, x: Tensor, choices: list[list[str]]) -> np.ndarray:
    """Share of the events [n, k, …] for which the first of n lists of texts has the highest p(text | event), [n].

    Ties are lost.
    """
    assert isinstance(judge.codec, DocumentCodec)
    n, k, count = *x.shape[:2], len(choices[0])
    texts = as_tensor(judge.codec.encode([text for row in choices for text in row])).reshape(n, 1, count, -1)
    texts = texts.expand(n, k, count, -1).flatten(0, 2)
    pictures = x.flatten(0, 1)
    scores = []
    size = max(1, 256 // count)
    with torch.no_grad():
        for start in range(0, n * k, size):
            part = pictures[start : start + size]
            some = texts[start * count : (start + size) * count]
            scores.append(judge.model.log_prob(some, part.repeat_interleave(count, 0)).reshape(-1, count).cpu())
    found = torch.cat(scores)  # [n · k, count]
    best = (found[:, :1] > found[:, 1:]).all(1)
    return best.double().reshape(n, k).mean(1).numpy()


def check_judge(run: Run, judge: Run) -> None:
    """Whether a judge finds texts for the events of a run.

    Raises:
        RunError: it is not p(text | event), or of other events.
    """
    if not isinstance(judge.codec, DocumentCodec) or judge.context_codec is None:
        raise RunError(f"{judge.path} is not a judge of {run.path}", "fit one with --event TEXT --context EVENT")
    if judge.context_codec != run.codec:
        raise RunError(
            f"the context of {judge.path} is {judge.model.context_space}, encoded differently from the events of"
            f" {run.path}, {run.model.space}",
            "fit it to the same data with the same options",
        )


def neighbour_nats(case: Case, nearest: np.ndarray) -> tuple[np.ndarray, float]:
    """log p of events [n] by discretised logistics around their neighbours' values, and the scale.

    The one scale is that with the most likely validation events, in units of half the range of levels.
    """
    space, validation = case.run.model.space, case.validation
    assert isinstance(space, Discrete)
    assert validation is not None
    assert case.run.context_codec is not None
    some = validation.subset(CHOSEN_BY)
    known = nearest_training(case.run.context_codec, case.train, contexts_of(some), case.how.seed)
    assert known is not None
    scores = [around(some.x, case.train.x[known], scale, space.levels).mean() for scale in SCALES]
    best = float(SCALES[int(np.argmax(scores))])
    return around(case.events.x, case.train.x[nearest], best, space.levels), best


def around(x: np.ndarray, centres: np.ndarray, scale: float, levels: int) -> np.ndarray:
    """log p of level events [n, …] by logistics of one scale, each around the centre's level, nats [n] float64."""
    k, loc = torch.from_numpy(x.astype(np.int64)), level_value(torch.from_numpy(centres.astype(np.float64)), levels)
    log_scale = torch.tensor(scale, dtype=torch.float64).log()
    return bin_log_mass(k, loc, log_scale, levels).flatten(1).sum(1).numpy()


# Picture → picture


def judge_restored(case: Case) -> Findings:
    """PSNR and SSIM of one draw, of the best of k and of the mean of k, and whether draws keep what was given.

    Baselines: the given picture at the event's size and in its colours, by bicubic interpolation; and the training
    event of the nearest context. What is given is kept if the draw, reduced as contexts are, is the context again.
    """
    run, how = case.run, case.how
    assert run.context_codec is not None
    truth = as_pixels(run.codec, case.events.x)
    found = Findings("picture → picture: how near to the true one")
    found.made = drawn = case.draw()
    n, k = drawn.shape[:2]
    pixels = as_pixels(run.codec, drawn.flatten(0, 1)).reshape(n, k, *truth.shape[1:])
    found.rows = {"model, one draw": {}}
    for name, metric in (("PSNR", decibels), ("SSIM", ssim)):
        each = of_samples(metric, truth, pixels)
        found.rows["model, one draw"][name] = mean(each.one)
        if k > 1:
            found.rows.setdefault(f"model, best of {k}", {})[name] = mean(each.best)
            found.rows.setdefault(f"model, mean of {k}", {})[name] = mean(each.mean)
    others = {"given, enlarged": enlarged(run.context_codec, case.context, truth)}
    nearest = nearest_training(run.context_codec, case.train, case.context, how.seed)
    if nearest is not None:
        others["nearest neighbour"] = as_pixels(run.codec, case.train.x[nearest])
    others["shuffled draws"] = pixels[case.others(), 0]
    for name, some in others.items():
        found.rows[name] = {"PSNR": mean(decibels(truth, some)), "SSIM": mean(ssim(truth, some))}
    if not is_view(run):
        found.notes.append("contexts are not views of the events, so consistency with them is not measured")
        return found
    for name, x in (("model, one draw", drawn[:, 0]), ("real pictures", case.events.events()[0])):
        found.rows.setdefault(name, {})["given, kept (dB)"] = mean(
            constraint(run.codec, run.context_codec, x, case.context)
        )
    return found


def is_view(run: Run) -> bool:
    """Whether the context is the event's own column, reduced, by what the config says of the fit's data."""
    data = run.config["data"]
    contexts, events = (
        [asked] if isinstance(asked, str) else asked
        for asked in (data["request"].get("context"), data["request"].get("event"))
    )
    if contexts is None or len(contexts) != 1:
        return False
    pieces = contexts[0].split(":")
    while len(pieces) > 1 and PICTURE_VIEW.fullmatch(pieces[-1]):
        pieces.pop()
    column = ":".join(pieces)
    if column == contexts[0]:
        return False
    if events is None:  # it was inferred, which a note reports
        return f"event: {column}, {run.model.space}" in data["notes"]
    return list(events) == [column]


def enlarged(codec: Codec, contexts: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Contexts as 8-bit pictures of the size (bicubic) and colours (grey copied, or luma) of others."""
    from PIL import Image as pil

    height, width = truth.shape[1:3]
    mode = "RGB" if truth.ndim == 4 else "L"
    pictures = [picture.convert(mode) for picture in codec.pictures(contexts)]
    return np.stack([np.asarray(p.resize((width, height), pil.Resampling.BICUBIC)) for p in pictures])


def constraint(codec: Codec, context_codec: Codec, x: Tensor, contexts: np.ndarray) -> np.ndarray:
    """PSNR in dB of events, reduced as contexts are, to their contexts, [n], at most 99."""
    again = context_codec.encode(codec.pictures(x))
    return decibels(as_pixels(context_codec, contexts), as_pixels(context_codec, again))


def decibels(references: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """PSNR in dB, [n]; of equal pictures `MOST_DECIBELS`, so that there is a mean."""
    return np.minimum(psnr(references, outputs), MOST_DECIBELS)
