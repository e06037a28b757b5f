"""An encrypted file opened again before it is written: it has to hold what it was made of.

The format has files that are encrypted without a word and never open again, and types of file in which a value that was encrypted has
no form once it is opened. What is to be written is read as any reader reads it, its MAC verified, and compared: values with their types,
keys, their order, and comments with their place among the values.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.files.decrypt import EncryptedFile
from agent.values.errors import InputError, SopsEncryptError
from agent.values.tree import format_path
from agent.yaml.limits import Limits
from agent.yaml.matching import same, same_documents
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Sequence as Many
    from typing import LiteralString

    from agent.sops.format.metadata import Metadata
    from agent.sops.stores import Store
    from agent.values.secret import Secret
    from agent.values.tree import Path
    from agent.yaml.nodes import Scalar, Value

Leaf: TypeAlias = "tuple[Path, Scalar | Mapping | Sequence]"
"""A place and what stands there: a scalar, or a map or list with nothing in it."""

_SPELLED = (b"type:float", b"type:time")


def check(
    data: bytes,
    documents: Many[Mapping],
    metadata: Metadata,
    data_key: Secret,
    *,
    file: str,
    store: Store,
    fresh: Many[Mapping] = (),
    in_place: bool = False,
) -> bool:
    """Whether the comments of `documents`, which are in the clear, are all in the encrypted file, each among its neighbours.

    As sops reads it, or, `in_place`, as the agent does where the layout of a YAML file stays.

    Raises SopsEncryptError, with the field, where the file does not open under its data key, or as other values, and where a value of it
    could not be written in the clear again. `metadata` are those that the file is to have. `fresh`: what was made of `documents` a moment
    ago, values and MAC. Of a file that is read as just that, keys alone say what is encrypted, and there is nothing to open.
    """
    try:
        read, found = stores.split(store.parse(data, file=file, limits=_enough(data)), file=file)
        if len(read) < len(documents) and not store.joins:
            raise _refused("this type of file has room for one document", file, metadata)
        if found != metadata:
            raise _refused("the metadata of the encrypted file would be read as others", file, metadata)
        if _is_evident(data, metadata) and same_documents(read, fresh):
            return _check_plain(documents, metadata, file=file, store=store)
        plain = decrypt.decrypt(EncryptedFile(file, tuple(read), metadata), data_key).documents
    except InputError as error:
        if isinstance(error, SopsEncryptError):
            raise
        raise _refused(
            "the encrypted file would not open again", file, metadata, field=str(error.facts.get("field", ""))
        ) from None
    kept = _check_plain(documents, metadata, file=file, store=store)
    found = _compared(documents, plain, metadata, file=file, store=store)
    if not found and in_place and store.name == "yaml":
        found = _has_comments_in_place(data, documents, metadata, data_key, file=file, store=store)
    return found and kept


def _has_comments_in_place(
    data: bytes, documents: Many[Mapping], metadata: Metadata, data_key: Secret, *, file: str, store: Store
) -> bool:
    # Only here, since sops puts few comments elsewhere.
    from agent.yaml.read import yaml

    bare, _ = stores.split(yaml.parse(data, file=file, limits=_enough(data), in_place=True), file=file)
    try:
        plain = decrypt.decrypt(EncryptedFile(file, tuple(bare), metadata), data_key).documents
    except InputError:
        return False  # comments choose what is encrypted, and others would
    return _compared(documents, plain, metadata, file=file, store=store)


def check_kept(data: bytes, documents: Many[Mapping], metadata: Metadata, *, file: str, store: Store) -> None:
    """The same of a file whose values stay as they are encrypted. Raises SopsEncryptError."""
    try:
        read, found = stores.split(store.parse(data, file=file, limits=_enough(data)), file=file)
    except InputError:
        raise _refused("the encrypted file would not open again", file, metadata) from None
    if found != metadata:
        raise _refused("the metadata of the encrypted file would be read as others", file, metadata)
    _ = _compared(documents, read, metadata, file=file, store=store)


def _is_evident(data: bytes, metadata: Metadata) -> bool:
    """Whether comments change nothing of what is encrypted, and all values are of types whose text is the value."""
    return not metadata.selection.by_comment and not any(kind in data for kind in _SPELLED)


def _enough(data: bytes) -> Limits:
    """As large as it is: whether it is too large was asked of what it was made of."""
    usual = Limits()
    return Limits(max(usual.size, len(data)), usual.depth, max(usual.values, len(data)))


def _check_plain(documents: Many[Mapping], metadata: Metadata, *, file: str, store: Store) -> bool:
    """As `check`, of the file once it is decrypted. Raises SopsEncryptError, EmitError."""
    if store.flat:
        written = store.emit(documents)
        try:
            read = store.parse_plain(written, file=file)
        except InputError:
            raise _refused("the file would not be read again once it is decrypted", file, metadata) from None
        return _compared(documents, read, metadata, file=file, store=store)
    if not store.holds(documents):
        raise _refused("a value cannot be written in JSON, so it could not be decrypted", file, metadata)
    return True


def _compared(one: Many[Mapping], other: Many[Mapping], metadata: Metadata, *, file: str, store: Store) -> bool:
    if same_documents(one, other):
        return True
    wanted, found = _Streams(store).of(one), _Streams(store).of(other)
    for before, after in zip_longest(wanted.leaves, found.leaves):
        if before is None or after is None or before[0] != after[0] or not same(before[1], after[1]):
            path = (before or after or ((), None))[0]
            # The first step is the document's number.
            raise _refused("the encrypted file would open as another one", file, metadata, field=format_path(path[1:]))
    return not store.commented or wanted.comments == found.comments


def _refused(message: LiteralString, file: str, metadata: Metadata, *, field: str = "") -> SopsEncryptError:
    facts = {"field": field} if field else {}
    if metadata.selection.by_comment:
        return SopsEncryptError(
            message,
            hint="comments choose what is encrypted here: put each right above its value, with no other comment between",
            file=file,
            **facts,
        )
    return SopsEncryptError(
        message, hint="nothing was written; write it in another way, or as another type of file", file=file, **facts
    )


class _Streams:
    """The leaves of documents in file order, and each comment with how many values stand before it.

    Which map or list a comment is in does not count: files are read as sops writes them, where it may be the one above or below. Nor on
    which side of a null or an empty map it is.
    """

    def __init__(self, store: Store) -> None:
        self.leaves: list[Leaf] = []
        self.comments: list[tuple[int, str]] = []
        self._store = store
        self._values = 0

    def of(self, documents: Many[Mapping]) -> _Streams:
        """All of a file."""
        joined = self._store.joins
        for number, document in enumerate(documents):
            self._node(document, (0 if joined else number,))
        if joined:
            # Every INI file has it, whether anything is in it or not.
            self.leaves = [leaf for leaf in self.leaves if not (leaf[1] == Mapping() and leaf[0] == (0, "DEFAULT"))]
        return self

    def _node(self, value: Value, path: Path) -> None:
        if not isinstance(value, Mapping | Sequence):
            self.leaves.append((path, self._store.printed(value)))
            self._values += value is not None
            return
        index = 0
        for item in value.items:
            if isinstance(item, Comment):
                self._comment(item)
            elif isinstance(item, Entry):
                self._node(item.value, (*path, str(item.key)))
            else:
                self._node(item, (*path, index))
                index += 1
        if all(isinstance(item, Comment) for item in value.items):
            self.leaves.append((path, type(value)()))

    def _comment(self, comment: Comment) -> None:
        for line in comment.text.split("\n"):
            # Flat files have no place for blanks and marks at the ends; one that is empty says nothing.
            text = line.strip("#; \t\r") if self._store.flat else line
            if text:
                self.comments.append((self._values, text))
