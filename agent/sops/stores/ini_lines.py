"""INI files as gopkg.in/ini.v1 reads them with the options of sops: sections and keys, each with the lines it stands on.

What it does with quotes, comments and continuations follows `parser.go` there, since it decides what a value is. But of a file in the
clear it would lose some: the first of two equal keys, what stands behind `#` or `;` in a value, text behind quotes, the last comments. So
such a file is read `whole`: nothing of a value is taken for a comment that no blank parts from it, and what has no place is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass, field
from agent.values.errors import YamlError
from agent.values.text import SPACE

if TYPE_CHECKING:
    from typing import LiteralString

DEFAULT = "DEFAULT"
"""The section of what stands above the first header."""

DELIMITERS = "=:"
_DELIMITER = re.compile(f"[{DELIMITERS}]")
_MARK = re.compile("[#;]")
_PARTED = re.compile(rf"(?<=[{SPACE}])[#;]|\A[#;](?=[{SPACE}])")
_ELSE = re.compile(rf"[#;\[]|[^{DELIMITERS}{SPACE}]+[{SPACE}]*[{DELIMITERS}]")
"""How a line begins that is hardly the rest of the value above."""


@dataclass(slots=True)
class Key:
    """A key with its value. Lines `start` to `line` hold its comments, `line` to `end` the key itself.

    `value_at` is the column of the value. `hidden`: the lines hold text that is neither key nor value, such as a comment behind it.
    `below`: some of its comment stands at the end of the file, where nothing follows that it could belong to.
    """

    name: str
    value: str
    comment: str
    start: int
    line: int
    end: int
    value_at: int
    hidden: bool
    below: bool = False


@dataclass(slots=True)
class Section:
    """A section with its comment; the first has no header: its `line` equals its `end`. `below` as of a key."""

    name: str
    comment: str = ""
    start: int = 0
    line: int = 0
    end: int = 0
    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    below: bool = False


@dataclass(slots=True)
class Lines:
    """A file's lines, each with its line break, and what stands on them.

    The lines from `rest` on belong to nothing. `repeated`: a key appears twice in a section.
    """

    lines: list[str]
    sections: list[Section]
    rest: int
    repeated: bool


def read(text: str, *, file: str, whole: bool = False) -> Lines:
    """Raises YamlError, with the line, for what is neither comment, header nor key; read `whole`, for what would be lost."""
    return _Reader(text, file, whole=whole).read()


def value_of(text: str) -> str | None:
    """What a value written so is read as, other lines following; None where it ends before or behind its lines."""
    reader = _Reader(f"{text}\nx", "")
    first = reader.lines[0]
    reader.at = 1
    try:
        value, _ = reader.value(first, 0)
    except YamlError:
        return None
    return None if reader.comments or reader.at != len(reader.lines) - 1 else value


def name_of(text: str) -> str | None:
    """What a key written so is read as; None where it is no key."""
    if not text or text[0] in "#;[" or text[0] in SPACE:
        return None
    try:
        found = _Reader("", "").name(f"{text}=", 0)
    except YamlError:
        return None
    return found[0] if found[1] == len(text) + 1 and found[0] != "-" else None


class _Reader:
    def __init__(self, text: str, file: str, *, whole: bool = False) -> None:
        parts = text.split("\n")
        self.lines = [f"{part}\n" for part in parts[:-1]] + [parts[-1]]
        self.at = 0
        self.comments: list[str] = []
        self._file = file
        self._whole = whole
        self._unnamed = 1

    def read(self) -> Lines:
        section = Section(DEFAULT)
        sections = [section]
        start, repeated = 0, False
        while self.at < len(self.lines):
            number = self.at
            raw = self.lines[number]
            self.at += 1
            line = raw.lstrip(SPACE)
            if not line:
                continue
            if line[0] in "#;":
                self.comments.append(line)
                continue
            if line[0] == "[":
                section = self._section(line, start, number)
                sections.append(section)
            else:
                key = self._key(line, len(raw) - len(line), start, number)
                known = section.keys.get(key.name)
                if known is not None:
                    # The last of two counts, in the place of the first.
                    self._refuse("a key appears twice in its section", "rename one of the two, or take it out", number)
                    repeated = True
                section.keys[key.name] = key
            start = self.at
        if self._whole and self.comments:
            self._at_the_end(section)
        return Lines(self.lines, sections, start, repeated)

    def _at_the_end(self, section: Section) -> None:
        """The last comments, which go with the last key, since the format has no other place for them."""
        last = next(reversed(section.keys.values()), section)
        last.comment = f"{last.comment}\n{self._taken()}".lstrip("\n")
        last.below = True

    def _refuse(self, message: LiteralString, hint: LiteralString, number: int) -> None:
        if self._whole:
            raise YamlError(message, hint=hint, file=self._file, line=number + 1)

    def _check_behind(self, text: str, number: int) -> None:
        """Of what stands behind a closing quote or bracket only a comment is kept."""
        if text.strip(SPACE)[:1] not in {"", "#", ";"}:
            self._refuse("text stands behind what is quoted or a header", "it would be lost: put it inside", number)

    def _taken(self) -> str:
        comment, self.comments = "".join(self.comments).strip(SPACE), []
        return comment

    def _section(self, line: str, start: int, number: int) -> Section:
        close = line.rfind("]")
        if close < 0:
            raise YamlError("a section's header is not closed", file=self._file, line=number + 1)
        name = line[1:close]
        if not name:
            raise YamlError("a section has no name", file=self._file, line=number + 1)
        self._check_behind(line[close + 1 :], number)
        self._comment_behind(line[close + 1 :])
        self._unnamed = 1
        return Section(name, self._taken(), start, number, self.at)

    def _key(self, line: str, column: int, start: int, number: int) -> Key:
        name, offset = self.name(line, number)
        if name == "-":
            name = f"#{self._unnamed}"
            self._unnamed += 1
        if not name:
            raise YamlError("a key has no name", file=self._file, line=number + 1)
        before = len(self.comments)
        rest = line[offset:]
        value, hidden = self.value(rest, number)
        hidden = hidden or len(self.comments) != before or self.at > number + 1
        value_at = column + offset + len(rest) - len(rest.lstrip(SPACE))
        return Key(name, value, self._taken(), start, number, self.at, value_at, hidden)

    def name(self, line: str, number: int) -> tuple[str, int]:
        """A key, and where what is behind its delimiter begins."""
        quote = '"""' if line.startswith('"""') and len(line) > 6 else line[0] if line[0] in '"`' else ""
        if not quote:
            end = _at(_DELIMITER, line)
            if end <= 0:
                raise YamlError("this line is not key = value", file=self._file, line=number + 1)
            return line[:end].strip(SPACE), end + 1
        width = len(quote)
        close = line.find(quote, width)
        if close < 0:
            raise YamlError("a quoted key is not closed", file=self._file, line=number + 1)
        end = _at(_DELIMITER, line[close + width :])
        if end < 0:
            raise YamlError("this line is not key = value", file=self._file, line=number + 1)
        return line[width:close].strip(SPACE), close + end + width + 1

    def value(self, text: str, number: int) -> tuple[str, bool]:
        """What stands behind a delimiter, and whether text that no parser reads follows it on the line."""
        line = text.lstrip(SPACE)
        if not line:
            return "", False
        quote = '"""' if line.startswith('"""') and len(line) > 3 else "`" if line[0] == "`" else ""
        if quote:
            close = line.rfind(quote, len(quote))
            if close < 0:
                return self._multiline(line[len(quote) :], quote, number), True
            behind = line[close + len(quote) :].strip(SPACE)
            self._check_behind(behind, number)
            if self._whole and behind:
                self.comments.append(behind)
            return line[len(quote) : close], bool(behind)
        line = line.strip(SPACE)
        if line[-1] == "\\":
            self._check_continued(number)
            return self._continued(line[:-1]), True
        cut = self._comment_at(line)
        if cut >= 0:
            self.comments.append(line[cut:])
            line = line[:cut].strip(SPACE)
        if len(line) >= 2 and line[0] == line[-1] and line[0] in "'\"" and line[0] not in line[1:-1]:
            line = line[1:-1]
        return line, False

    def _comment_at(self, line: str) -> int:
        """Where the comment behind a value begins; -1 where there is none."""
        if not self._whole:
            return _at(_MARK, line)
        close = line.find(line[0], 1) if line[0] in "'\"" else -1
        behind = line[close + 1 :].lstrip(SPACE) if close > 0 else ""
        if close > 0 and behind[:1] in {"", "#", ";"}:
            return len(line) - len(behind) if behind else -1
        return _at(_PARTED, line)

    def _check_continued(self, number: int) -> None:
        following = self.lines[self.at].strip(SPACE) if self.at < len(self.lines) else ""
        if not following or _ELSE.match(following):
            self._refuse(
                "a backslash at the end of a value joins it with the next line",
                "is it part of the value? put the value between two `",
                number,
            )

    def _next(self) -> str:
        line = self.lines[self.at] if self.at < len(self.lines) else ""
        self.at += 1
        return line

    def _multiline(self, value: str, quote: str, number: int) -> str:
        while True:
            following = self._next()
            close = following.rfind(quote)
            if close >= 0:
                if following[close + len(quote) :].rstrip("\r\n").strip(SPACE).endswith("\\"):
                    value += following
                    continue
                self._check_behind(following[close + len(quote) :], self.at - 1)
                self._comment_behind(following[close:].rstrip(SPACE))
                return value + following[:close]
            value += following
            if self.at >= len(self.lines):
                raise YamlError("a quoted value is not closed", file=self._file, line=number + 1)

    def _continued(self, value: str) -> str:
        parts = [value]
        while following := self._next().strip(SPACE):
            parts.append(following.removesuffix("\\"))
            if following[-1] != "\\":
                break
        return "".join(parts)

    def _comment_behind(self, text: str) -> None:
        at = _at(_MARK, text)
        if at >= 0:
            self.comments.append(text[at:])


def _at(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return found.start() if found else -1
