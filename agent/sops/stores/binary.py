"""Files of any kind, as sops's binary store keeps them: the bytes are one value, `data`, of a JSON file (`stores/json/store.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format.metadata import ENTRY
from agent.sops.stores import json, scalars
from agent.values.errors import EmitError
from agent.yaml.edit.edits import Spliced
from agent.yaml.limits import Limits, check_content, check_size
from agent.yaml.nodes import Entry, Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from agent.yaml.edit.originals import YamlOriginal

KEY = "data"

name = "binary"
single = True
flat = joins = commented = False
metadata_line = rb'\A\s*\{(?s:.)*"sops"\s*:'
metadata_prefix = ""

parse = json.parse
emit_value = scalars.only_text
printed = scalars.printed
holds = scalars.every


def parse_plain(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    """The bytes as text, with surrogate escapes where they are not UTF-8. Raises LimitError, and YamlError for a pointer of Git LFS."""
    check_content(data, file=file)
    check_size(data, file=file, limits=limits or Limits())
    return [Mapping((Entry(KEY, data.decode("utf-8", "surrogateescape"), 1),))]


def emit(documents: Many[Mapping], *, indent: int | None = None) -> bytes:
    """Without metadata the bytes. Raises EmitError where the documents are not one with text in `data`."""
    if documents and isinstance(documents[0].get(ENTRY), Mapping):
        return json.emit(documents, indent=indent)
    value = documents[0].get(KEY) if len(documents) == 1 else None
    if not isinstance(value, str):
        raise EmitError(
            "not an encrypted binary file: it has more than one text called data",
            hint="name what it is with --output-type, such as yaml or json",
        )
    return value.encode("utf-8", "surrogateescape")


def splice(
    before: bytes | YamlOriginal,
    documents: Many[Mapping],
    *,
    file: str,
    indent: int | None = None,
    rewrite_metadata: bool = False,
) -> Spliced:
    """As `emit`: there is no layout to keep."""
    del before, file, rewrite_metadata
    return Spliced(emit(documents, indent=indent))
