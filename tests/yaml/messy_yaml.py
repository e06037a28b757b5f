"""YAML as people write it: comments everywhere, blank lines, every style of scalar, anchors, flow and block, several documents."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

TEXTS = (
    "alpha", "some text", "v1.2", "http://x/y", "5432", "1.5", "true", "null", "~", "yes", "2024-01-02", "0x1f", "C:\\dir", "it's",
    "a: b?", "#no", "- dash", "é", "💥 boom", "tail ", "", "ENC[", "[x]", "{y}", "*star", "&amp", "%p", "@at", "multi\nline\n",
    "two\nlines", "keep\n\n", " lead\nx\n", "tab\there", "\ttab\nx",
)  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*( [a-z]+)*")
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


class Messy:
    """One file out of `random`. Every text and comment begins with `mark` and a number, where it is given."""

    def __init__(self, random: Random, mark: str = "") -> None:
        self._random = random
        self._mark = mark
        self._numbers = count()
        self._anchors: list[str] = []

    def file(self) -> bytes:
        lines: list[str] = []
        documents = self._random.choice([1, 1, 1, 2, 3])
        for number in range(documents):
            lines += self._between(0) if self._often(0.3) else []
            if number or self._often(0.2):
                lines.append("---" + self._behind())
                lines += self._between(0) if self._often(0.3) else []
            lines += self._mapping(3, 0) if self._often(0.95) else [self._random.choice(["{}", "", "# only"])]
        lines += ["..."] if self._often(0.05) else []
        text = "\n".join(lines) + ("\n" if self._often(0.9) else "")
        if self._often(0.15):
            text = text.replace("\n", "\r\n")
        return (b"\xef\xbb\xbf" if self._often(0.03) else b"") + text.encode()

    def _often(self, share: float) -> bool:
        return self._random.random() < share

    def _label(self, kind: str) -> str:
        return f"{self._mark}{next(self._numbers)}{kind}" if self._mark else ""

    def _comment(self) -> str:
        return (
            "#"
            + self._random.choice([" ", ""])
            + (self._label("c") or self._random.choice(["c", "a: x", "- y", '"', "#"]))
        )

    def _behind(self, share: float = 0.12) -> str:
        return self._random.choice([" ", "  "]) + self._comment() if self._often(share) else ""

    def _between(self, indent: int) -> list[str]:
        lines: list[str] = []
        while self._often(0.18):
            column = indent if self._often(0.8) else self._random.choice([0, indent + 2, max(indent - 2, 0)])
            lines.append("" if self._often(0.4) else " " * column + self._comment())
        return lines

    def _key(self, number: int) -> str:
        key = self._random.choice(["k", "key", "data", "name"]) + str(number)
        return self._random.choice([*[key] * 8, f'"{key}"', f"'{key}'"])

    def _properties(self) -> tuple[str, str]:
        """A tag or anchor, and the anchor's name."""
        if self._often(0.94):
            return "", ""
        if self._often(0.5):
            return self._random.choice([" !foo", " !!str"]), ""
        name = f"a{len(self._anchors)}"
        return f" &{name}", name

    def _scalar(self, indent: int, *, flow: bool) -> str:
        text = self._random.choice(TEXTS)
        text = self._label("x") + text if self._mark else text
        if _PLAIN.fullmatch(text) and self._often(0.6):
            return text
        if "\n" in text and not flow and text[0] not in " \t" and self._often(0.8):
            return self._block_scalar(text, indent + 2)
        if not {"\n", "\t"} & set(text) and self._often(0.5):
            return "'" + text.replace("'", "''") + "'"
        return '"' + "".join(_ESCAPED.get(char, char) for char in text) + '"'

    def _block_scalar(self, text: str, indent: int) -> str:
        body = text.rstrip("\n")
        chomping = ["-", "", "+"][min(len(text) - len(body), 2)]
        lines = [" " * indent + line if line else "" for line in body.split("\n")]
        header = self._random.choice("||>") + chomping + self._behind()
        return "\n".join([header, *lines, *[""] * (len(text) - len(body) - 1)])

    def _flow(self, depth: int, indent: int, *, spread: bool = False) -> str:
        if depth <= 0 or self._often(0.4):
            return self._scalar(indent, flow=True)
        keyed = self._often(0.5)
        items = [
            (f"{self._key(number)}: " if keyed else "") + self._flow(depth - 1, indent)
            for number in range(self._random.randrange(4))
        ]
        opening, closing = "{}" if keyed else "[]"
        if not spread or not items:
            return opening + ", ".join(items) + closing
        lines = [f"{' ' * (indent + 2)}{item},{self._behind()}" for item in items]
        return "\n".join([opening, *lines, " " * indent + closing])

    def _value(self, lead: str, depth: int, indent: int) -> list[str]:
        """The lines of a value; `lead` is what stands before it on the first."""
        kind = self._random.random()
        if self._anchors and kind < 0.05:
            return [f"{lead} *{self._random.choice(self._anchors)}{self._behind()}"]
        if kind < 0.08:
            return [lead + self._behind()]
        properties, anchor = self._properties()
        if depth <= 0 or kind < 0.5:
            lines = f"{lead}{properties} {self._scalar(indent, flow=False)}".split("\n")
            lines[0] += self._behind() if len(lines) == 1 else ""
        elif kind < 0.65:
            lines = f"{lead}{properties} {self._flow(2, indent, spread=self._often(0.3))}".split("\n")
            lines[-1] += self._behind() if "#" not in lines[-1] else ""
        else:
            lines = self._block(lead, properties, depth - 1, indent)
        if anchor:
            self._anchors.append(anchor)
        return lines

    def _block(self, lead: str, properties: str, depth: int, indent: int) -> list[str]:
        make = self._mapping if self._often(0.6) else self._sequence
        if not lead.endswith("-"):
            steps = [2, 2, 2, 4] if make == self._mapping else [0, 2, 2, 4]
            return [lead + properties + self._behind(), *make(depth, indent + self._random.choice(steps))]
        first, *rest = make(depth, len(lead) + 1)
        if properties or not first.strip() or first.lstrip().startswith("#") or self._often(0.2):
            return [lead + properties + self._behind(), first, *rest]
        return [f"{lead} {first.lstrip()}", *rest]

    def _mapping(self, depth: int, indent: int) -> list[str]:
        lines: list[str] = []
        for number in range(self._random.randrange(1, 5)):
            lines += self._between(indent)
            lines += self._value(f"{' ' * indent}{self._key(number)}:", depth, indent)
        return lines + (self._between(indent) if self._often(0.3) else [])

    def _sequence(self, depth: int, indent: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self._random.randrange(1, 4)):
            lines += self._between(indent)
            lines += self._value(f"{' ' * indent}-", depth, indent)
        return lines + (self._between(indent) if self._often(0.3) else [])
