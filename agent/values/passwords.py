"""Hashes and passwords as templates make them of a password, on plain text. They are slow by design.

Sources: golang.org/x/crypto/bcrypt, and derivePassword of github.com/Masterminds/sprig 3.3 (crypto.go), which is the algorithm of Master Password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from agent.values.sprig import UnusableError

if TYPE_CHECKING:
    from collections.abc import Sequence

SALT_BYTES: Final = 16
_BCRYPT: Final = re.compile(r"\$2[aby]\$10\$[./A-Za-z0-9]{53}")
"""A hash of the cost that templates have, which is also that of Go's package."""
_SETTINGS: Final = "$2a$10$"
_SALTED: Final = len(_SETTINGS) + 22
_ALPHABET: Final = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
_SEED: Final = b"com.lyndir.masterpassword"
_BLOCKS, _BLOCK_BYTES, _PARALLEL, _KEY_BYTES = 32768, 8, 2, 64
_ROOM: Final = 64 * 1024 * 1024
_MOST_COUNTER: Final = 2**32 - 1
_LONG: Final = (
    *("CvcvnoCvcvCvcv", "CvcvCvcvnoCvcv", "CvcvCvcvCvcvno", "CvccnoCvcvCvcv", "CvccCvcvnoCvcv", "CvccCvcvCvcvno", "CvcvnoCvccCvcv"),
    *("CvcvCvccnoCvcv", "CvcvCvccCvcvno", "CvcvnoCvcvCvcc", "CvcvCvcvnoCvcc", "CvcvCvcvCvccno", "CvccnoCvccCvcv", "CvccCvccnoCvcv"),
    *("CvccCvccCvcvno", "CvcvnoCvccCvcc", "CvcvCvccnoCvcc", "CvcvCvccCvccno", "CvccnoCvcvCvcc", "CvccCvcvnoCvcc", "CvccCvcvCvccno"),
)  # fmt: skip
_SHAPES: Final = {
    "maximum": ("anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"),
    "long": _LONG,
    "medium": ("CvcnoCvc", "CvcCvcno"),
    "short": ("Cvcn",),
    "basic": ("aaanaaan", "aannaaan", "aaannaaa"),
    "pin": ("nnnn",),
}
_LETTERS: Final = "AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_CHARACTERS: Final = {
    "V": "AEIOU",
    "C": "BCDFGHJKLMNPQRSTVWXYZ",
    "v": "aeiou",
    "c": "bcdfghjklmnpqrstvwxyz",
    "a": _LETTERS,
    "n": "0123456789",
    "o": "@&%?,=[]_:-+*$#!'^~;()/.",
    "x": _LETTERS + "0123456789!@#$%^&*()",
}


def hashed(text: str, salt: bytes) -> str:
    """The hash that `bcrypt` gives, with a salt of SALT_BYTES. Raises UnusableError."""
    written = base64.b64encode(salt).translate(_ALPHABET)[:22].decode()
    return _hash(text, _SETTINGS + written)


def fits(text: str, known: str) -> bool:
    """Whether a hash is one of this text. Raises UnusableError for a text that has none."""
    return hmac.compare_digest(_hash(text, known[:_SALTED]), known)


def hashes(text: str, most: int) -> list[str]:
    """The hashes that stand in a text, the first ones."""
    return [found.group() for found, _ in zip(_BCRYPT.finditer(text), range(most), strict=False)]


def _hash(text: str, settings: str) -> str:
    import bcrypt

    try:
        return bcrypt.hashpw(text.encode("utf-8", "surrogateescape"), settings.encode()).decode()
    except ValueError:
        pass
    raise UnusableError("bcrypt takes no password of more than 72 bytes")


def derived(password: str, parameters: Sequence[str]) -> str:
    """What `derivePassword` gives; the parameters are its counter, type, user and site. Raises UnusableError."""
    counter, kind, user, site = parameters
    shapes = _SHAPES.get(kind)
    if shapes is None or not re.fullmatch("[0-9]{1,10}", counter) or int(counter) > _MOST_COUNTER:
        raise UnusableError("the function takes other parameters")
    key = hashlib.scrypt(
        password.encode("utf-8", "surrogateescape"),
        salt=_SEED + _framed(user),
        n=_BLOCKS,
        r=_BLOCK_BYTES,
        p=_PARALLEL,
        maxmem=_ROOM,
        dklen=_KEY_BYTES,
    )
    seed = hmac.digest(key, _SEED + _framed(site) + int(counter).to_bytes(4, "big"), "sha256")
    shape = shapes[seed[0] % len(shapes)]
    return "".join(
        _CHARACTERS[each][byte % len(_CHARACTERS[each])] for each, byte in zip(shape, seed[1:], strict=False)
    )


def _framed(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    return len(raw).to_bytes(4, "big") + raw
