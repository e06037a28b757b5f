"""A whole file opened at once, comments and all: what the command line shows and edits.

The agent does not come here: it keeps files sealed (`agent.sops.files.sealed`).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from agent.sops.format import cipher, mac
from agent.sops.format.cipher import Cipher
from agent.sops.format.selection import Selected
from agent.sops.format.walk import rewrite
from agent.values.dataclass import dataclass, field
from agent.values.errors import InputError, SopsDecryptError, SopsError, SopsFormatError
from agent.yaml.nodes import Comment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.sops.files.parts import Part
    from agent.sops.format.metadata import Metadata
    from agent.sops.format.walk import Place, Scalar
    from agent.sops.stores import Store
    from agent.values.secret import Secret
    from agent.values.tree import Path
    from agent.yaml.nodes import Mapping


@dataclass(frozen=True, slots=True)
class EncryptedFile:
    """A file as read: its documents without their `sops` entries. Clear text and ciphertext only."""

    file: str
    documents: tuple[Mapping, ...]
    metadata: Metadata


@dataclass(slots=True)
class Ivs:
    """The iv of every value that was opened: the same value in the same place is encrypted to the same text again.

    Reusing one is safe for an equal value alone, which is what the key holds; so it never leaves the process. And it is safe under the
    same data key alone: under another one, the author of the file chose both. Items of a list share their place, so equal ones are
    distinguished by their order.
    """

    data_key: Secret | None = field(default=None, repr=False)
    kept: list[tuple[cipher.Text, str, bytes]] = field(default_factory=list[tuple[cipher.Text, str, bytes]], repr=False)

    def keep(self, value: cipher.Text, aad: str, iv: bytes) -> None:
        if len(iv) == cipher.IV_SIZE:
            self.kept.append((value, aad, iv))

    def in_turn(self, data_key: Secret | None) -> Turns:
        """For one pass over a file under a data key: none, where they are of another one."""
        if data_key is not self.data_key and data_key != self.data_key:
            return Turns({})
        known: dict[tuple[str, bytes, str], list[bytes]] = {}
        for value, aad, iv in self.kept:
            known.setdefault((cipher.type_of(value), cipher.plain_bytes(value), aad), []).append(iv)
        return Turns(known)


@dataclass(slots=True)
class Turns:
    """The kept ivs, each given out once."""

    known: dict[tuple[str, bytes, str], list[bytes]] = field(repr=False)
    given: dict[tuple[str, bytes, str], int] = field(default_factory=dict[tuple[str, bytes, str], int], repr=False)

    def find(self, value: cipher.Text, aad: str) -> bytes | None:
        """The next one for an equal value in the same place, if there is one left."""
        if not self.known:
            return None
        key = (cipher.type_of(value), cipher.plain_bytes(value), aad)
        turn = self.given[key] = self.given.get(key, -1) + 1
        ivs = self.known.get(key, ())
        return ivs[turn] if turn < len(ivs) else None


@dataclass(frozen=True, slots=True)
class PlainFile:
    """A file in the clear. `documents` are confidential."""

    file: str
    documents: tuple[Mapping, ...] = field(repr=False)
    metadata: Metadata
    ivs: Ivs


def read(data: bytes, *, file: str, store: Store) -> EncryptedFile:
    """Parse an encrypted file. Raises YamlError, LimitError, SopsFormatError."""
    return of(lambda: store.parse(data, file=file), data, file=file)


def of(parse: Callable[[], Sequence[Mapping]], data: bytes, *, file: str) -> EncryptedFile:
    """An encrypted file as its `data` is parsed. Raises what parsing raises, and SopsFormatError, also where it is not of one piece."""
    first, *others = parts_of(parse, data, file=file)
    if others or first.metadata is None:
        raise SopsFormatError(
            "its documents were encrypted separately, so they cannot be changed together",
            hint="give each a file of its own; or decrypt the file, and encrypt it again",
            file=file,
        )
    return EncryptedFile(file, first.documents, first.metadata)


def parts_of(parse: Callable[[], Sequence[Mapping]], data: bytes, *, file: str) -> tuple[Part, ...]:
    """The parts of a file with metadata, clear documents among them. Raises as `of`."""
    # Only here, since values are opened without it.
    from agent.sops.files import parts

    try:
        documents = parse()
        found = parts.of(documents, file=file)
    except InputError as error:
        # Only here, since few files fail.
        from agent.sops.files import conflicts

        # Of a file to encrypt this is 2 to sops, and 1 of one to decrypt.
        raise conflicts.explained(error, data, file=file).in_case("to decrypt") from None
    if all(part.metadata is None for part in found):
        raise SopsFormatError("the file has no sops metadata", hint="it is not encrypted", file=file)
    return found


def decrypt(encrypted: EncryptedFile, data_key: Secret, *, ignore_mac: bool = False) -> PlainFile:
    """Open every value, then verify the MAC. Raises SopsDecryptError, SopsFormatError, MacMismatchError."""
    opener = Cipher(data_key)
    plain, computed = opened(encrypted, opener, lambda value, place: encrypted_value(value, place, file=encrypted.file))
    if not ignore_mac:
        mac.verify(computed, encrypted.metadata, opener, file=encrypted.file)
    return plain


def opened(
    encrypted: EncryptedFile, opener: Cipher, parts_of: Callable[[object, Place], cipher.Encrypted | None]
) -> tuple[PlainFile, str]:
    """Every value in the clear, and the MAC of them all. What has no parts stays as it is.

    Raises SopsDecryptError, SopsFormatError, and what `parts_of` raises.
    """
    metadata = encrypted.metadata
    computed = mac.Mac(only_encrypted=metadata.selection.mac_only_encrypted)
    visitor = _Opener(opener, computed, Ivs(opener.data_key), encrypted.file, parts_of)
    selected = Selected(metadata.selection)
    documents = tuple(rewrite(each, selected, visitor, file=encrypted.file) for each in encrypted.documents)
    return PlainFile(encrypted.file, documents, metadata, visitor.ivs), computed.text()


@dataclass(slots=True)
class _Opener:
    cipher: Cipher
    mac: mac.Mac
    ivs: Ivs
    file: str
    parts_of: Callable[[object, Place], cipher.Encrypted | None]
    last: Path = ()

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        """In the clear."""
        self.last = place.path
        plain: cipher.Text = value
        parts = self.parts_of(value, place) if place.encrypted and value != "" else None
        if parts is not None:
            try:
                plain = self.cipher.open(parts, place.aad)
            except SopsError as error:
                raise error.with_facts(file=self.file, field=place.field) from None
            self.ivs.keep(plain, place.aad, parts.iv)
        if not isinstance(plain, Comment):
            self.mac.add(cipher.plain_bytes(plain), encrypted=place.encrypted)
        return plain

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        """In the clear, where it is encrypted and opens."""
        parts = cipher.parse(comment.text) if place.encrypted else None
        if parts is None:
            return comment
        # As sops writes a comment, it may be read again in the map or list that ends above it, or around it.
        for aad in chain((place.aad,), _around(place.path), _around(self.last[:-1])):
            try:
                plain = self.cipher.open(parts, aad)
            except SopsError:
                continue
            if not isinstance(plain, Comment):
                break
            if aad == place.aad:
                self.ivs.keep(plain, aad, parts.iv)
            # No longer inline, as sops leaves it.
            return plain
        # A person may have written a comment into an encrypted file by hand, even one that looks like this.
        return comment


def _around(path: Path) -> Iterator[str]:
    """What is bound to the map or list at a path, and to those around it."""
    keys = [str(step) for step in path if not isinstance(step, int)]
    while keys:
        yield "".join(f"{key}:" for key in keys)
        _ = keys.pop()
    yield ":"


def encrypted_value(value: object, place: Place, *, file: str) -> cipher.Encrypted:
    """The parts of what must be an encrypted value. Raises SopsDecryptError."""
    parts = cipher.parse(value) if isinstance(value, str) else None
    if parts is None:
        raise SopsDecryptError(
            "value is not encrypted, though the file's rule says so",
            hint="it was written by hand: take it out, and add it with `agent edit` or sops",
            file=file,
            field=place.field,
        )
    return parts
