"""Texts and names use plain words: strings, comments, names of Python and of files, and the documentation have none that a native speaker
would not use there, and each thing has the field's name for it."""

import re
import tokenize
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNUSUAL = r"whoever|nobody|somebody|(?<!`)anew(?!`)|told|mend(s|ed|ing)?|at hand|of yours|person's word|foret(ells?|old)|tells? of|but for|amiss|heed(s|ed)?|of before(?! 2019| →)"
OUTDATED = r"recipes?|projections?|roll[ -]tokens?|run apart|confess(es|ed)?|pok(e|es|ed)|ripe|doubts?|precious|surplus|daemon polic(y|ies)"
FOUND = re.compile(rf"\b({UNUSUAL}|{OUTDATED})\b", re.IGNORECASE)
QUOTED = re.compile(r'`(?:projection|recipe)`|"(?:projection|recipe)"|"nobody"|\bnobody:')
"""Purposes of fingerprints, which are derived from these names: they stay. And a user of Linux."""
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
NAMES = re.compile(
    r"recipe|projection|roll_token|confess|poke|ripe|in_?doubt|precious|surplus|Foundation|Claim|Memory|Managed|Finish(ed|er)\w*|finishing",
)
TOPS = ("agent", "bench", "deploy", "docs", "examples", "generate", "image", "keys", "render", "testbed", "tests")
SUFFIXES = {".go", ".md", ".py", ".sh", ".yaml", ".yml"}
LEFT_OUT = {"reference", "crds", "install.yaml", "requirements.lock", "vectors", Path(__file__).name}
"""What is generated, what is data, and this module."""
CODE = {tokenize.OP, tokenize.NUMBER}


def tokens(path: Path) -> Iterator[tokenize.TokenInfo]:
    with path.open("rb") as file:
        yield from tokenize.tokenize(file.readline)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """With the line where each begins: the file's name; of a module its strings, comments and names; the lines of any other file."""
    yield 0, spelled(path.stem)
    if path.suffix == ".py":
        for each in tokens(path):
            if each.type == tokenize.NAME:
                yield each.start[0], spelled(each.string)
            elif each.type not in CODE:
                yield each.start[0], each.string
    else:
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


@cache
def spelled(name: str) -> str:
    return " ".join(WORDS.findall(name))


@cache
def words(text: str) -> list[str]:
    return [match[0] for match in FOUND.finditer(QUOTED.sub("", text))]


def files(top: str) -> Iterator[Path]:
    for path in sorted((ROOT / top).rglob("*")):
        read = path.suffix in SUFFIXES or path.name == "Dockerfile"
        if read and path.is_file() and not {*path.parts} & LEFT_OUT:
            yield path


@pytest.mark.parametrize("top", TOPS)
def test_texts_and_names_have_no_unusual_word(top: str) -> None:
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
        ("an Application of before", 1),
        ("the recipe is in doubt", 2),
        ('("owner", "projection")', 0),
        ('run("--user", "nobody")', 0),
        ("what tells of it", 1),
    ],
)
def test_an_unusual_word_is_found(text: str, found: int) -> None:
    assert len(words(text)) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("test_what_is_told", 1),
        ("Somebody", 1),
        ("_TOLD", 1),
        ("OfANewOne", 0),
        ("foretold_files", 1),
        ("what_is_at_hand", 1),
    ],
)
def test_an_unusual_word_in_a_name_is_found(name: str, found: int) -> None:
    assert len(words(spelled(name))) == found
