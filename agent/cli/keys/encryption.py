"""Files opened with the user's keys, and encrypted again: what the commands of the sops family share.

Nothing here writes a file. A `Keys` lives as long as a command, so that many files which share a data key ask for it once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import layout
from agent.cli.keys import key_sources
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format.groups import unwrap_data_key, wrap_data_key
from agent.values.dataclass import dataclass, field
from agent.values.errors import DataKeyError, SopsEncryptError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agent.cli.keys.key_sources import Access
    from agent.sops.files.decrypt import EncryptedFile, Ivs, PlainFile
    from agent.sops.format.groups import Recipients, WrappedDataKey
    from agent.sops.format.keys import WrappedKey
    from agent.sops.format.metadata import Metadata
    from agent.sops.stores import Store
    from agent.values.secret import Secret
    from agent.yaml.edit.originals import YamlOriginal
    from agent.yaml.nodes import Mapping


@dataclass(frozen=True, slots=True)
class Opened:
    """A file in the clear, with the data key that it is encrypted with."""

    plain: PlainFile
    data_key: Secret = field(repr=False)


class Keys:
    """The private keys of the user, as `access` and the environment name them."""

    def __init__(self, access: Access) -> None:
        """Raises DecryptionOrderError."""
        self._order = key_sources.order(access.decryption_order)
        self._masters = key_sources.master_keys(access)
        self._opened: dict[WrappedKey, Secret] = {}

    @property
    def opened(self) -> Collection[WrappedKey]:
        """The keys that were opened or made."""
        return self._opened.keys()

    def data_key(self, wrapped: WrappedDataKey, *, file: str) -> Secret:
        """Raises DataKeyError, with a reason per key."""
        return unwrap_data_key(wrapped, self._masters, file=file, order=self._order, opened=self._opened)

    def open(self, encrypted: EncryptedFile, *, ignore_mac: bool = False) -> Opened:
        """Raises DataKeyError, MacMismatchError, SopsDecryptError, SopsFormatError."""
        data_key = self.data_key(encrypted.metadata.data_key, file=encrypted.file)
        return Opened(decrypt.decrypt(encrypted, data_key, ignore_mac=ignore_mac), data_key)

    def wrap(self, recipients: Recipients, data_key: Secret, *, before: WrappedDataKey | None = None) -> WrappedDataKey:
        """A data key for others; `before` as in `wrap_data_key`.

        Raises DataKeyError, RecipientError, NoMasterKeyError, SopsEncryptError.
        """
        # Only here, since what is opened gets nothing new.
        from agent.cli.keys import fresh

        try:
            wrapped = wrap_data_key(
                recipients,
                data_key,
                self._masters,
                created_at=fresh.now(),
                random_bytes=os.urandom,
                before=before,
            )
        except DataKeyError as error:
            # To sops, only a data key that does not open is worth a code of its own.
            raise error.in_case("general") from None
        if len(wrapped.groups) == 1:
            # What was kept of the file is its author's word: none of it has been opened.
            made = set(wrapped.keys) - set(before.keys if before is not None else ())
            self._opened.update(dict.fromkeys(made, data_key))
        return wrapped


def encrypt_file(
    documents: Sequence[Mapping],
    metadata: Metadata,
    data_key: Secret,
    *,
    file: str,
    store: Store,
    indent: int | None,
    ivs: Ivs | None = None,
    before: bytes | YamlOriginal | None = None,
    stored: bytes | None = None,
    unchanged: bool = False,
    rewrite_metadata: bool = False,
    source: Store | None = None,
) -> bytes:
    """The encrypted file, which was opened again and compared. With the `ivs` of a file that was opened, what did not change stays.

    `before` is the text whose layout stays, plain or encrypted; without it the layout is sops' own. `stored` is the encrypted file that a
    plain one was, whose quotes stay around what stays encrypted as it was. `rewrite_metadata` as in `layout.written`. Where the values are those that
    `metadata` was made for, all `unchanged`, its time and MAC stay too. `source` is the type of file that they come from, where it may be
    another: comments do not survive that. Raises EmptyDocumentError, AlreadyEncryptedError, SopsKeyTypeError, SopsEncryptError, EmitError.
    """
    from agent.cli.keys import fresh
    from agent.sops.files import encrypt, reopened

    if store.flat:
        stores.refuse_nulls(documents, file=file)

    encrypted = encrypt.encrypt(
        documents,
        metadata,
        data_key,
        file=file,
        random_bytes=fresh.RandomBytes(),
        lastmodified=fresh.now(),
        ivs=ivs,
    )
    if unchanged:
        encrypted = stores.join(stores.split(encrypted, file=file)[0], metadata)
    written = layout.written(
        encrypted, file=file, store=store, indent=indent, before=before, rewrite_metadata=rewrite_metadata
    )
    if stored is not None and before is not None and store.name == "yaml":
        from agent.yaml.edit.requoting import requoted

        written = requoted(written, stored, file=file)
    bare, made = stores.split(encrypted, file=file)
    assert made is not None
    new = () if unchanged else bare
    kept = before is not None
    commented = reopened.check(written, documents, made, data_key, file=file, store=store, fresh=new, in_place=kept)
    if not commented and source in {None, store}:
        if kept:
            raise SopsEncryptError(
                "a comment would be lost, or stand elsewhere",
                hint="move it to a line of its own above a key",
                file=file,
            )
        terminal.warn(f"{file}: a comment has no place in sops' layout: it is lost, or stands elsewhere")
    return written
