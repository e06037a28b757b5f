"""What an armored PGP private key holds, looked at before gpg is given it: RFC 9580, without any of its cryptography.

gpg unpacks what is compressed, however much it becomes, onto storage that tenants share. So it is given the packets of keys alone, as they
were counted here.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN: Final = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
_END: Final = b"-----END PGP PRIVATE KEY BLOCK-----"
_HEADER: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:")
_SECRET: Final = frozenset({5, 7})
"""Secret key, secret subkey."""
_OF_KEYS: Final = frozenset({2, 5, 6, 7, 12, 13, 14, 17, 21})
"""Signature, keys and subkeys, trust, user id, user attribute, padding."""


def secret_keys(text: bytes) -> tuple[bytes, int]:
    """The packets of all private key blocks of a text, and how many secret keys and subkeys they hold.

    Raises ValueError for what is no armor, or holds anything but keys.
    """
    data = b"".join(map(_unarmor, _blocks(text)))
    tags = list(_tags(data))
    if not _OF_KEYS.issuperset(tags):
        raise ValueError("a packet that is none of a key")
    return data, sum(tag in _SECRET for tag in tags)


def _blocks(text: bytes) -> Iterator[bytes]:
    """What stands between the lines that begin and end one."""
    for part in text.split(_BEGIN)[1:]:
        line, _, rest = part.partition(b"\n")
        block, ended, _ = rest.partition(_END)
        if ended and not line.strip():
            yield block


def _unarmor(block: bytes) -> bytes:
    lines = [line.strip() for line in block.splitlines()]
    body: list[bytes] = []
    for line in lines:
        if _HEADER.match(line) and not body:
            continue
        if line.startswith(b"="):  # the checksum ends it
            break
        body.append(line)
    try:
        return base64.b64decode(b"".join(body), validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None


def _tags(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        first = data[at]
        if not first & 0x80:
            raise ValueError("no packet")
        if first & 0x40:
            tag, size, at = first & 0x3F, *_new_length(data, at + 1)
        else:
            tag, width = first >> 2 & 0x0F, 1 << (first & 3)
            if width == 8:
                raise ValueError("a packet without a length")
            size, at = int.from_bytes(data[at + 1 : at + 1 + width], "big"), at + 1 + width
        at += size
        if at > len(data):
            raise ValueError("a packet is cut off")
        yield tag


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Length of a packet's body, and where it begins."""
    first = data[at] if at < len(data) else 0
    if first < 192:
        return first, at + 1
    if first < 224:
        return ((first - 192) << 8) + (data[at + 1] if at + 1 < len(data) else 0) + 192, at + 2
    if first == 255:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    raise ValueError("a packet in parts")
