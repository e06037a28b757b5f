"""Bytes ↔ documents and metadata, for the file types that are supported: YAML and JSON.

Every document of a YAML file carries a full copy of the metadata when written; the first one's is read.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from agent.sops import metadata as metadata_format
from agent.values.errors import AlreadyEncryptedError, EmptyDocumentError, SopsFormatError
from agent.yaml import emit as yaml_emit
from agent.yaml import json
from agent.yaml import sealed as yaml
from agent.yaml.limits import Limits
from agent.yaml.nodes import Entry, Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.sops.metadata import Metadata
    from agent.yaml.nodes import Value


class Store(Enum):
    """A file type, by what `--input-type` calls it."""

    YAML = "yaml"
    JSON = "json"

    def parse(self, data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
        """The documents of a file, metadata included. Raises YamlError, LimitError."""
        limits = limits or Limits()
        if self is Store.JSON:
            return [json.parse(data, file=file, limits=limits)]
        return yaml.parse(data, file=file, limits=limits)

    def emit(self, documents: Sequence[Mapping], *, indent: int | None = None) -> bytes:
        """What sops writes; JSON has room for the first document only. `indent` None: four spaces, and a tab for JSON."""
        if self is Store.JSON:
            return json.emit(documents[0], indent="\t" if indent is None else " " * indent)
        return yaml_emit.emit(documents, indent=indent or 4)

    def emit_value(self, value: Value, *, indent: int | None = None) -> bytes:
        """A part of a document."""
        if self is Store.JSON:
            return json.emit_value(value, indent="\t" if indent is None else " " * indent)
        return yaml_emit.emit_value(value, indent=indent or 4)


def of(file: str, name: str = "") -> Store:
    """The store of a file by its name, or by what the user calls it. Raises SopsFormatError for the others."""
    kind = name or {"yaml": "yaml", "yml": "yaml", "json": "json"}.get(file.rpartition(".")[2], "")
    for store in Store:
        if store.value == kind:
            return store
    raise SopsFormatError(
        "files of this type are not supported", hint="supported are .yaml, .yml and .json, or --input-type", file=file
    )


def split(documents: Sequence[Mapping], *, file: str) -> tuple[list[Mapping], Metadata | None]:
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


def join(documents: Sequence[Mapping], metadata: Metadata) -> list[Mapping]:
    """The documents, each with the metadata at its end."""
    entry = Entry(metadata_format.ENTRY, metadata_format.emit(metadata))
    return [Mapping((*document.items, entry)) for document in documents]


def check_plain(documents: Sequence[Mapping], *, file: str) -> None:
    """Whether these may be encrypted. Raises EmptyDocumentError, AlreadyEncryptedError."""
    if not documents:
        raise EmptyDocumentError("the file has no document", file=file)
    if any(entry.key == metadata_format.ENTRY for document in documents for entry in document.entries()):
        raise AlreadyEncryptedError(
            "the file has a sops entry, so it is encrypted already",
            hint="to change it, use edit; a file that is not encrypted must call this entry something else",
            file=file,
        )
