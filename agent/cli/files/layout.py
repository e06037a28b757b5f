"""How a file looks when it is written: as its author wrote it, with the changes put in, or as sops writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import rules
from agent.sops.files import decrypt
from agent.values.dataclass import dataclass
from agent.values.errors import EmitError
from agent.yaml import numbers
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence as Many

    from agent.sops.files.decrypt import EncryptedFile
    from agent.sops.files.parts import Part
    from agent.sops.rules.config import Rules
    from agent.sops.stores import Store
    from agent.yaml.edit.edits import Spliced
    from agent.yaml.edit.originals import YamlOriginal
    from agent.yaml.nodes import Value

_WIDEST = 16


@dataclass(frozen=True, slots=True)
class Style:
    """How the user wants files written: by default as they were, with what changed put in."""

    sops_format: bool
    indent: int | None


def spaces(text: str) -> int:
    """An indent. Raises ValueError for one that no file has."""
    number = int(text)
    if not 0 <= number <= _WIDEST:
        raise ValueError
    return number


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `Style`."""
    parser.add_argument(
        "--sops-format",
        action="store_true",
        help="write sops' own layout, byte for byte, instead of keeping comments, blank lines and quotes where they are",
    )
    parser.add_argument("--indent", metavar="N", type=spaces, help="the indent of that layout (.sops.yaml's stores)")


def kept(style: Style, data: bytes, source: Store, target: Store) -> bytes | None:
    """The text whose layout stays: `data`, unless another layout or type is asked for."""
    return None if style.sops_format or style.indent is not None or source is not target else data


class Reading:
    """A file that is read once, though its text is needed again where its layout stays."""

    def __init__(self, style: Style, data: bytes, source: Store, target: Store, *, file: str) -> None:
        self.before: bytes | YamlOriginal | None = kept(style, data, source, target)
        self._data = data
        self._store = source
        self._file = file

    def plain(self) -> list[Mapping]:
        """The documents of a file in the clear. Raises YamlError, LimitError."""
        return self._yaml() or self._store.parse_plain(self._data, file=self._file)

    def encrypted(self) -> EncryptedFile:
        """Raises YamlError, LimitError, SopsFormatError."""
        return decrypt.of(self._parsed, self._data, file=self._file)

    def parts(self) -> tuple[Part, ...]:
        """What was encrypted together, and what is clear. Raises YamlError, LimitError, SopsFormatError."""
        return decrypt.parts_of(self._parsed, self._data, file=self._file)

    def _parsed(self) -> list[Mapping]:
        return self._yaml() or self._store.parse(self._data, file=self._file)

    def _yaml(self) -> list[Mapping]:
        if self.before is None or self._store.name != "yaml":
            return []
        # Only here, since sops' layout does without.
        from agent.yaml.edit.originals import YamlOriginal

        original = YamlOriginal(self._data, file=self._file)
        self.before = original
        return original.documents


def indent(style: Style, config: Rules | None, store: Store, file: str = "") -> int | None:
    """The style's, else that of the file's `.sops.yaml`."""
    return style.indent if style.indent is not None else rules.indent(rules.of(config, file), store)


def written(
    documents: Many[Mapping],
    *,
    file: str,
    store: Store,
    indent: int | None,
    before: bytes | YamlOriginal | None = None,
    rewrite_metadata: bool = False,
) -> bytes:
    """The text nearest to `before` that holds these documents; without it, what sops writes. Notes go to stderr.

    `rewrite_metadata` as in `Store.splice`. Raises EmitError, AlreadyEncryptedError, and YamlError for a `before` of another type.
    """
    try:
        if before is None:
            return store.emit(documents, indent=indent)
        return _noted(
            store.splice(before, documents, file=file, indent=indent, rewrite_metadata=rewrite_metadata), file
        )
    except EmitError as error:
        raise error.with_facts(file=file) from None


def nearest(
    before: bytes | YamlOriginal | None,
    stored: bytes,
    shown: bytes,
    after: bytes,
    documents: Many[Mapping],
    *,
    file: str,
    store: Store,
    indent: int | None,
) -> bytes | YamlOriginal | None:
    """The text whose layout stays of what was `stored`, then `shown`, and is `after` an edit: `before`, which is that of `after`.

    But the stored one where nothing but values was changed in what was shown, so that it has no layout of its own. Raises YamlError.
    """
    if before is None or store.name != "yaml":
        return before
    from agent.yaml.edit import splice

    spliced = splice.splice(shown, documents, file=file, indent=indent or 4, ignore_comment_position=True, ends=True)
    alone = spliced.data == after
    return stored if alone else before


def _noted(spliced: Spliced, file: str) -> bytes:
    for each in spliced.notes:
        terminal.note(f"{file}:{each.line}: {each.message}")
    return spliced.data


def printed(documents: Many[Mapping], store: Store) -> list[Mapping]:
    """The documents as they are read back once sops has printed them: `2.0`, which `set` makes of `2`, is `2` in YAML and JSON."""
    if store.flat or store.single:
        return list(documents)
    return [_printed_mapping(each) if _has_float(each) else each for each in documents]


def _has_float(node: Mapping | Sequence) -> bool:
    for item in node.items:
        value = item.value if isinstance(item, Entry) else item
        if isinstance(value, float) or (isinstance(value, (Mapping, Sequence)) and _has_float(value)):
            return True
    return False


def _printed_mapping(node: Mapping) -> Mapping:
    return Mapping(
        tuple(
            Entry(item.key, _printed(item.value), item.line) if isinstance(item, Entry) else item for item in node.items
        )
    )


def _printed(value: Value) -> Value:
    if isinstance(value, float):
        text = numbers.float_text(value)
        number = numbers.parse_int(text, 10)
        return value if number is None or text == "-0" else number
    if isinstance(value, Mapping):
        return _printed_mapping(value)
    if isinstance(value, Sequence):
        return Sequence(tuple(item if isinstance(item, Comment) else _printed(item) for item in value.items))
    return value
