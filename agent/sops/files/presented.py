"""A SOPS file as a renderer sees it: placeholders in the places of its encrypted values, or one for the whole file.

Neither needs a key. The whole file stands for what `sops -d` prints, byte by byte: how a value is quoted there follows from the value, so
files that are taken as bytes cannot be made of values.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.sops import stores
from agent.sops.files import decrypt, parts
from agent.sops.files.sealed import Room, SealedFile, SealedPart, Sealer
from agent.sops.format import cipher, stripped
from agent.sops.format.selection import Selected
from agent.sops.format.walk import rewrite
from agent.sops.kubernetes import clear
from agent.values import placeholders
from agent.values.dataclass import dataclass, field
from agent.values.errors import PlaceholderError, SopsFormatError
from agent.values.expressions import Expression, Source
from agent.values.secret import Sealed, Secret
from agent.yaml.nodes import Comment
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.sops.files.parts import Part
    from agent.sops.files.sealed import Leaf
    from agent.sops.format.walk import Place, Scalar
    from agent.sops.stores import Store
    from agent.values.placeholders import Placeholder
    from agent.yaml.limits import Limits
    from agent.yaml.nodes import Mapping

_MARKER = cipher.PREFIX.encode()


@dataclass(frozen=True, slots=True)
class Presented:
    """What a renderer is given in the place of a SOPS file, and what the placeholders in it stand for.

    `unbound` has fields that its MAC does not hold in their places, as text for people.
    """

    file: str
    data: bytes
    sources: dict[Placeholder, Source] = field(repr=False)
    sealed: SealedFile = field(repr=False)
    store: Store
    unbound: str
    content: bytes = field(repr=False, default=b"")
    """The file itself, where it is presented as a whole."""


def by_leaves(data: bytes, *, file: str, store: Store | None = None, limits: Limits | None = None) -> Presented | None:
    """The file with a placeholder for each encrypted value, without its `sops` entries. None where it is no SOPS file.

    Raises YamlError, LimitError, SopsFormatError, SopsKeyTypeError, SopsDecryptError, PlaceholderError.
    """
    store = store or stores.of(file)
    found = _parts(data, store, file, limits)
    if found is None:
        return None
    presenter = _Presenter(store, file, Room.of(data))
    documents = dict(document for part in found for document in presenter.part(part))
    in_clear = {number for part in found if part.metadata is None for number in part.numbers}
    shown = store.emit([documents[number] for number in sorted(documents)])
    if in_clear and store.name == "yaml":
        shown = _with_clear_documents(data, documents, in_clear, file=file)
    presented = Presented(file, shown, presenter.sources, presenter.file_of_parts(), store, _unbound(found, file))
    _refuse_forged(presented, presenter.given)
    return presented


def whole(
    data: bytes, blob: str, *, file: str, store: Store | None = None, limits: Limits | None = None
) -> Presented | None:
    """One placeholder for all that `sops -d` prints of the file, whose Git blob is `blob`. None and errors as `by_leaves`."""
    store = store or stores.of(file)
    found = _parts(data, store, file, limits)
    if found is None:
        return None
    presenter = _Presenter(store, file, Room.of(data))
    for part in found:
        _ = presenter.part(part)
    placeholder = placeholders.of("file", file, blob)
    sources: dict[Placeholder, Source] = {placeholder: Sealed(placeholder, f"sops:{file}", "file")}
    return Presented(file, placeholder.encode(), sources, presenter.file_of_parts(), store, _unbound(found, file), data)


def printed(presented: Presented, data_keys: Sequence[Secret]) -> Secret:
    """What `sops -d` prints of a whole file, by the data keys of its encrypted parts in their order: bytes where it is not UTF-8.

    Raises what `decrypt.decrypt` raises: a MAC is verified before anything is given out.
    """
    file, store, data = presented.file, presented.store, presented.content
    keys = iter(data_keys)
    documents: dict[int, Mapping] = {}
    for part in decrypt.parts_of(lambda: store.parse(data, file=file), data, file=file):
        opened = part.documents
        if part.metadata is not None:
            encrypted = decrypt.EncryptedFile(file, part.documents, part.metadata)
            opened = decrypt.decrypt(encrypted, next(keys)).documents
        documents.update(zip(part.numbers, opened, strict=True))
    raw = store.emit([documents[number] for number in sorted(documents)])
    try:
        return Secret(raw.decode(), f"sops:{file}")
    except UnicodeDecodeError:
        return Secret(raw, f"sops:{file}")


def _parts(data: bytes, store: Store, file: str, limits: Limits | None) -> tuple[Part, ...] | None:
    if _MARKER not in data:
        return None  # a MAC is encrypted in any SOPS file
    documents = store.parse(data, file=file, limits=limits)
    found = parts.of(documents, file=file)
    if any(part.metadata is not None for part in found):
        return found
    line = stripped.encrypted_line(documents)
    if line is None:
        return None
    raise SopsFormatError(
        "an encrypted value in a file without sops metadata",
        hint="restore the sops entry of the file",
        file=file,
        line=line,
    )


def _unbound(found: Iterable[Part], file: str) -> str:
    encrypted = (each for part in found if part.metadata is not None for each in part.documents)
    return clear.unbound_of(encrypted, file=file)


def _with_clear_documents(data: bytes, documents: dict[int, Mapping], in_clear: set[int], *, file: str) -> bytes:
    """A file some of whose documents are no SOPS documents: these are what kubectl reads, which knows more words for true than sops."""
    plain = {each.line: each.tree for each in manifests.parse(data, file=file)}
    shown: list[bytes] = []
    for number in sorted(documents):
        document = documents[number]
        line = next((entry.line for entry in document.entries()), 0)
        if number in in_clear and line in plain:
            shown.append(json.dumps(plain[line], ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n")
        else:
            shown.append(stores.named("yaml").emit([document]))
    return b"---\n".join(shown)


def _refuse_forged(presented: Presented, given: list[Placeholder]) -> None:
    """Each placeholder that is there was put there: they have no key, so an author may know those of other values."""
    try:
        there = placeholders.find(presented.data.decode("utf-8", "surrogateescape"))
    except PlaceholderError:
        there = None
    if there is None or sorted(there) != sorted(given):
        raise PlaceholderError(
            "text looks like the placeholder of a sealed value",
            hint="write another text",
            file=presented.file,
        )


@dataclass(slots=True)
class _Presenter:
    store: Store
    file: str
    room: Room
    sources: dict[Placeholder, Source] = field(default_factory=dict["Placeholder", Source])
    given: list[Placeholder] = field(default_factory=list["Placeholder"])
    sealed: list[SealedPart] = field(default_factory=list[SealedPart])

    def part(self, part: Part) -> list[tuple[int, Mapping]]:
        """Its documents with their numbers."""
        if part.metadata is None:
            return list(zip(part.numbers, part.documents, strict=True))
        selection = part.metadata.selection
        leaves: list[Leaf] = []
        documents: list[tuple[int, Mapping]] = []
        for number, document in zip(part.numbers, part.documents, strict=True):
            sealer = Sealer(self.file, number, selection.mac_only_encrypted, leaves, self.room)
            shown = rewrite(document, Selected(selection), _Visitor(self, sealer), file=self.file)
            documents.append((number, shown))
        self.sealed.append(SealedPart(self.file, part.metadata, tuple(leaves)))
        return documents

    def file_of_parts(self) -> SealedFile:
        """What is verified and opened as any sealed file is; its documents are the renderer's."""
        return SealedFile(self.file, (), (), frozenset(), tuple(self.sealed))

    def placeholder(self, leaf: Sealed) -> Placeholder:
        found = placeholders.of("sops", leaf.id)
        self.sources[found] = leaf
        if self.store.name == "dotenv":
            expression = Expression("dotenv", (found,))
            found = expression.placeholder
            self.sources[found] = expression
        self.given.append(found)
        return found


@dataclass(frozen=True, slots=True)
class _Visitor:
    presenter: _Presenter
    sealer: Sealer

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        kept = self.sealer.value(value, place)
        leaf = self.sealer.sealed.get(place.path) if place.encrypted and not isinstance(kept, Comment) else None
        return kept if leaf is None else self.presenter.placeholder(leaf)

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        """An encrypted one says nothing."""
        return Comment("", comment.inline) if place.encrypted else comment
