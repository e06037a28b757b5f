"""Encrypted values that stay, in the quotes that they had: those of plaintext say nothing of them."""

from __future__ import annotations

import re

from agent.yaml.matching import same_documents
from agent.yaml.read import yaml as sealed
from agent.yaml.read.lines import SEALED

_VALUE = re.compile(rf"""(?P<quote>["']?)(?P<sealed>{SEALED})(?P=quote)""")


def requoted(data: bytes, stored: bytes, *, file: str) -> bytes:
    """An encrypted file, its values quoted as in a version that is `stored`, if it then says the same. Raises YamlError, LimitError."""
    former = {each["sealed"]: each["quote"] for each in _VALUE.finditer(_text(stored))}

    def quoted(found: re.Match[str]) -> str:
        quote = former.get(found["sealed"], found["quote"])
        return f"{quote}{found['sealed']}{quote}"

    made = _VALUE.sub(quoted, _text(data)).encode("utf-8", "surrogateescape")
    if made == data:
        return data
    said = sealed.parse(data, file=file)
    return made if same_documents(sealed.parse(made, file=file), said) else data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
