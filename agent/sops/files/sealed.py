"""A SOPS file as the agent takes it: manifests whose encrypted leaves stay sealed, and the one step that opens them all.

Merging layers needs no plaintext, so `open_file` needs no key. `unseal` verifies the MAC over the file as committed before it gives
out anything.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, TypeAlias

from agent.sops import stores
from agent.sops.files import parts
from agent.sops.files.decrypt import encrypted_value
from agent.sops.format import cipher, mac, stripped
from agent.sops.format.cipher import Cipher
from agent.sops.format.selection import Selected
from agent.sops.format.walk import rewrite
from agent.sops.kubernetes import meaning
from agent.values.dataclass import dataclass, field
from agent.values.errors import LimitError, SopsError, SopsFormatError, YamlError
from agent.values.secret import Plain, Sealed, Secret
from agent.yaml.limits import Limits, check_keys
from agent.yaml.nodes import Comment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as Lookup

    from agent.sops.files.parts import Part
    from agent.sops.format.metadata import Metadata
    from agent.sops.format.walk import Place, Scalar
    from agent.values.tree import Object, Path
    from agent.yaml.nodes import Mapping

_MARKER = cipher.PREFIX.encode()
_ENTRY = re.compile(rb"""sops["']?[ \t]*:""")
_LIMITS = Limits()
_PLACES = 4
_SMALL = 64 * 1024
"""The places of a file's encrypted values may have so many times its bytes, and so many characters besides: a ciphertext is longer."""
_SURE = re.compile(rb"""^["']?sops["']?[ \t]*:|\A\s*\{""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Clear:
    """The bytes that a clear value adds to the MAC."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Opaque:
    """An encrypted value, and the leaf that it opens as. An encrypted comment among a list's items has no leaf."""

    value: cipher.Encrypted
    aad: str
    field: str
    leaf: Sealed | None


Leaf: TypeAlias = Clear | Opaque


@dataclass(frozen=True, slots=True)
class SealedPart:
    """Documents that were encrypted together: one data key, one MAC over `leaves`."""

    file: str
    metadata: Metadata
    leaves: tuple[Leaf, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A parsed SOPS file.

    `documents` are manifests (documents with nothing in them are left out), `lines` where each starts, 1-based, and `clear` which of them
    stand in the clear beside others. Encrypted leaves are
    Sealed, whose `id` is unique to file, document, path and ciphertext.
    """

    file: str
    documents: tuple[Object, ...]
    lines: tuple[int, ...]
    clear: frozenset[int]
    parts: tuple[SealedPart, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all Sealed leaves, in file order."""
        leaves = (leaf for part in self.parts for leaf in part.leaves)
        return tuple(leaf.leaf.id for leaf in leaves if isinstance(leaf, Opaque) and leaf.leaf is not None)

    @property
    def mac_only_encrypted(self) -> bool:
        """Whether there are documents whose MAC covers no clear values."""
        return any(part.metadata.selection.mac_only_encrypted for part in self.parts)

    @property
    def size(self) -> int:
        """How many values there are to open or to verify."""
        return sum(len(part.leaves) for part in self.parts)


def open_file(data: bytes, *, file: str, limits: Limits | None = None) -> SealedFile | None:
    """The file sealed, or None where it is no SOPS file.

    Raises YamlError, LimitError, SopsFormatError, SopsKeyTypeError, SopsDecryptError. A file with encrypted values and no metadata is an
    error, not a plain file: the metadata was cut out.
    """
    if _MARKER not in data and _ENTRY.search(data) is None:
        return None
    store = stores.named("json" if file.endswith(".json") else "yaml")
    try:
        documents = store.parse(data, file=file, limits=limits)
    except YamlError:
        if _SURE.search(data) is None:
            # Only the words of one; plain manifests follow another dialect, which is asked next.
            return None
        raise
    for document in documents:
        check_keys(document, file=file, limits=limits or _LIMITS)
    found = parts.of(documents, file=file)
    if all(part.metadata is None for part in found):
        if (line := stripped.encrypted_line(documents)) is not None:
            raise SopsFormatError(
                "an encrypted value in a file without sops metadata",
                hint="restore the sops entry of the file",
                file=file,
                line=line,
            )
        return None
    return _Reader(file, Room.of(data)).sealed(found)


class _Reader:
    def __init__(self, file: str, room: Room) -> None:
        self._file = file
        self._room = room
        self._objects: dict[int, Object] = {}
        self._lines: dict[int, int] = {}

    def sealed(self, found: Iterable[Part]) -> SealedFile:
        """Its parts, and its documents in their order."""
        clear: set[int] = set()
        sealed: list[SealedPart] = []
        for part in found:
            if part.metadata is None:
                clear.update(part.numbers)
                for number, document in zip(part.numbers, part.documents, strict=True):
                    self._take(number, document, {})
            else:
                sealed.append(SealedPart(self._file, part.metadata, self._leaves(part, part.metadata)))
        order = sorted(self._objects)
        return SealedFile(
            self._file,
            tuple(self._objects[number] for number in order),
            tuple(self._lines[number] for number in order),
            frozenset(place for place, number in enumerate(order) if number in clear),
            tuple(sealed),
        )

    def _leaves(self, part: Part, metadata: Metadata) -> tuple[Leaf, ...]:
        selected = Selected(metadata.selection)
        leaves: list[Leaf] = []
        for number, document in zip(part.numbers, part.documents, strict=True):
            visitor = Sealer(self._file, number, metadata.selection.mac_only_encrypted, leaves, self._room)
            self._take(number, rewrite(document, selected, visitor, file=self._file), visitor.sealed)
        return tuple(leaves)

    def _take(self, number: int, document: Mapping, sealed: Lookup[Path, Sealed]) -> None:
        tree = meaning.tree(document, sealed, file=self._file)
        if tree:
            self._objects[number] = tree
            self._lines[number] = next((entry.line for entry in document.entries()), 0)


def unseal(sealed: SealedPart, data_key: Secret) -> dict[str, Secret]:
    """Every Sealed leaf's id of a part with its Secret, labelled as the leaf is.

    Raises MacMismatchError, SopsDecryptError, SopsFormatError or DataKeyError, and then gives out nothing. Times are their text, and
    text that is not UTF-8 is bytes.
    """
    opener = Cipher(data_key)
    computed = mac.Mac(only_encrypted=sealed.metadata.selection.mac_only_encrypted)
    opened: dict[str, Secret] = {}
    for leaf in sealed.leaves:
        if isinstance(leaf, Clear):
            computed.add(leaf.data, encrypted=False)
            continue
        try:
            value = opener.open(leaf.value, leaf.aad)
        except SopsError as error:
            raise error.with_facts(file=sealed.file, field=leaf.field) from None
        if isinstance(value, Comment):
            continue
        computed.add(cipher.plain_bytes(value), encrypted=True)
        if leaf.leaf is not None:
            opened[leaf.leaf.id] = Secret(_plain(value, sealed.file, leaf.field), leaf.leaf.label)
    mac.verify(computed.text(), sealed.metadata, opener, file=sealed.file)
    return opened


def _plain(value: Scalar, file: str, place: str) -> Plain:
    found = meaning.scalar(value)
    if found is None:
        raise SopsFormatError("value is a number that JSON does not have", file=file, field=place)
    if isinstance(found, str) and not found.isascii():
        raw = found.encode("utf-8", "surrogateescape")
        try:
            raw.decode()
        except UnicodeDecodeError:
            return raw
    return found


@dataclass(slots=True)
class Room:
    """Characters that the places of a file's encrypted values may still have: each is kept with its value, so all together are bounded."""

    left: int

    @classmethod
    def of(cls, data: bytes) -> Room:
        return cls(_PLACES * len(data) + _SMALL)

    def take(self, place: Place, file: str) -> None:
        """Raises LimitError."""
        self.left -= len(place.aad)
        if self.left < 0:
            raise LimitError("the keys above the file's encrypted values are too long for so many of them", file=file)


@dataclass(frozen=True, slots=True)
class Sealer:
    """Adds the leaves of the document `index` to `leaves`, and keeps the sealed ones by their paths."""

    file: str
    index: int
    only_encrypted: bool
    leaves: list[Leaf]
    room: Room
    sealed: dict[Path, Sealed] = field(default_factory=dict["Path", Sealed])

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        if not place.encrypted:
            if not self.only_encrypted:
                self.leaves.append(Clear(cipher.plain_bytes(value)))
            return value
        if value == "":
            return value
        self.room.take(place, self.file)
        parts, shown = encrypted_value(value, place, file=self.file), place.field
        in_list = isinstance(place.path[-1], int)
        if parts.type == "comment":
            if not in_list:
                raise SopsFormatError("there is a comment where a value belongs", file=self.file, field=shown)
            self.leaves.append(Opaque(parts, place.aad, shown, None))
            return Comment("")
        leaf = Sealed(self._id(shown, str(value)), f"sops:{self.file}#{shown}", parts.type)
        self.leaves.append(Opaque(parts, place.aad, shown, leaf))
        self.sealed[place.path] = leaf
        return value

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        del place
        return comment

    def _id(self, place: str, text: str) -> str:
        parts = [part.encode("utf-8", "surrogateescape") for part in (self.file, str(self.index), place, text)]
        return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()[:32]
