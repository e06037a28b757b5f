"""YAML files, as sops's YAML store reads and writes them: several documents, comments among the items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format.metadata import ENTRY
from agent.sops.stores import scalars
from agent.values.errors import YamlError
from agent.yaml.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from agent.yaml.edit.edits import Spliced
    from agent.yaml.edit.originals import YamlOriginal
    from agent.yaml.nodes import Mapping, Value

name = "yaml"
single = flat = joins = False
commented = True
metadata_line = rb"""^["']?sops["']?[ \t]*:|\A\s*\{(?s:.)*["']sops["']\s*:"""
metadata_prefix = ""

printed = scalars.printed
holds = scalars.every


def parse(data: bytes, *, file: str, limits: Limits | None = None) -> list[Mapping]:
    """Raises YamlError, also for a file that has no document though there is something in it, and LimitError."""
    from agent.yaml.read import yaml

    documents = yaml.parse(data, file=file, limits=limits or Limits())
    if data and not documents:
        raise YamlError("the file has only comments or blank lines", file=file)
    return documents


parse_plain = parse


def emit(documents: Many[Mapping], *, indent: int | None = None) -> bytes:
    from agent.yaml.write import yaml

    return yaml.emit(documents, indent=indent or 4)


def emit_value(value: Value, *, indent: int | None = None) -> bytes:
    from agent.yaml.write import yaml

    return yaml.emit_value(value, indent=indent or 4)


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

    # What is encrypted is bound to its map or list, comments too.
    clear = all(each.get(ENTRY) is None for each in documents)
    entry = ENTRY if rewrite_metadata else ""
    return edit.splice(
        before, documents, file=file, indent=indent or 4, rewrite=entry, ignore_comment_position=clear, ends=True
    )
