"""Bytes ↔ documents and metadata, for every type of file that sops has.

The metadata is the entry `sops` of a document, nested, whatever the type makes of it: `.env` and INI files hold it flat. Every document
of a YAML file carries a full copy when written; the first one's is read. The code of a type is loaded when a file is of it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from agent.sops import binary
from agent.sops import metadata as metadata_format
from agent.values.errors import AlreadyEncryptedError, EmitError, EmptyDocumentError, SopsFormatError, YamlError
from agent.yaml.limits import Limits
from agent.yaml.nodes import Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from agent.sops.metadata import Metadata
    from agent.yaml.nodes import Value


class Store(Enum):
    """A file type, by what `--input-type` calls it."""

    YAML = "yaml"
    JSON = "json"
    DOTENV = "dotenv"
    INI = "ini"
    BINARY = "binary"

    def parse(self, data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
        """The documents of an encrypted file, metadata included. Raises YamlError, LimitError, SopsFormatError."""
        limits = limits or Limits()
        match self:
            case Store.YAML:
                from agent.yaml import sealed as yaml

                documents = yaml.parse(data, file=file, limits=limits)
                if data and not documents:
                    raise YamlError("the file has comments or blank lines alone", file=file)
                return documents
            case Store.JSON | Store.BINARY:
                from agent.yaml import json

                return [json.parse(data, file=file, limits=limits)]
            case Store.DOTENV:
                from agent.sops import dotenv

                return [dotenv.parse(data, file=file, limits=limits)]
            case Store.INI:
                from agent.sops import ini

                return [ini.parse(data, file=file, limits=limits)]

    def parse_plain(self, data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
        """The documents of a file in the clear: a binary one is all data, and nothing is metadata. Raises YamlError, LimitError."""
        match self:
            case Store.BINARY:
                return [binary.parse_plain(data, file=file, limits=limits)]
            case Store.DOTENV:
                from agent.sops import dotenv

                return [dotenv.parse_plain(data, file=file, limits=limits)]
            case Store.INI:
                from agent.sops import ini

                return [ini.parse_plain(data, file=file, limits=limits)]
            case Store.JSON:
                from agent.yaml import json

                return [json.parse(data, file=file, limits=limits, whole=True)]
            case Store.YAML:
                return self.parse(data, file=file, limits=limits)

    def emit(self, documents: Many[Mapping], *, indent: int | None = None) -> bytes:
        """What sops writes: encrypted where there is metadata. `indent` None: four spaces, and a tab for JSON.

        JSON and `.env` have room for the first document only. Raises EmitError for what has no form in the type, AlreadyEncryptedError
        for a key of a `.env` file that begins as the metadata's.
        """
        match self:
            case Store.YAML:
                from agent.yaml import emit as yaml

                return yaml.emit(documents, indent=indent or 4)
            case Store.DOTENV:
                from agent.sops import dotenv

                return dotenv.emit(documents[0])
            case Store.INI:
                from agent.sops import ini

                return ini.emit(documents)
            case Store.BINARY if not _holds_metadata(documents):
                return binary.emit_plain(documents)
            case _:
                from agent.yaml import json

                return json.emit(documents[0], indent=_json_indent(indent))

    def emit_value(self, value: Value, *, indent: int | None = None) -> bytes:
        """A part of a document that is not a map; text is its bytes. Raises EmitError."""
        if self is Store.YAML:
            from agent.yaml import emit as yaml

            return yaml.emit_value(value, indent=indent or 4)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if self is Store.JSON or (self is Store.INI and not isinstance(value, Mapping | Sequence)):
            from agent.yaml import json

            return json.emit_value(value, indent=_json_indent(indent))
        raise EmitError("a value that is no text has no form in this type of file", hint="name another --output-type")

    @property
    def single(self) -> bool:
        """Whether a file is one value that is always encrypted, so that no selection applies."""
        return self is Store.BINARY


def _json_indent(indent: int | None) -> str:
    return "\t" if indent is None else " " * indent


def _holds_metadata(documents: Many[Mapping]) -> bool:
    return bool(documents) and isinstance(documents[0].get(metadata_format.ENTRY), Mapping)


_SUFFIXES = {
    ".yaml": Store.YAML,
    ".yml": Store.YAML,
    ".json": Store.JSON,
    ".env": Store.DOTENV,
    ".ini": Store.INI,
}


def of(file: str, name: str = "") -> Store:
    """The store that a file is for by what the user calls it, else by its name; what neither tells is binary, as for sops."""
    called = next((store for store in Store if store.value == name), None)
    return called or next((store for suffix, store in _SUFFIXES.items() if file.endswith(suffix)), Store.BINARY)


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


def check_plain(documents: Many[Mapping], *, file: str, store: Store = Store.YAML) -> None:
    """Whether these may be encrypted, into a file of this type. Raises EmptyDocumentError, AlreadyEncryptedError."""
    if not documents:
        raise EmptyDocumentError("the file has no document", file=file)
    for entry in (entry for document in documents for entry in document.entries()):
        if entry.key == metadata_format.ENTRY or (store is Store.DOTENV and _is_flat_metadata(entry)):
            raise AlreadyEncryptedError(
                "the file has a sops entry, so it is encrypted already",
                hint="to change it, use edit; a file that is not encrypted must call this entry something else",
                file=file,
            )


def _is_flat_metadata(entry: Entry) -> bool:
    from agent.sops import dotenv

    return isinstance(entry.key, str) and entry.key.startswith(dotenv.PREFIX)


def refuse_nulls(documents: Many[Mapping], *, file: str) -> None:
    """Of a flat file: a null would be read again as text, and as none that is encrypted. Raises EmitError."""
    for document in documents:
        for entry in document.entries():
            values = entry.value.entries() if isinstance(entry.value, Mapping) else (entry,)
            for each in values:
                if each.value is None:
                    raise EmitError(
                        "a null has no form in this type of file",
                        hint='set it to "", or remove it',
                        file=file,
                        key=str(each.key),
                    )
