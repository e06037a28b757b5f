"""Texts use plain words: strings and comments of the agent and the testbed, and the documentation, have none that a native speaker would not
use there, and each thing has the field's name for it."""

import re
import tokenize
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNUSUAL = r"whoever|nobody|somebody|(?<!`)anew(?!`)|told|mend(s|ed|ing)?|at hand|of yours|person's word|foret(ell|old)|but for|amiss|heed(s|ed)?"
OUTDATED = r"recipes?|projections?|roll[ -]tokens?|run apart|confess(es|ed)?|pok(e|es|ed)|ripe|doubts?|precious|surplus|daemon polic(y|ies)"
FOUND = re.compile(rf"\b({UNUSUAL}|{OUTDATED})\b", re.IGNORECASE)
QUOTED = re.compile(r'`(?:projection|recipe)`|"(?:projection|recipe)"')
"""Purposes of fingerprints, which are derived from these names: they stay."""
NAMES = re.compile(
    r"recipe|projection|roll_token|confess|poke|ripe|in_?doubt|precious|surplus|Foundation|Claim|Memory|Managed|Finish(ed|er)\w*|finishing",
)
TOPS = ("agent", "deploy", "docs", "examples", "keys", "testbed")
GENERATED = ("reference", "crds", "install.yaml", "requirements.lock")
CODE = {tokenize.NAME, tokenize.OP, tokenize.NUMBER}


def tokens(path: Path) -> Iterator[tokenize.TokenInfo]:
    with path.open("rb") as file:
        yield from tokenize.tokenize(file.readline)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Strings, their parts where they are formatted, and comments of a module; the lines of any other file. With the line where each begins."""
    if path.suffix == ".py":
        yield from ((each.start[0], each.string) for each in tokens(path) if each.type not in CODE)
    else:
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def words(text: str) -> list[str]:
    return [match[0] for match in FOUND.finditer(QUOTED.sub("", text))]


def files(top: str) -> Iterator[Path]:
    for path in sorted((ROOT / top).rglob("*")):
        read = path.suffix in {".py", ".md", ".yaml", ".yml"} or path.name == "Dockerfile"
        if read and path.is_file() and not {*path.parts} & {*GENERATED}:
            yield path


@pytest.mark.parametrize("top", TOPS)
def test_texts_have_no_unusual_word(top: str) -> None:
    pages = ROOT.glob("*.md") if top == "docs" else ()
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in chain(files(top), pages)
        for line, text in texts(path)
        for word in words(text)
    ]
    assert found == []


def test_names_are_the_fields() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{each.start[0]}: {each.string}"
        for path in (ROOT / "agent").rglob("*.py")
        for each in tokens(path)
        if each.type == tokenize.NAME and NAMES.fullmatch(each.string)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# told by whoever", 2),
        ("`anew` stays", 0),
        ("Mended at hand", 2),
        ("the recipe is in doubt", 2),
        ('("owner", "projection")', 0),
    ],
)
def test_an_unusual_word_is_found(text: str, found: int) -> None:
    assert len(words(text)) == found
