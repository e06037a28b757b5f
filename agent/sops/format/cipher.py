"""The values of a file: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, bound to the keys that lead to them.

Formats as github.com/getsops/sops `aes/cipher.go` and `ToBytes` in `sops.go`. The one module of this room that reads a Secret: the
data key.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidTag

from agent.values.dataclass import dataclass
from agent.values.errors import DataKeyError, SopsDecryptError, SopsEncryptError, SopsFormatError
from agent.values.primitives import AESGCM
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.yaml import numbers, timestamps
from agent.yaml.nodes import Comment, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Text: TypeAlias = str | int | float | bool | Timestamp | Comment
"""What can be encrypted. A `str` may hold bytes that are not UTF-8, as surrogate escapes."""

DATA_KEY_SIZE = 32
IV_SIZE = 32
TAG_SIZE = 16

PREFIX = "ENC[AES256_GCM,"
"""How every encrypted value begins."""

_USUAL = re.compile(r"ENC\[AES256_GCM,data:([^,]++),iv:([^,]++),tag:([^,]++),type:([a-z]++)\]")
"""Without a comma in a part, which base64 has not: to compile its letters three times takes half a millisecond."""
_FORM = r"ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]"
_INT = r"[+-]?[0-9]{1,40}"
_FLOAT = r"(?i:[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity)|nan)"
_BOOLS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A value's parts, decoded. `data` ends with the tag."""

    data: bytes
    iv: bytes
    type: str


def parse(text: str) -> Encrypted | None:
    """The parts of an encrypted value, or None for any other text. What follows the bracket is ignored, as by sops."""
    if not text.startswith(PREFIX):
        return None
    found = _USUAL.fullmatch(text) or re.match(_FORM, text)
    if found is None:
        return None
    data, iv, tag, kind = found.groups()
    try:
        return Encrypted(
            a2b_base64(data, strict_mode=True) + a2b_base64(tag, strict_mode=True),
            a2b_base64(iv, strict_mode=True),
            kind,
        )
    except ValueError:
        return None


def plain_bytes(value: Text) -> bytes:
    """What is encrypted, and what the MAC covers. Confidential."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, float):
        return numbers.decimal_text(value).encode()
    return value.text.encode("utf-8", "surrogateescape")


def type_of(value: Text) -> str:
    """`str`, `int`, `float`, `bool`, `time` or `comment`."""
    if isinstance(value, str):
        return "str"
    if isinstance(value, Timestamp):
        return "time"
    if isinstance(value, Comment):
        return "comment"
    return "float" if isinstance(value, float) else type(value).__name__


class Cipher:
    """Opens and makes values with one data key."""

    def __init__(self, data_key: Secret) -> None:
        """Raises DataKeyError for what is not 32 bytes."""
        key = reveal(data_key)
        if not isinstance(key, bytes) or len(key) != DATA_KEY_SIZE:
            raise DataKeyError("a data key is 32 bytes", key=data_key.label)
        self.data_key = data_key
        self._gcm = AESGCM(key)

    def open(self, value: Encrypted, aad: str) -> Text:
        """The value, whose `aad` must be what it was made with. Raises SopsDecryptError, SopsFormatError."""
        try:
            raw = self._gcm.decrypt(value.iv, value.data, aad.encode("utf-8", "surrogateescape"))
        except InvalidTag:
            raise SopsDecryptError(
                "value does not open with the file's data key",
                hint="it was altered, or moved from elsewhere: restore it, and change it with `agent edit` or sops",
            ) from None
        except ValueError:
            raise SopsFormatError("value has an iv of a size that cannot be used") from None
        return _typed(raw.decode("utf-8", "surrogateescape"), value.type)

    def encrypt(self, value: Text, aad: str, iv: bytes) -> str:
        """The encrypted form; empty text stays empty."""
        plain = plain_bytes(value)
        if not plain:
            return ""
        out = self._gcm.encrypt(iv, plain, aad.encode("utf-8", "surrogateescape"))
        return (
            b"ENC[AES256_GCM,data:%b,iv:%b,tag:%b,type:%b]"
            % (
                b2a_base64(out[:-TAG_SIZE], newline=False),
                b2a_base64(iv, newline=False),
                b2a_base64(out[-TAG_SIZE:], newline=False),
                type_of(value).encode(),
            )
        ).decode()


def split_data_key(data_key: Secret, groups: int, threshold: int, random_bytes: Callable[[int], bytes]) -> list[Secret]:
    """A part for each group, any `threshold` of which are enough. Raises SopsEncryptError."""
    from agent.sops.format import shamir

    key = reveal(data_key)
    assert isinstance(key, bytes)
    if not 2 <= threshold <= groups <= shamir.MOST_SHARES:
        raise SopsEncryptError(
            "the data key cannot be split so",
            hint="the threshold is at least 2 and at most the number of key groups",
            groups=groups,
            threshold=threshold,
        )
    return [Secret(part, f"part of {data_key.label}") for part in shamir.split(key, groups, threshold, random_bytes)]


def join_data_key(parts: Sequence[Secret]) -> Secret:
    """The data key of as many parts as are needed. Raises DataKeyError for what are no parts of one key."""
    from agent.sops.format import shamir

    shares = [part for part in map(reveal, parts) if isinstance(part, bytes)]
    return Secret(shamir.combine(shares), *dict.fromkeys(label for part in parts for label in part.labels))


def _typed(text: str, kind: str) -> Text:
    match kind:
        case "str" | "bytes":
            return text
        case "comment":
            return Comment(text)
        case "bool" if text in _BOOLS:
            return _BOOLS[text]
        case "int" if re.fullmatch(_INT, text) and -(1 << 63) <= int(text) < 1 << 63:
            return int(text)
        case "float" if re.fullmatch(_FLOAT, text):
            return float(text)
        case "time" if (time := timestamps.parse_rfc3339(text)) is not None:
            return time
        case _:
            raise SopsDecryptError("value is not of the type that it is labelled with")
