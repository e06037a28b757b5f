"""INI files as gopkg.in/ini.v1 reads them with the options of sops: sections and keys, each with the lines it stands on.

What it does with quotes, comments and continuations follows `parser.go` there, since it decides what a value is.
"""

from __future__ import annotations

import re

from agent.values.dataclass import dataclass, field
from agent.values.errors import YamlError

DEFAULT = "DEFAULT"
"""The section of what stands above the first header."""

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's unicode.IsSpace is true of."""

DELIMITERS = "=:"
_DELIMITER = re.compile(f"[{DELIMITERS}]")
_MARK = re.compile("[#;]")


@dataclass(slots=True)
class Key:
    """A key with its value. Lines `start` to `line` hold its comments, `line` to `end` the key itself.

    `value_at` is the column of the value. `hidden`: the lines hold text that is neither key nor value, such as a comment behind it.
    """

    name: str
    value: str
    comment: str
    start: int
    line: int
    end: int
    value_at: int
    hidden: bool


@dataclass(slots=True)
class Section:
    """A section with its comment; the first has no header: its `line` equals its `end`."""

    name: str
    comment: str = ""
    start: int = 0
    line: int = 0
    end: int = 0
    keys: dict[str, Key] = field(default_factory=dict[str, Key])


@dataclass(slots=True)
class Lines:
    """A file's lines, each with its line break, and what stands on them.

    The lines from `rest` on belong to nothing. `repeated`: a key stands twice in a section.
    """

    lines: list[str]
    sections: list[Section]
    rest: int
    repeated: bool


def read(text: str, *, file: str) -> Lines:
    """Raises YamlError, with the line, for what is neither comment, header nor key."""
    return _Reader(text, file).read()


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
    def __init__(self, text: str, file: str) -> None:
        parts = text.split("\n")
        self.lines = [f"{part}\n" for part in parts[:-1]] + [parts[-1]]
        self.at = 0
        self.comments: list[str] = []
        self._file = file
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
                    repeated = True
                section.keys[key.name] = key
            start = self.at
        return Lines(self.lines, sections, start, repeated)

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
                raise YamlError("this line is no key = value", file=self._file, line=number + 1)
            return line[:end].strip(SPACE), end + 1
        width = len(quote)
        close = line.find(quote, width)
        if close < 0:
            raise YamlError("a quoted key is not closed", file=self._file, line=number + 1)
        end = _at(_DELIMITER, line[close + width :])
        if end < 0:
            raise YamlError("this line is no key = value", file=self._file, line=number + 1)
        return line[width:close].strip(SPACE), close + end + width + 1

    def value(self, text: str, number: int) -> tuple[str, bool]:
        """What stands behind a delimiter, and whether text that nobody reads follows it on the line."""
        line = text.lstrip(SPACE)
        if not line:
            return "", False
        quote = '"""' if line.startswith('"""') and len(line) > 3 else "`" if line[0] == "`" else ""
        if quote:
            close = line.rfind(quote, len(quote))
            if close < 0:
                return self._multiline(line[len(quote) :], quote, number), True
            return line[len(quote) : close], bool(line[close + len(quote) :].strip(SPACE))
        line = line.strip(SPACE)
        if line[-1] == "\\":
            return self._continued(line[:-1]), True
        cut = _at(_MARK, line)
        if cut >= 0:
            self.comments.append(line[cut:])
            line = line[:cut].strip(SPACE)
        if len(line) >= 2 and line[0] == line[-1] and line[0] in "'\"" and line[0] not in line[1:-1]:
            line = line[1:-1]
        return line, False

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
