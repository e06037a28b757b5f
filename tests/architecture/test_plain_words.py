"""The agent's texts use plain words: what is written in strings and comments has none that a native speaker would not use there."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

AGENT = Path(__file__).parents[2] / "agent"
UNUSUAL = re.compile(
    r"\b(whoever|nobody|somebody|(?<!`)anew(?!`)|told|mend(s|ed|ing)?|at hand|of yours|person's word|foret(ell|old))\b",
    re.IGNORECASE,
)
CODE = {tokenize.NAME, tokenize.OP, tokenize.NUMBER}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Strings, their parts where they are formatted, and comments; with the line where each begins."""
    with path.open("rb") as file:
        yield from ((each.start[0], each.string) for each in tokenize.tokenize(file.readline) if each.type not in CODE)


@pytest.mark.parametrize("room", sorted(path.name for path in AGENT.iterdir() if (path / "__init__.py").exists()))
def test_texts_have_no_unusual_word(room: str) -> None:
    found = [
        f"{path.relative_to(AGENT)}:{line}: {match[0]}"
        for path in sorted((AGENT / room).rglob("*.py"))
        for line, text in texts(path)
        for match in UNUSUAL.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize(("text", "found"), [("# told by whoever", 2), ("`anew` stays", 0), ("Mended at hand", 2)])
def test_an_unusual_word_is_found(text: str, found: int) -> None:
    assert len(UNUSUAL.findall(text)) == found
