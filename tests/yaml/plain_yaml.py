"""YAML as most people and sops write it, line by line, and what is nearly so: files that the reader of lines takes or leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

SEALED = "ENC[AES256_GCM,data:ab==,iv:c/+=,tag:d,type:str]"
USUAL = (
    "x",
    "y1",
    SEALED,
    "'q'",
    '"d"',
    "''",
    "'it''s'",
    "1",
    "2.5",
    "-1",
    "null",
    "~",
    "true",
    "yes",
    "a b",
    "a:b",
    "{}",
    "[]",
)
ODD = (
    "", "# c", "a #b", "a: b", "it's", "- x", "- 1", "--", "?", ": ", "*a", "&a x", "!!str 5", "\t", "%p", "@a", "`", "|", "|-", ">",
    "|2", "{a: b}", "[a]", "2020-01-01", "1:20", "0x1f", "é", "\u2028", "\ufeff", "\0", '"\\n"', '"a', "'a", "...", "---", "<<",
    "x\r", "k" * 1100,
)  # fmt: skip
KEYS = ("a", "b", "c", "key", "data-1", "x.y/z", "_u")
ODD_KEYS = ("null", "true", "<<", "1", "'q'", "a b", "a", "?", "k" * 1030, "*a", "é")


class Plain:
    """One file out of `random`; `odd` is how often something in it is not as usual."""

    def __init__(self, random: Random, odd: float = 0.02) -> None:
        self._random = random
        self._odd = odd

    def file(self) -> bytes:
        lines = ["---"] if self._often(0.1) else []
        lines += self._block(0, 0)
        return ("\n".join(lines) + self._random.choice(["\n"] * 6 + ["", "\n\n"])).encode()

    def _often(self, share: float) -> bool:
        return self._random.random() < share

    def _between(self, indent: int) -> list[str]:
        lines: list[str] = []
        while self._often(0.15):
            column = self._random.choice([0, indent + 2, indent + 1]) if self._often(10 * self._odd) else indent
            comment = " " * column + self._random.choice(["# c", "#c", "#", "# a: b"])
            lines.append(comment if self._often(0.7) else self._random.choice(["", "", "  "]))
        return lines

    def _block(self, indent: int, depth: int) -> list[str]:
        dashed = depth > 0 and self._often(0.3)
        lines: list[str] = []
        for key in self._random.sample(KEYS, self._random.randrange(1, 5)):
            lines += self._between(indent)
            name = self._random.choice(ODD_KEYS) if self._often(self._odd) else key
            lead = " " * indent + ("-" if dashed else f"{name}:")
            if dashed and self._often(0.4):
                lines += self._under_dash(indent, depth)
            elif not dashed and depth < 4 and self._often(0.3):
                lines += [lead, *self._block(indent + self._random.choice([2, 2, 4, 1, 0]), depth + 1)]
            else:
                lines += self._leaf(lead, indent)
        return lines

    def _under_dash(self, indent: int, depth: int) -> list[str]:
        lines = self._block(indent + 2, depth + 1)
        at = next(
            (number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0
        )
        lines[at] = " " * indent + "- " + lines[at][indent + 2 :]
        return lines

    def _leaf(self, lead: str, indent: int) -> list[str]:
        if self._often(0.12):
            body = [
                self._random.choice([" " * (indent + 2) + "text", "", " " * (indent + 3) + "# more", "  "])
                for _ in range(self._random.randrange(1, 4))
            ]
            return [f"{lead} {self._random.choice(['|', '|-', '|+'])}", *body]
        if self._often(0.08):
            return [lead]
        value = self._random.choice(ODD if self._often(self._odd) else USUAL)
        return [f"{lead} {value}{self._random.choice(['', '', '', '', '', '  # i', ' # '])}"]
