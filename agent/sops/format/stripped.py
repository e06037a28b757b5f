"""Files that hold encrypted values and no metadata: it was cut out, or they were never meant to be committed so.

A value that begins or ends as an encrypted one is one, even if it is damaged: no one writes that as plaintext.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.yaml.nodes import Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.yaml.nodes import Value


_BEGIN = r"ENC\[(?:AES|A?E?\Z)"
_END = r",iv:[A-Za-z0-9+/=]+,tag:[A-Za-z0-9+/=]+,type:[a-z]+\]\Z"
_BINARY = rb"(?s:.){0,16}ENC\[(?:AES|A?E?\Z)"


def is_binary(data: bytes) -> bool:
    """Whether bytes are what is left of an encrypted binary file."""
    return re.match(_BINARY, data) is not None


def was_encrypted(text: str) -> bool:
    """Whether a value was encrypted, whatever one accident made of it."""
    if text.startswith("ENC[") and re.match(_BEGIN, text) is not None:
        return True
    return text.endswith("]") and re.search(_END, text) is not None


def encrypted_line(documents: Iterable[Mapping]) -> int | None:
    """Where the first encrypted value stands, 1-based (0 where its type of file has no line numbers); None where there is none."""
    for document in documents:
        for line, text in _texts(document, 0):
            if was_encrypted(text):
                return line
    return None


def _texts(node: Value, line: int) -> Iterator[tuple[int, str]]:
    if isinstance(node, Mapping):
        for entry in node.entries():
            yield from _texts(entry.value, entry.line)
    elif isinstance(node, Sequence):
        for item in node.values():
            yield from _texts(item, line)
    elif isinstance(node, str):
        yield line, node
