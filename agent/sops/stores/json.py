"""JSON files, as sops's JSON store reads and writes them (`stores/json/store.go`): one document, without comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.stores import scalars
from agent.yaml.limits import Limits
from agent.yaml.nodes import Mapping, Sequence, Timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from agent.yaml.edit.edits import Spliced
    from agent.yaml.edit.originals import YamlOriginal
    from agent.yaml.nodes import Scalar, Value

name = "json"
single = flat = joins = commented = False
metadata_line = rb'"sops"\s*:'
metadata_prefix = ""


def parse(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    from agent.yaml.read import json

    return json.documents(data, file=file, limits=limits or Limits())


def parse_plain(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    from agent.yaml.read import json

    return [json.parse(data, file=file, limits=limits or Limits(), whole=True)]


def emit(documents: Many[Mapping], *, indent: int | None = None) -> bytes:
    from agent.yaml.write import json

    return json.emit(documents[0], indent=_indent(indent))


def emit_value(value: Value, *, indent: int | None = None) -> bytes:
    from agent.yaml.write import json

    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return json.emit_value(value, indent=_indent(indent))


def splice(
    before: bytes | YamlOriginal,
    documents: Many[Mapping],
    *,
    file: str,
    indent: int | None = None,
    rewrite_metadata: bool = False,
) -> Spliced:
    # Only here, since sops' layout does without.
    from agent.yaml.edit import splice as edit

    del rewrite_metadata
    assert isinstance(before, bytes)
    return edit.splice_json(before, documents, file=file, indent=indent or 0)


def printed(value: Scalar) -> Scalar:
    return value.text if isinstance(value, Timestamp) else scalars.printed(value)


def holds(documents: Many[Mapping]) -> bool:
    """Not infinity, NaN, nor bytes that are not UTF-8."""
    return all(map(_holds, documents))


def _holds(value: Value) -> bool:
    if isinstance(value, Mapping):
        return all(_holds(entry.value) for entry in value.entries())
    if isinstance(value, Sequence):
        return all(map(_holds, value.values()))
    if isinstance(value, str) and not value.isascii():
        return not any("\ud800" <= char <= "\udfff" for char in value)
    return not isinstance(value, float) or value - value == 0


def _indent(spaces: int | None) -> str:
    return "\t" if spaces is None else " " * spaces
