"""Which flags of commands have no use for a run: its help leaves them out."""

from __future__ import annotations

from pathlib import Path

from ptheta.data.codecs import Codec, DocumentCodec, FrameCodec, RowCodec, TextCodec

OF_PROMPTS = {"prompt", "stop", "draft", "compile"}
OF_WHOLE_TEXTS = {"beams", "length_penalty", "mbr"}


def unsuited(run: str | Path) -> set[str]:
    """The parameters of `sample` and `complete` that are for other data than those of a run folder.

    Raises:
        RunError: it is no run folder.
    """
    from ptheta.configs import read_config

    config = read_config(Path(run))
    codec, conditional = Codec.from_json(config["codec"]), config["context_space"] is not None
    found: set[str] = set()
    if not isinstance(codec, TextCodec):
        found |= OF_PROMPTS | {"tokens"}
    if not isinstance(codec, DocumentCodec):
        found |= OF_WHOLE_TEXTS
    if not codec.is_picture:
        found |= {"mask"}
    if isinstance(codec, RowCodec):
        found |= {"keep"}
    else:
        found |= {"point"}
    if not conditional:
        found |= {"each"} if isinstance(codec, FrameCodec) else {"each", "context"}
    return found
