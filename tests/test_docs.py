"""README and docs: links resolve, the index is complete, and every command line shown uses flags that exist."""

import contextlib
import functools
import importlib
import io
import re
import shlex
from pathlib import Path

import pytest

from ptheta.cli.main import COMMANDS, main
from ptheta.models import ZOO

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, languages: tuple[str, ...]) -> list[str]:
    """The fenced blocks of a page in these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language in languages]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command_lines(page: Path) -> list[list[str]]:
    """Every `ptheta …` of a page, in blocks and in inline code, as words."""
    lines = [line for text in blocks(page, ("sh", "bash")) for line in text.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", prose(page))
    calls = []
    for line in lines:
        _, call, rest = line.partition("ptheta ")
        words = shlex.split(rest, comments=True)
        if call and words and words[0] in COMMANDS and not line.startswith(("pip ", "python ")):
            calls.append(words)
    return calls


@functools.cache
def flags(*words: str) -> set[str]:
    """The flags that the help of a command mentions; of none, those that all commands have."""
    shown = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):
        main([*words, "--help"])
    return set(FLAG.findall(shown.getvalue()))


@functools.cache
def of_families(*names: str) -> set[str]:
    """The flags of these families' hyperparameters."""
    parameters = {parameter for family in names for parameter in ZOO[family].load().hyperparameter_signature()}
    return {f"--{parameter.replace('_', '-')}" for parameter in parameters}


def known(words: list[str]) -> set[str]:
    """The flags that a command line may use; for `fit` also those of its model, or of any model."""
    command, *rest = words
    if command not in ("fit", "compare"):
        return flags() | flags(command)
    models = [word for word in rest if word in ZOO]
    return flags() | flags(command) | of_families(*(models or ZOO))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):  # another site
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_index_lists_every_page():
    listed = set(LINK.findall((DOCS / "README.md").read_text()))
    assert listed == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_flags_exist(page):
    unknown = [
        f"ptheta {words[0]} … {flag}"
        for words in command_lines(page)
        for flag in (word.partition("=")[0] for word in words[1:])
        if FLAG.fullmatch(flag) and flag.replace("--no-", "--") not in known(words) | {"--help"}
    ]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_flags_in_prose_exist(page):
    every = flags() | of_families(*ZOO).union(*map(flags, COMMANDS))
    shown = [span.split("=")[0].split()[0] for span in re.findall(r"`(--[^`\n]+)`", prose(page))]
    assert [flag for flag in shown if flag not in every] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_imports_exist(page):
    for text in blocks(page, ("python",)):
        for module, names in re.findall(r"^from (ptheta[\w.]*) import ([\w, ]+)$", text, re.MULTILINE):
            found = importlib.import_module(module)
            assert [imported for imported in names.split(", ") if not hasattr(found, imported)] == []


def test_a_wrong_flag_would_be_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\ntorchrun -m -- ptheta fit x made --heads 2  # --no\n```\n`ptheta sample RUN -n 2 --guidence 2`\n"
    )
    fit, sample = command_lines(page)
    assert fit == ["fit", "x", "made", "--heads", "2"]
    assert "--heads" not in known(fit)
    assert "-n" in known(sample)
    assert "--guidence" not in known(sample)
