"""How a file looks when it is written: as its author wrote it, with the changes put in, or as sops writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import creation, terminal
from agent.sops import decrypt, metadata
from agent.sops.stores import Store
from agent.values.errors import EmitError
from agent.yaml import numbers
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence as Many

    from agent.sops.decrypt import EncryptedFile
    from agent.sops.parts import Part
    from agent.sops.rules import Rules
    from agent.yaml.nodes import Value
    from agent.yaml.originals import Spliced, YamlOriginal

_WIDEST = 16


def spaces(text: str) -> int:
    """An indent. Raises ValueError for one that no file has."""
    number = int(text)
    if not 0 <= number <= _WIDEST:
        raise ValueError
    return number


def add_options(parser: argparse.ArgumentParser) -> None:
    """Sets `sops_format` and `indent`."""
    parser.add_argument(
        "--sops-format",
        action="store_true",
        help="write sops' own layout, byte for byte, instead of keeping comments, blank lines and quotes where they are",
    )
    parser.add_argument("--indent", metavar="N", type=spaces, help="the indent of that layout (.sops.yaml's stores)")


def kept(args: argparse.Namespace, data: bytes, source: Store, target: Store) -> bytes | None:
    """The text whose layout stays: `data`, unless the flags ask for another layout or type."""
    return None if args.sops_format or args.indent is not None or source is not target else data


class Reading:
    """A file that is read once, though its text is needed again where its layout stays."""

    def __init__(self, args: argparse.Namespace, data: bytes, source: Store, target: Store, *, file: str) -> None:
        self.before: bytes | YamlOriginal | None = kept(args, data, source, target)
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
        if self.before is None or self._store is not Store.YAML:
            return []
        # Only here, since sops' layout does without.
        from agent.yaml.originals import YamlOriginal

        original = YamlOriginal(self._data, file=self._file)
        self.before = original
        return original.documents


def indent(args: argparse.Namespace, config: Rules | None, store: Store, file: str = "") -> int | None:
    """The flag's, else that of the file's `.sops.yaml`."""
    return args.indent if args.indent is not None else creation.indent(creation.rules_of(config, file), store)


def written(
    documents: Many[Mapping],
    *,
    file: str,
    store: Store,
    indent: int | None,
    before: bytes | YamlOriginal | None = None,
    anew: bool = False,
) -> bytes:
    """The text nearest to `before` that holds these documents; without it, what sops writes. Notes go to stderr.

    `anew`: the `sops` entry of a YAML file is laid out as by sops, as all that is new at its end, though there was one.

    Raises EmitError, AlreadyEncryptedError, and YamlError for a `before` that is not of this type.
    """
    try:
        return _written(documents, file, store, indent, before, anew=anew)
    except EmitError as error:
        raise error.with_facts(file=file) from None


def _written(
    documents: Many[Mapping],
    file: str,
    store: Store,
    indent: int | None,
    before: bytes | YamlOriginal | None,
    *,
    anew: bool,
) -> bytes:
    if before is None or store is Store.BINARY:
        return store.emit(documents, indent=indent)
    if store is Store.YAML or not isinstance(before, bytes):
        # Only here, since sops' layout does without.
        from agent.yaml import splice

        entry = metadata.ENTRY if anew else ""
        # What is encrypted is bound to its map or list, comments too.
        loose = all(each.get(metadata.ENTRY) is None for each in documents)
        return _told(
            splice.splice(before, documents, file=file, indent=indent or 4, anew=entry, loose=loose, ends=True), file
        )
    if store is Store.DOTENV:
        from agent.sops import dotenv

        return dotenv.splice(before, documents[0])
    if store is Store.INI:
        from agent.sops import ini

        return ini.splice(before, documents, file=file)
    from agent.yaml import splice

    return _told(splice.splice_json(before, documents, file=file, indent=indent or 0), file)


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
    if before is None or store is not Store.YAML:
        return before
    from agent.yaml import splice

    alone = splice.splice(shown, documents, file=file, indent=indent or 4, loose=True, ends=True).data == after
    return stored if alone else before


def _told(spliced: Spliced, file: str) -> bytes:
    for each in spliced.notes:
        terminal.note(f"{file}:{each.line}: {each.message}")
    return spliced.data


def printed(documents: Many[Mapping], store: Store) -> list[Mapping]:
    """The documents as they are read back once sops has printed them: `2.0`, which `set` makes of `2`, is `2` in YAML and JSON."""
    if store not in {Store.YAML, Store.JSON}:
        return list(documents)
    return [_printed_mapping(each) for each in documents]


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
