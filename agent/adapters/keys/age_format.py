"""The age file format, age-encryption.org/v1: armor, header and payload, read as strictly as the format says.

Identities and recipients know stanzas alone; this module knows what stands around them. A file is small here (a data key, or an
identity file), so it is read and written whole: nothing of a payload is given out before all of it is authentic.

Format: https://c2sp.org/age.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256

from agent.values.dataclass import dataclass
from agent.values.errors import DataKeyError
from agent.values.primitives import HKDF, HMAC, ChaCha20Poly1305

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.adapters.keys.age_identities import Identity

MALFORMED = "not an age file, or its header is malformed"
ARMOR = "the armor of the age file is damaged"
ALTERED = "the header of the age file was altered"
PAYLOAD = "the payload of the age file is damaged"
MANY_STANZAS = "the age file has more recipients than are tried"
LATE = "not tried: the file's keys took too long"

FILE_KEY_SIZE = 16
_INTRO = b"age-encryption.org/v1"
_BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----"
_END = b"-----END AGE ENCRYPTED FILE-----"
_COLUMNS = 64
_LARGEST_HEADER = 2 << 20
MOST_STANZAS = 1024
_MOST_ARGUMENTS = 128
_MOST_WHITESPACE = 1024
_NONCE_SIZE = 16
_TAG_SIZE = 16
_CHUNK_SIZE = 64 * 1024
_VISIBLE = bytes(range(33, 127))


def never() -> bool:
    """Where a person waits who may stop it."""
    return False


@dataclass(frozen=True, slots=True)
class Stanza:
    """The file key, wrapped for one recipient: `-> type arguments…` and a body."""

    type: str
    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class AgeFile:
    """A file whose header parses; nothing of it is authentic yet. `signed` is what the header's MAC covers."""

    stanzas: tuple[Stanza, ...]
    signed: bytes
    mac: bytes
    payload: bytes

    @property
    def data(self) -> bytes:
        """The file without armor."""
        return b"".join([self.signed, b" ", encode_base64(self.mac).encode(), b"\n", self.payload])

    def open(self, file_key: bytes) -> bytes:
        """The plaintext. Raises DataKeyError: ALTERED, PAYLOAD, or MALFORMED for a file that ends before its payload."""
        try:
            _header_mac(file_key, self.signed).verify(self.mac)
        except InvalidSignature:
            raise DataKeyError(ALTERED) from None
        nonce = self.payload[:_NONCE_SIZE]
        if len(nonce) != _NONCE_SIZE:
            raise DataKeyError(MALFORMED)
        return _open_stream(derive(file_key, salt=nonce, info=b"payload"), self.payload[_NONCE_SIZE:])

    def open_with(self, identities: Iterable[Identity], *, is_late: Callable[[], bool] = never) -> bytes | None:
        """The plaintext, by the first identity that one of the stanzas is for. Raises as `open`, and LATE where it took too long."""
        for identity in identities:
            for stanza in self.stanzas:
                if is_late():
                    raise DataKeyError(LATE)
                file_key = identity.unwrap(stanza)
                if file_key is not None:
                    return self.open(file_key)
        return None


def malformed() -> DataKeyError:
    """For a stanza that breaks its type's format."""
    return DataKeyError(MALFORMED)


def derive(secret: bytes, *, salt: bytes | None, info: bytes) -> bytes:
    """32 bytes by HKDF with SHA-256."""
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def is_age_file(data: bytes) -> bool:
    """Whether a text that may be an identity file is an encrypted one: sops looks at the first 14 bytes."""
    return data[:14] in {b"age-encryption", b"-----BEGIN AGE"}


def parse(data: bytes, *, most: int = MOST_STANZAS) -> AgeFile:
    """A file without armor. Raises DataKeyError: MALFORMED, or for one with more than `most` stanzas."""
    lines = _Lines(data)
    if lines.next() != _INTRO:
        raise malformed()
    stanzas: list[Stanza] = []
    while not lines.starts_with(b"---"):
        if len(stanzas) == most:
            raise malformed() if most == MOST_STANZAS else DataKeyError(MANY_STANZAS, limit=most)
        stanzas.append(_stanza(lines))
    signed = data[: lines.at + 3]
    mac = decode_base64(lines.next().removeprefix(b"--- "))
    if not stanzas or len(mac) != 32:
        raise malformed()
    return AgeFile(tuple(stanzas), signed, mac, data[lines.at :])


def write(stanzas: Sequence[Stanza], file_key: bytes, nonce: bytes, plaintext: bytes) -> bytes:
    """A file without armor. `file_key` and `nonce` are 16 random bytes each, of this file alone."""
    lines = [_INTRO]
    for stanza in stanzas:
        lines.append(" ".join(("->", stanza.type, *stanza.arguments)).encode())
        body = encode_base64(stanza.body).encode()
        # The last line is a short one, and so may be empty.
        lines += [body[start : start + _COLUMNS] for start in range(0, len(body) + 1, _COLUMNS)]
    signed = b"\n".join([*lines, b"---"])
    mac = encode_base64(_header_mac(file_key, signed).finalize()).encode()
    aead = ChaCha20Poly1305(derive(file_key, salt=nonce, info=b"payload"))
    starts = range(0, max(len(plaintext), 1), _CHUNK_SIZE)
    chunks = [
        aead.encrypt(_chunk_nonce(index, last=start == starts[-1]), plaintext[start : start + _CHUNK_SIZE], None)
        for index, start in enumerate(starts)
    ]
    return b"".join([signed, b" ", mac, b"\n", nonce, *chunks])


def armor(data: bytes) -> str:
    """As PEM, with a final newline."""
    body = binascii.b2a_base64(data, newline=False)
    lines = [body[start : start + _COLUMNS] for start in range(0, len(body), _COLUMNS)]
    return b"\n".join([_BEGIN, *lines, _END, b""]).decode()


def unarmor(data: bytes) -> bytes:
    """Lines of 64 columns, of canonical base64, between the marks; white space around them. Raises DataKeyError ARMOR."""
    try:
        return _unarmor(data)
    except ValueError:
        raise DataKeyError(ARMOR) from None


def _unarmor(data: bytes) -> bytes:
    begun = data.lstrip()
    lead = data[: len(data) - len(begun)]
    # The mark has a line of its own, so white space before it ends one.
    if len(lead) > _MOST_WHITESPACE or (lead and not lead.endswith(b"\n")):
        raise ValueError("white space")
    lines = [line.removesuffix(b"\r") for line in begun.split(b"\n")]
    if lines[0] != _BEGIN or _END not in lines:
        raise ValueError("marks")
    end = lines.index(_END)
    rest = b"\n".join(begun.split(b"\n")[end + 1 :])
    if rest.strip() or len(rest) >= _MOST_WHITESPACE:
        raise ValueError("trailing data")
    body = lines[1:end]
    if any(len(line) != _COLUMNS for line in body[:-1]) or any(not 0 < len(line) <= _COLUMNS for line in body[-1:]):
        raise ValueError("columns")
    joined = b"".join(body)
    decoded = binascii.a2b_base64(joined, strict_mode=True)
    if binascii.b2a_base64(decoded, newline=False) != joined:
        raise ValueError("not canonical")
    return decoded


def decode_base64(text: bytes | str) -> bytes:
    """Base64 without padding, canonical. Raises DataKeyError MALFORMED."""
    coded = text.encode("ascii", "replace") if isinstance(text, str) else text
    try:
        decoded = binascii.a2b_base64(coded + b"=" * (-len(coded) % 4))
    except binascii.Error:
        raise malformed() from None
    if encode_base64(decoded).encode() != coded:
        raise malformed()
    return decoded


def encode_base64(data: bytes) -> str:
    """Without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").decode()


class _Lines:
    """A cursor over the header's lines, each of which ends in a line feed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def starts_with(self, mark: bytes) -> bool:
        return self._data.startswith(mark, self.at)

    def next(self) -> bytes:
        end = self._data.find(b"\n", self.at, _LARGEST_HEADER)
        if end < 0:
            raise malformed()
        line = self._data[self.at : end]
        self.at = end + 1
        return line


def _stanza(lines: _Lines) -> Stanza:
    opening = lines.next()
    words = opening[3:].split(b" ")
    if not opening.startswith(b"-> ") or not all(words) or b"".join(words).translate(None, _VISIBLE):
        raise malformed()
    kind, *arguments = (word.decode() for word in words)
    if len(arguments) > _MOST_ARGUMENTS:
        raise malformed()
    body: list[bytes] = []
    while True:
        line = lines.next()
        if len(line) > _COLUMNS:
            raise malformed()
        body.append(decode_base64(line))
        if len(line) < _COLUMNS:
            return Stanza(kind, tuple(arguments), b"".join(body))


def _header_mac(file_key: bytes, signed: bytes) -> HMAC:
    mac = HMAC(derive(file_key, salt=None, info=b"header"), SHA256())
    mac.update(signed)
    return mac


def _chunk_nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


def _open_stream(key: bytes, data: bytes) -> bytes:
    """The chunks of the payload; only a payload that is empty may end in an empty chunk."""
    aead = ChaCha20Poly1305(key)
    size = _CHUNK_SIZE + _TAG_SIZE
    starts = range(0, max(len(data), 1), size)
    if len(starts) > 1 and len(data) - starts[-1] <= _TAG_SIZE:
        raise DataKeyError(PAYLOAD)
    try:
        return b"".join(
            aead.decrypt(_chunk_nonce(index, last=start == starts[-1]), data[start : start + size], None)
            for index, start in enumerate(starts)
        )
    except (InvalidTag, ValueError):
        raise DataKeyError(PAYLOAD) from None
