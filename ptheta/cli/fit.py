"""`ptheta fit`: learn a distribution from data."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ptheta.cli.arguments import call, flag_of, is_first, print_json, take
from ptheta.cli.options import Columns, Fit, Flag, ModelArgument, Sound
from ptheta.errors import UsageError, nearest

Source = Annotated[str | None, tyro.conf.arg(metavar="SOURCE"), tyro.conf.Positional]


def main(args: list[str]) -> None:
    """Parse and run, together with the other processes if torchrun started several."""
    from ptheta.training import together

    with together():
        _main(args)


def _main(args: list[str]) -> None:
    """Parse and run; hyperparameters are flags typed from the model's own signature."""
    from ptheta.models import ZOO

    signatures = {name: row.load().hyperparameter_signature() for name, row in ZOO.items()}
    every = {name: parameter for signature in signatures.values() for name, parameter in signature.items()}
    hyperparameters, rest = take(args, every)
    named = [word.replace("-", "_") for word in rest if word.replace("-", "_") in ZOO]
    if named and {"-h", "--help"} & set(rest):
        _hyperparameters(named[0], ["--help"])
    call(fit, rest, "ptheta fit", map(flag_of, every), hyperparameters=hyperparameters)


def fit(
    source: Source = None,
    model: ModelArgument = None,
    *,
    hyperparameters: list[str],
    event: str | None = None,
    context: str | None = None,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    out: Path | None = None,
    force: Flag = False,
    resume: Flag = False,
    resume_inexact: Flag = False,
    seed: int | None = None,
    size: str | None = None,
    fit: Fit | None = None,
    colour: Literal["grey", "rgb"] | None = None,
    levels: int | None = None,
    palette: int | None = None,
    binarize: Literal["none", "threshold", "once", "epoch"] = "none",
    length: int | None = None,
    tokenizer: Literal["bytes", "characters", "bpe"] | None = None,
    vocabulary: int | None = None,
    columns: Columns = "auto",
    whole: Flag = False,
    sound: Sound = "spectrogram",
    rate: int | None = None,
    seconds: float | None = None,
    bands: int | None = None,
    hop: float | None = None,
    limit: int | None = None,
    validation: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    optimizer: Literal["adamw", "muon"] | None = None,
    weight_decay: float | None = None,
    average: float | None = None,
    accumulate: int | None = None,
    precision: Literal["auto", "float32", "bfloat16", "native"] | None = None,
    compile: bool | None = None,
    checkpoint_seconds: float | None = None,
    memory: float | None = None,
    device: str = "auto",
    track: Flag = False,
    json: Flag = False,
) -> None:
    """Learn p(x), or p(x | context), from data, and leave a run folder.

    The model's hyperparameters are flags too: `ptheta fit SOURCE MODEL --help` lists them. Under torchrun the fit is
    data-parallel: `torchrun --nproc-per-node 2 -m -- ptheta fit SOURCE …`; the two dashes end torchrun's own flags.

    Args:
        source: `digits`, a file, a folder, or a Hugging Face data set folder or Hub id
        model: a name from `ptheta zoo`; chosen from the data if left out
        event: column(s) of x, comma-separated; found from the data if left out
        context: column(s) of the context y, comma-separated: labels, texts, pictures, sounds, numbers; none if left
            out. A view after a colon takes a column otherwise: IMG:grey, IMG:8x8, IMG:grey:8x8, of which IMG can be the
            event too; NAME:text, NAME:label, NAME:number
        preset: a recipe by name, see `ptheta zoo`; flags given beside it win
        minutes: budget in minutes; if no budget is given the preset's, else 1
        steps: budget in optimiser steps
        epochs: budget in passes over the training events
        out: run folder; a new one under runs/ if left out
        force: replace the run in --out
        resume: go on with the unfinished run in --out
        resume_inexact: go on even with other data or another seed
        seed: of splits, initial weights, shuffling, dropout and samples; 0 if left out
        size: of pictures, HEIGHTxWIDTH in pixels, or native; if left out, those of one size up to 64x64 stay as they
            are, and others are brought to a size of which enough steps fit into the budget, 16x16 pixels or more
        fit: how pictures of another size are brought to it, crop: their middle is cut out, pad: black bars, stretch:
            their shape is changed; crop if left out
        colour: of pictures
        levels: of pictures, values of a pixel
        palette: of pictures, so many colours, found in the training pictures; each pixel becomes the nearest
        binarize: pictures to black and white: at half of white, drawn once, or drawn anew every epoch
        length: of text, tokens in one event; 256 if left out, or of whole texts the longest, at most 512
        tokenizer: of text, what a token is; bytes below 4 MB of training text (100 kB of whole texts) and bpe from
            there on, if left out
        vocabulary: of bpe, how many tokens; 512 for a megabyte to 32,768 for a gigabyte if left out
        columns: of a table, mixed: each as what it is; real: one vector of real numbers; categories: unordered values
        whole: every text is an event of its own, as it is wherever a text has a context
        sound: what sounds become, loudness of frames and bands or samples
        rate: of sounds, in Hz; others are resampled; the most frequent one, at most 16,000, if left out
        seconds: of sounds, the length of an event; longer ones are cut; the 99th percentile if left out
        bands: of spectrograms; 32 up to 8,000 Hz, else 64, if left out
        hop: of spectrograms, milliseconds from a frame to the next; 16 if left out
        limit: use at most so many events of each split
        validation: events held out of train where no validation split is published: a number, or a part below 1
        batch_size: events of one step, over all processes
        learning_rate: peak rate
        optimizer: muon is Muon on hidden matrices and AdamW on the rest
        weight_decay: decoupled, on matrices
        average: decay of an exponential moving average of the weights; 0 for none
        accumulate: parts a batch is cut into, to save memory
        precision: native is bfloat16 autocast where the processor or GPU computes in it, auto only on a GPU
        compile: use torch.compile; only for long fits on a GPU if left out
        checkpoint_seconds: time between checkpoints, from which --resume goes on; 60 if left out
        memory: GiB that the fit may take, and more is refused; seven tenths of what is available if left out
        device: auto, cpu or cuda
        track: write TensorBoard scalars too
        json: print the results as one JSON object on the last line
    """
    import ptheta
    from ptheta.configs import read_config
    from ptheta.fitting import check_free, default_model, default_preset, family_of_preset, photo_size
    from ptheta.models import family
    from ptheta.presets import preset as find_preset

    options = {
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "weight_decay": weight_decay,
        "average": average,
        "accumulate": accumulate,
        "precision": precision,
        "compile": compile,
        "checkpoint_seconds": checkpoint_seconds,
    }
    loading = {
        "event": event,
        "context": context,
        "size": size,
        "fit": fit,
        "colour": colour,
        "levels": levels,
        "palette": palette,
        "binarize": None if binarize == "none" else binarize,
        "length": length,
        "tokenizer": tokenizer,
        "vocabulary": vocabulary,
        "columns": None if columns == "auto" else columns,
        "whole": whole or None,
        "sound": None if sound == "spectrogram" else sound,
        "rate": rate,
        "seconds": seconds,
        "bands": bands,
        "hop": hop,
        "limit": limit,
        "validation": validation,
    }
    asked = {name: value for name, value in loading.items() if value is not None}
    data = None
    if resume or resume_inexact:
        chosen = None if out is None else model or read_config(out)["model"]["family"]
        values = _hyperparameters(chosen, hyperparameters) if chosen else {}
        data = source
        if asked:
            raise UsageError(
                f"--{next(iter(asked))} cannot change in a resumed fit", "leave it out; it is taken from the run"
            )
    else:
        if source is None:
            raise UsageError("there is nothing to fit", "name a SOURCE, for example: ptheta fit digits")
        recipe = None if preset is None else find_preset(preset)
        if recipe is not None:
            chosen = family_of_preset(recipe, model)
        else:
            chosen = None if model is None else family(model).name
        values = _hyperparameters(chosen, hyperparameters) if chosen else {}
        if out is not None:
            check_free(out, force)

        def values_of(name: str) -> dict[str, Any]:
            return _hyperparameters(name, hyperparameters)

        given = {"minutes": minutes, "steps": steps, "epochs": epochs}
        chooser = photo_size(chosen, preset, values_of, options, given, device, memory)
        wanted = {"size": chooser, **(recipe.data if recipe else {}), **asked}
        data = ptheta.load(source, **wanted, seed=seed or 0)
        for note in data.notes:
            say(note)
        if chosen is None:
            preset = default_preset(data)
            if preset is not None:
                say(f"preset {preset}: {find_preset(preset).summary}")
            chosen = default_model(data) if preset is None else find_preset(preset).model
            values = _hyperparameters(chosen, hyperparameters)
    run = ptheta.fit(
        chosen,
        data,
        preset=preset,
        minutes=minutes,
        steps=steps,
        epochs=epochs,
        out=out,
        seed=seed,
        force=force,
        resume=resume,
        resume_inexact=resume_inexact,
        memory=memory,
        device=device,
        track=track,
        verbose=True,
        hyperparameters=values,
        **options,
    )
    if json and is_first() and run.results():
        print_json(run.results())


def say(line: str) -> None:
    """One line for the person, apart from results."""
    if is_first():
        print(line, file=sys.stderr)


def _hyperparameters(name: str, words: list[str]) -> dict[str, Any]:
    """Hyperparameters given as flags."""
    if not words:
        return {}
    from ptheta.models import family

    cls = family(name).load()
    signature = cls.hyperparameter_signature()

    def collect(**values: Any) -> dict[str, Any]:
        given = {_name_of_flag(word) for word in words if word.startswith("--")}
        return {name: value for name, value in values.items() if name in given or f"no_{name}" in given}

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.values()]
    collect.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    collect.__doc__ = inspect.getdoc(cls)
    for word in words:
        flag = word.split("=")[0].replace("--no-", "--").replace("_", "-")
        if flag.startswith("--") and flag not in map(flag_of, [*signature, "help"]):
            remedy = nearest(flag, list(map(flag_of, signature))) if signature else "it has none"
            raise UsageError(f"{name} has no hyperparameter {word.split('=')[0]}", remedy)
    return call(collect, words, f"ptheta fit SOURCE {name}")


def _name_of_flag(word: str) -> str:
    return word.split("=")[0].removeprefix("--").replace("-", "_")
