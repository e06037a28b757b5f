"""INI files as sops's ini store reads and writes them (`stores/ini/store.go`): sections of text, the metadata a section called `sops`.

A comment stands behind its key in the tree and above it in the file; a section's own is its first item.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.sops.format.metadata import ENTRY
from agent.sops.stores import alignment, flatten, ini_lines, scalars
from agent.sops.stores.ini_lines import DEFAULT, DELIMITERS
from agent.values.dataclass import dataclass, field
from agent.values.errors import EmitError
from agent.values.text import SPACE, UTF8_MARK
from agent.yaml import guises
from agent.yaml.edit.edits import Spliced
from agent.yaml.limits import Limits, check_text, check_utf8
from agent.yaml.nodes import Comment, Entry, Mapping
from agent.yaml.nodes import Sequence as List

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.sops.stores.ini_lines import Key, Lines, Section
    from agent.yaml.edit.originals import YamlOriginal
    from agent.yaml.nodes import Value

name = "ini"
single = False
flat = joins = commented = True
metadata_line = rb"^\[sops\]"
metadata_prefix = ""

printed = flatten.scalar_text
holds = scalars.every

_HEADER = re.compile(r"^[^\S\n]*\[sops\]", re.MULTILINE)
_USUAL_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_QUOTING = re.compile(r"""["'`\\\r]""")
_QUOTES = ('"', "`", '"""', "'")


@guises.seen_through
def parse_plain(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    """One document of a file's sections, `DEFAULT` always the first; every value is text. Raises YamlError, also for what would be lost, and LimitError."""
    check_text(data, file=file, limits=limits or Limits())
    check_utf8(data, file=file)
    return [_tree(ini_lines.read(_text(data), file=file, whole=True))]


def _text(data: bytes) -> str:
    return data.removeprefix(UTF8_MARK).decode("utf-8", "surrogateescape")


@guises.seen_through
def _lines(data: bytes, file: str, limits: Limits | None) -> Lines:
    """As sops reads a file with metadata, and as `parse_plain` one without."""
    check_text(data, file=file, limits=limits or Limits())
    check_utf8(data, file=file)
    text = _text(data)
    if _HEADER.search(text):
        lines = ini_lines.read(text, file=file)
        if any(each.name == ENTRY for each in lines.sections):
            return lines
    return ini_lines.read(text, file=file, whole=True)


def _tree(lines: Lines) -> Mapping:
    return Mapping(tuple(Entry(each.name, _section(each), each.line + 1) for each in lines.sections))


def _section(section: Section) -> Mapping:
    items: list[Entry | Comment] = []
    if section.comment:
        items.append(Comment(_bare(section.comment)))
    for key in section.keys.values():
        items.append(Entry(key.name, key.value, key.line + 1))
        if key.comment:
            items.append(Comment(_bare(key.comment)))
    return Mapping(tuple(items))


def _bare(comment: str) -> str:
    bare = comment.lstrip(f"{comment[0]} ") if comment[0] in ";#" else comment
    # sops ends at a first line of several with nothing in it.
    return comment[0] + bare if bare[:1] in {"\n", "\r"} else bare


def parse(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    """The same with the metadata, where there is some, nested. Raises YamlError, LimitError, SopsFormatError."""
    document = _tree(_lines(data, file, limits))
    return [Mapping(tuple(_nested(entry, file, limits) for entry in document.entries()))]


def _nested(entry: Entry, file: str, limits: Limits | None) -> Entry:
    if entry.key != ENTRY or not isinstance(entry.value, Mapping):
        return entry
    fields = ((str(each.key), str(each.value).replace("\\n", "\n")) for each in entry.value.entries())
    return Entry(ENTRY, flatten.unflatten(fields, file=file, limits=limits), entry.line)


@dataclass(slots=True)
class _Written:
    """A section ready to be written: its comment, and keys with their text and comment."""

    name: str
    comment: str = ""
    keys: dict[str, tuple[str, str]] = field(default_factory=dict[str, "tuple[str, str]"])


def _written(name: str, node: Mapping) -> _Written:
    section = _Written(name)
    last = ""
    for number, item in enumerate(node.items):
        if isinstance(item, Entry):
            last = str(item.key)
            if not last or last in section.keys:
                raise EmitError("an INI section may have a key only once, and no empty one", field=last)
            section.keys[last] = (flatten.scalar_text(flatten.plain_value(item)), "")
        elif not number:
            section.comment = item.text
        elif last:
            section.keys[last] = (section.keys[last][0], item.text)
    return section


def _sections(documents: Iterable[Mapping]) -> list[_Written]:
    found: list[_Written] = []
    for document in documents:
        for entry in document.entries():
            value = entry.value
            if not isinstance(value, Mapping) or not entry.key:
                raise EmitError("the top level of an INI file has only sections with names", field=str(entry.key))
            if entry.key == ENTRY:
                fields = (
                    (path, flatten.scalar_text(text).replace("\n", "\\n")) for path, text in flatten.flatten(value)
                )
                value = Mapping(tuple(Entry(path, text) for path, text in fields))
            found.append(_written(str(entry.key), value))
    return found


def emit(documents: Sequence[Mapping], *, indent: int | None = None) -> bytes:
    """A file of the sections of all documents, aligned. Raises EmitError for what has no form in it."""
    del indent
    sections = _sections(documents)
    lines: list[str] = []
    for number, section in enumerate(sections):
        bare = not number and section.name.upper() == DEFAULT
        lines += _comment_lines(section.comment, trim=False)
        if bare and not section.keys:
            continue
        lines += [] if bare else [f"[{section.name}]"]
        lines += _key_lines(section)
        if number < len(sections) - 1:
            lines.append("")
    return _encoded(lines)


def emit_value(value: Value, *, indent: int | None = None) -> bytes:
    """Text as it is, and any other scalar as JSON has it."""
    if isinstance(value, str | Mapping | List):
        return scalars.only_text(value, indent=indent)
    from agent.yaml.write import json

    return json.emit_value(value)


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _key_lines(section: _Written) -> Iterator[str]:
    names = {name: _name(name) for name in section.keys}
    width = max((len(_raw(name)) for name in names.values()), default=0)
    for name, (value, comment) in section.keys.items():
        written = names[name]
        yield from _comment_lines(comment)
        yield f"{written}{' ' * (width - len(_raw(written)))} = {_value(value)}"


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _name(name: str) -> str:
    if '"' in name or any(mark in name for mark in DELIMITERS):
        written = f"`{name}`"
    elif "`" in name:
        written = f'"""{name}"""'
    else:
        written = name
    if written == name and _USUAL_NAME.fullmatch(name):
        return written
    if ini_lines.name_of(written) == name:
        return written
    # Here sops writes what is read as a comment, a header, or another key.
    for quote in _QUOTES[:3]:
        if ini_lines.name_of(form := quote + name + quote) == name:
            return form
    raise EmitError("the key cannot be written to an INI file", field=name)


def _value(value: str) -> str:
    if "\n" in value or "`" in value:
        written = f'"""{value}"""'
    elif "#" in value or ";" in value:
        written = f"`{value}`"
    elif value.strip(SPACE) != value:
        written = f'"{value}"'
    else:
        written = value
    if (written == value and not _QUOTING.search(value)) or ini_lines.value_of(written) == value:
        return written
    # Here sops writes what is read as another value.
    for quote in _QUOTES:
        if ini_lines.value_of(form := quote + value + quote) == value:
            return form
    raise EmitError("the value cannot be written to an INI file", hint="name another --output-type, such as json")


def _comment_lines(comment: str, *, exact: bool = False, trim: bool = True) -> Iterator[str]:
    """With `exact`, lines but the first are as they were. A section's are not trimmed."""
    if not comment:
        return
    for number, line in enumerate(comment.split("\n")):
        text = line.strip(SPACE)
        if exact and line[:1] in ("#", ";") and (number or len(text) == 1):
            yield line.rstrip("\r")
            continue
        if text and line[0] in "#;":
            yield f"{line[0]} {text[1:].strip(SPACE)}"
        else:
            yield f"; {text if trim else line}" if line else ";"


def splice(
    before: bytes | YamlOriginal,
    documents: Sequence[Mapping],
    *,
    file: str,
    indent: int | None = None,
    rewrite_metadata: bool = False,
) -> Spliced:
    """The text nearest to `before` that holds this document, or what `emit` gives. Raises YamlError, EmitError.

    Blank lines, spacing, quotes and the order of what is not touched stay. Where metadata is added, a comment that belongs to nothing
    goes: it would stay readable.
    """
    del indent, rewrite_metadata
    assert isinstance(before, bytes)
    lines = _lines(before, file, None)
    plain = Spliced(emit(documents))
    if lines.repeated:
        return plain
    mark = UTF8_MARK if before.startswith(UTF8_MARK) else b""
    wanted = _sections(documents)
    text = mark + _Splicer(lines, wanted).text().encode("utf-8", "surrogateescape")
    if before[-1:] not in {b"\n", b""}:
        text = text.removesuffix(b"\n").removesuffix(b"\r")
    return Spliced(text) if _sections([_tree(_lines(text, file, None))]) == wanted else plain


class _Splicer:
    def __init__(self, lines: Lines, wanted: list[_Written]) -> None:
        self._lines = lines.lines
        self._old = lines
        self._wanted = wanted
        self._out: list[str] = []
        self._break = "\r\n" if self._lines[0].endswith("\r\n") else "\n"
        self._closing = any(each.name == ENTRY for each in wanted) and all(
            each.name != ENTRY for each in lines.sections
        )

    def text(self) -> str:
        old = self._old.sections
        places = alignment.align(_tokens(old), _tokens(self._wanted))
        for place, section in zip(places, self._wanted, strict=True):
            known = None if place is None or old[place].name != section.name else old[place]
            if known is None:
                self._new_section(section)
            else:
                self._section(known, section)
        if not self._closing and any(each.name == ENTRY for each in self._wanted) == any(
            each.name == ENTRY for each in old
        ):
            self._out += self._lines[self._old.rest :]
        return "".join(self._out)

    def _add(self, lines: Iterable[str]) -> None:
        if self._out and not self._out[-1].endswith("\n"):
            self._out[-1] += self._break
        self._out += [line + self._break for line in lines]

    def _new_section(self, section: _Written) -> None:
        if self._out and self._out[-1].strip(SPACE):
            self._add([""])
        lines = [*_comment_lines(section.comment, exact=True), f"[{section.name}]", *_key_lines(section)]
        if section.name != DEFAULT or section.keys:
            self._add(lines)

    def _section(self, known: Section, section: _Written) -> None:
        if known.end > known.line:
            name, _, behind = self._lines[known.line].rpartition("]")
            same = _is(known.comment, section.comment) and not (known.below and self._closing)
            bare = bool(behind.strip(SPACE)) and (self._closing or not same)
            self._head(known.start, known.line, section.comment, same=same and not bare)
            if bare:
                self._add([f"{name}]"])
            else:
                self._copy(known.line, known.end)
        keys = list(known.keys.values())
        places = alignment.align(list(known.keys), list(section.keys))
        for place, (name, (value, comment)) in zip(places, section.keys.items(), strict=True):
            key = None if place is None or keys[place].name != name else keys[place]
            if key is None:
                self._add([*_comment_lines(comment, exact=True), f"{_name(name)} = {_value(value)}"])
            else:
                self._key(key, value, comment)

    def _copy(self, start: int, end: int) -> None:
        if start < end:
            self._add([])
            self._out += self._lines[start:end]

    def _head(self, start: int, end: int, comment: str, *, same: bool) -> None:
        """The lines above a key or header: blank ones, and the comments where they are the same."""
        if same:
            self._copy(start, end)
            return
        pending: Iterable[str] = _comment_lines(comment, exact=True)
        for number in range(start, end):
            if self._lines[number].strip(SPACE):
                self._add(pending)
                pending = ()
            else:
                self._copy(number, number + 1)
        self._add(pending)

    def _key(self, key: Key, value: str, comment: str) -> None:
        # With metadata, a file is read as sops reads it: a mark in a value that stays clear needs quotes.
        marked = key.hidden or any(mark in value for mark in "#;")
        untouched = value == key.value and not (marked and self._closing)
        same = _is(key.comment, comment) and not (key.below and self._closing)
        # A comment behind the value is not written there again.
        self._head(key.start, key.line, comment, same=same and (untouched or not key.hidden))
        if untouched and (same or not key.hidden):
            self._copy(key.line, key.end)
            return
        line = self._lines[key.line]
        self._add([line[: key.value_at].rstrip("\r\n") + _value(value)])


def _is(known: str, comment: str) -> bool:
    return (_bare(known) if known else "") == comment


def _tokens(sections: Sequence[Section] | Sequence[_Written]) -> list[tuple[str, int]]:
    """Sections by name, and by how many of it came before."""
    seen: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    for section in sections:
        seen[section.name] = seen.get(section.name, 0) + 1
        found.append((section.name, seen[section.name]))
    return found
