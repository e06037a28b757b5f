"""Files of any kind, as sops's binary store keeps them: the bytes are one value, `data`, of a JSON file (`stores/json/store.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.errors import EmitError
from agent.yaml.limits import Limits, check_content, check_size
from agent.yaml.nodes import Entry, Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "data"


def parse_plain(data: bytes, *, file: str, limits: Limits | None = None) -> Mapping:
    """The bytes as text, with surrogate escapes where they are not UTF-8. Raises LimitError, and YamlError for a pointer of Git LFS."""
    check_content(data, file=file)
    check_size(data, file=file, limits=limits or Limits())
    return Mapping((Entry(KEY, data.decode("utf-8", "surrogateescape"), 1),))


def emit_plain(documents: Sequence[Mapping]) -> bytes:
    """The bytes. Raises EmitError where the documents are not one with text in `data`."""
    value = documents[0].get(KEY) if len(documents) == 1 else None
    if not isinstance(value, str):
        raise EmitError(
            "this is no encrypted binary file: it has more than one text called data",
            hint="name what it is with --output-type, such as yaml or json",
        )
    return value.encode("utf-8", "surrogateescape")
