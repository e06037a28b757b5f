r"""`.env` files as sops's dotenv store reads and writes them (`stores/dotenv/store.go`).

A line is a comment where it begins with `#`, else a key up to the first `=`. Quotes, `export`, blanks and carriage returns mean nothing:
they belong to the key or the value. `\n` in a value is a line break. The metadata is flattened into keys that begin with `sops_`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format.metadata import ENTRY
from agent.sops.stores import alignment, flatten, scalars
from agent.values.errors import AlreadyEncryptedError, YamlError
from agent.yaml import guises
from agent.yaml.edit.edits import Spliced
from agent.yaml.limits import Limits, check_text, check_utf8
from agent.yaml.nodes import Comment, Entry, Mapping

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as Many

    from agent.yaml.edit.originals import YamlOriginal

name = "dotenv"
single = joins = False
flat = commented = True
metadata_line = rb"^sops_(?:version|mac|lastmodified)\s*="
metadata_prefix = "sops_"

emit_value = scalars.only_text
printed = flatten.scalar_text
holds = scalars.every


@guises.seen_through
def parse_plain(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    """One document of a file's lines; keys of metadata are keys. Raises YamlError for a line without `=`, LimitError."""
    check_text(data, file=file, limits=limits or Limits())
    check_utf8(data, file=file)
    items: list[Entry | Comment] = []
    for number, line in enumerate(_text(data).split("\n"), 1):
        if line:
            items.append(_item(line, file, number))
    return [Mapping(tuple(items))]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _item(line: str, file: str, number: int) -> Entry | Comment:
    if line[0] == "#":
        return Comment(line[1:])
    key, equals, value = line.partition("=")
    if not equals and line.endswith("\r"):
        raise YamlError(
            "the lines end with CRLF, and the carriage return is a line of its own here",
            hint="convert the file first: sed -i 's/\\r$//' makes the line ends those of Unix",
            file=file,
            line=number,
        )
    if not equals:
        raise YamlError(
            "this line is not KEY=value", hint="a comment begins with # in the first column", file=file, line=number
        )
    return Entry(key, value.replace("\\n", "\n"), number)


def parse(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    """A file's lines, with the metadata, where there is some, nested in one entry at the end.

    Raises YamlError, LimitError, SopsFormatError.
    """
    [document] = parse_plain(data, file=file, limits=limits)
    found = [entry for entry in document.entries() if str(entry.key).startswith(metadata_prefix)]
    if not found:
        return [document]
    fields = ((str(entry.key).removeprefix(metadata_prefix), str(entry.value)) for entry in found)
    nested = flatten.unflatten(fields, file=file, limits=limits)
    metadata = set(map(id, found))
    kept = (item for item in document.items if id(item) not in metadata)
    return [Mapping((*kept, Entry(ENTRY, nested, found[0].line)))]


def emit(documents: Many[Mapping], *, indent: int | None = None) -> bytes:
    """A file of the first document. Raises EmitError for a map or list in it, AlreadyEncryptedError for a key like metadata's."""
    del indent
    return _join(text for _, text in _lines(documents[0]))


def _join(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _lines(document: Mapping) -> list[tuple[str, str]]:
    """Each item's key (empty for a comment) and line."""
    items = list(document.items)
    metadata = [item.value for item in items if isinstance(item, Entry) and item.key == ENTRY]
    nested = [value for value in metadata if isinstance(value, Mapping)]
    found: list[tuple[str, str]] = []
    for item in items:
        if isinstance(item, Comment):
            # A comment of an INI file may have several lines.
            found.append(("", "#" + item.text.replace("\n", "\n#")))
        elif not (item.key == ENTRY and isinstance(item.value, Mapping)):
            if nested and str(item.key).startswith(metadata_prefix):
                raise AlreadyEncryptedError(
                    "a key begins with the prefix of the metadata's keys", hint="call it something else"
                )
            found.append((str(item.key), f"{item.key}={_value(item)}"))
    for each in nested:
        found += [
            (metadata_prefix + path, f"{metadata_prefix}{path}={_escaped(flatten.scalar_text(value))}")
            for path, value in flatten.flatten(each)
        ]
    return found


def _value(entry: Entry) -> str:
    return _escaped(flatten.scalar_text(flatten.plain_value(entry)))


def _escaped(text: str) -> str:
    return text.replace("\n", "\\n")


def splice(
    before: bytes | YamlOriginal,
    documents: Many[Mapping],
    *,
    file: str,
    indent: int | None = None,
    rewrite_metadata: bool = False,
) -> Spliced:
    """The text nearest to `before` that holds the first document: blank lines and the end stay. Raises as `emit`."""
    del file, indent, rewrite_metadata
    assert isinstance(before, bytes)
    wanted = _lines(documents[0])
    old, blanks, rest = _read(_text(before))
    places = alignment.align(_tokens([key for key, _ in old]), _tokens([key for key, _ in wanted]))
    lines: list[str] = []
    for place, (_, text) in zip(places, wanted, strict=True):
        lines += [""] * (0 if place is None else blanks[place])
        lines.append(text)
    text = _join([*lines, *[""] * rest])
    return Spliced(text if before[-1:] in {b"\n", b""} else text.removesuffix(b"\n"))


def _read(text: str) -> tuple[list[tuple[str, str]], list[int], int]:
    """The lines as `_lines` gives them, how many blank ones stand before each, and how many at the end."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    found: list[tuple[str, str]] = []
    blanks: list[int] = []
    before = 0
    for line in lines:
        if not line:
            before += 1
            continue
        found.append(("" if line[0] == "#" else line.partition("=")[0], line))
        blanks.append(before)
        before = 0
    return found, blanks, before


def _tokens(keys: list[str]) -> list[tuple[str, int]]:
    """What lines are known by: a key by its name, a comment by the key that follows it; each by how many of it are below."""
    seen: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    following = ""
    for key in reversed(keys):
        name = key or f"#{following}"
        following = key or following
        seen[name] = seen.get(name, 0) + 1
        found.append((name, seen[name]))
    return found[::-1]
