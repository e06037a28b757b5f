"""Bytes ↔ documents and metadata: what a store does, which one a file is for, and the entry that holds the metadata.

A store is a module of this package, one for each type of file that sops has, loaded when a file is of it. The metadata is the entry
`sops` of a document, nested, whatever the type makes of it: `.env` and INI files hold it flat. Every document of a YAML file carries a
full copy when written; the first one's is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from agent.sops.format import metadata as metadata_format
from agent.values.errors import AlreadyEncryptedError, EmitError, EmptyDocumentError, SopsFormatError
from agent.yaml.nodes import Entry, Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from agent.sops.format.metadata import Metadata
    from agent.yaml.edit.edits import Spliced
    from agent.yaml.edit.originals import YamlOriginal
    from agent.yaml.limits import Limits
    from agent.yaml.nodes import Scalar, Value

NAMES: Final = ("yaml", "json", "dotenv", "ini", "binary")
_SUFFIXES: Final = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".env": "dotenv", ".ini": "ini"}


class Store(Protocol):
    """A type of file, as sops's store of that name reads and writes it."""

    name: str
    """What `--input-type` calls it."""

    single: bool
    """Whether a file is one value that is always encrypted, so that no selection applies."""

    flat: bool
    """Whether every value is text, and none is a map or list but an INI file's sections."""

    joins: bool
    """Whether several documents are written as one."""

    commented: bool
    """Whether a file has room for comments."""

    metadata_line: bytes
    """A pattern of the line that the metadata begins on: an encrypted file is found by it without parsing."""

    metadata_prefix: str
    """How the keys of the metadata begin where they stand among those of values; else empty."""

    def parse(self, data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
        """The documents of an encrypted file, metadata included. Raises YamlError, LimitError, SopsFormatError."""
        ...

    def parse_plain(self, data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
        """The documents of a file in the clear: a binary one is all data, and nothing is metadata. Raises YamlError, LimitError."""
        ...

    def emit(self, documents: Many[Mapping], *, indent: int | None = None) -> bytes:
        """What sops writes: encrypted where there is metadata. `indent` None: four spaces, and a tab for JSON.

        JSON and `.env` have room for the first document only. Raises EmitError for what has no form in the type, AlreadyEncryptedError
        for a key of a `.env` file that begins as the metadata's.
        """
        ...

    def emit_value(self, value: Value, *, indent: int | None = None) -> bytes:
        """A part of a document that is no map; text is its bytes. Raises EmitError."""
        ...

    def splice(
        self,
        before: bytes | YamlOriginal,
        documents: Many[Mapping],
        *,
        file: str,
        indent: int | None = None,
        rewrite_metadata: bool = False,
    ) -> Spliced:
        """The text nearest to `before` that holds these documents, with the `indent` of what has none there.

        `rewrite_metadata`: the `sops` entry of a YAML file is laid out as by sops, as all that is new at its end, though there was one.
        Raises YamlError for a `before` that is not of this type, EmitError, AlreadyEncryptedError.
        """
        ...

    def printed(self, value: Scalar) -> Scalar:
        """A scalar as it is read back where it stands in the clear."""
        ...

    def holds(self, documents: Many[Mapping]) -> bool:
        """Whether the type has a form for every scalar of documents that it has room for."""
        ...


def named(name: str) -> Store:
    """The store of a name, which is one of NAMES. Its code is loaded here."""
    match name:
        case "yaml":
            from agent.sops.stores import yaml

            return yaml
        case "json":
            from agent.sops.stores import json

            return json
        case "dotenv":
            from agent.sops.stores import dotenv

            return dotenv
        case "ini":
            from agent.sops.stores import ini

            return ini
        case _:
            from agent.sops.stores import binary

            return binary


def of(file: str, name: str = "") -> Store:
    """The store of a file by the type that the user gives, else by its name; binary where neither says, as for sops."""
    if name in NAMES:
        return named(name)
    return named(next((store for suffix, store in _SUFFIXES.items() if file.endswith(suffix)), "binary"))


def split(documents: Many[Mapping], *, file: str) -> tuple[list[Mapping], Metadata | None]:
    """The documents without their `sops` entries, and the first one's metadata. Raises SopsFormatError."""
    metadata: Metadata | None = None
    bare: list[Mapping] = []
    for index, document in enumerate(documents):
        found = [entry for entry in document.entries() if entry.key == metadata_format.ENTRY]
        if index == 0 and found:
            node = found[0].value
            if len(found) > 1 or not isinstance(node, Mapping):
                raise SopsFormatError("the sops entry is not one map", file=file, line=found[0].line)
            metadata = metadata_format.parse(node, file=file)
        bare.append(
            Mapping(
                tuple(
                    item
                    for item in document.items
                    if not (isinstance(item, Entry) and item.key == metadata_format.ENTRY)
                )
            )
            if found
            else document
        )
    return bare, metadata


def join(documents: Many[Mapping], metadata: Metadata) -> list[Mapping]:
    """The documents, each with the metadata at its end."""
    entry = Entry(metadata_format.ENTRY, metadata_format.emit(metadata))
    return [Mapping((*document.items, entry)) for document in documents]


def check_plain(documents: Many[Mapping], *, file: str, store: Store | None = None) -> None:
    """Whether these may be encrypted, into a file of this type. Raises EmptyDocumentError, AlreadyEncryptedError."""
    prefix = "" if store is None else store.metadata_prefix
    if not documents:
        raise EmptyDocumentError("the file has no document", file=file)
    for entry in (entry for document in documents for entry in document.entries()):
        if entry.key == metadata_format.ENTRY or (prefix and str(entry.key).startswith(prefix)):
            raise AlreadyEncryptedError(
                "the file has a sops entry, so it is encrypted already",
                hint="to change it, use edit; a file that is not encrypted must call this entry something else",
                file=file,
            )


def refuse_nulls(documents: Many[Mapping], *, file: str) -> None:
    """Of a flat file: a null would be read again as text, and as none that is encrypted. Raises EmitError."""
    for document in documents:
        for entry in document.entries():
            values = entry.value.entries() if isinstance(entry.value, Mapping) else (entry,)
            for each in values:
                if each.value is None:
                    raise EmitError(
                        "a null cannot be written to this type of file",
                        hint='set it to "", or remove it',
                        file=file,
                        key=str(each.key),
                    )
