"""A file for other recipients: under the same data key, so that nothing but its `sops` entry changes, or under a new one.

Where the data key stays, as with sops, a removed recipient may still know it, which is a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import file_types, layout
from agent.cli.keys import encryption, fresh, key_sources
from agent.sops import stores
from agent.sops.files import reopened
from agent.sops.format.keys import kind_of, short_name_of
from agent.values.dataclass import replace

if TYPE_CHECKING:
    import argparse

    from agent.cli.keys.encryption import Keys
    from agent.sops.files.decrypt import EncryptedFile
    from agent.sops.format.groups import Recipients
    from agent.sops.format.key_changes import KeyChange
    from agent.sops.stores import Store
    from agent.yaml.edit.originals import YamlOriginal


def add_options(parser: argparse.ArgumentParser) -> None:
    """How files are read and written."""
    file_types.add_input_option(parser)
    key_sources.add_order_option(parser)
    layout.add_options(parser)


def rewrapped(
    keys: Keys,
    encrypted: EncryptedFile,
    recipients: Recipients,
    before: bytes | YamlOriginal | None,
    *,
    store: Store,
    indent: int | None,
) -> bytes:
    """The file for others. `before` is the text whose layout stays, or None for sops' own. Raises DataKeyError, RecipientError."""
    old = encrypted.metadata.data_key
    data_key = keys.data_key(old, file=encrypted.file)
    wrapped = keys.wrap(recipients, data_key, before=old)
    metadata = replace(encrypted.metadata, data_key=wrapped)
    documents = stores.join(encrypted.documents, metadata)
    written = layout.written(
        documents, file=encrypted.file, store=store, indent=indent, before=before, rewrite_metadata=True
    )
    reopened.check_kept(written, encrypted.documents, metadata, file=encrypted.file, store=store)
    return written


def rotated(
    keys: Keys,
    encrypted: EncryptedFile,
    recipients: Recipients,
    before: bytes | YamlOriginal | None,
    *,
    store: Store,
    indent: int | None,
    source: Store | None = None,
    ignore_mac: bool = False,
) -> bytes:
    """As `rewrapped`, under a new data key and with new ivs. Raises also MacMismatchError, SopsDecryptError, SopsFormatError."""
    plain = keys.open(encrypted, ignore_mac=ignore_mac).plain
    data_key = fresh.data_key()
    metadata = replace(plain.metadata, data_key=keys.wrap(recipients, data_key))
    return encryption.encrypt_file(
        plain.documents,
        metadata,
        data_key,
        file=encrypted.file,
        store=store,
        indent=indent,
        before=before,
        rewrite_metadata=True,
        source=source,
    )


def warn_of_gone(change: KeyChange, file: str, *, rotated: bool = False) -> None:
    """Say who may still know the data key."""
    if change.gone and not rotated:
        names = ", ".join(f"{kind_of(each)} {short_name_of(each)}" for each in change.gone)
        terminal.warn(f"{file}: the data key stays, and who was removed may know it: {names}")
        terminal.hint(
            "agent rotate -i makes a new one; then change the secrets themselves, which Git's history still holds"
        )
