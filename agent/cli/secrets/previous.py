"""The encrypted version of a file that is to be encrypted: what did not change since keeps its ciphertext.

It is looked for where the result goes, beside the file as `name.enc.yaml` or `name.sops.yaml`, and in Git, staged and at HEAD. It is
trusted as `agent edit` trusts the file that it opens: its MAC is verified first, and its data key used again. Not so when someone is
no recipient any more: then everything is new. Nor where most values are others: the author of a version knows its data key, and one that
was planted is recognized by its values, which someone without a key cannot know.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli.errors import ReadError
from agent.cli.files import content, file_types
from agent.sops import stores
from agent.sops.files import decrypt
from agent.values.dataclass import dataclass, field
from agent.values.errors import AgentError, DataKeyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.cli.keys.encryption import Keys, Opened
    from agent.cli.secrets.committed import Committed
    from agent.sops.format.groups import Recipients, WrappedDataKey
    from agent.sops.stores import Store

_MIDDLES = (".enc", ".sops")


@dataclass(frozen=True, slots=True)
class Previous:
    """A version that opened, and its data key wrapped for those who are recipients now."""

    data: bytes
    opened: Opened
    wrapped: WrappedDataKey


@dataclass(slots=True)
class Finder:
    """`notes` is about versions that were found and not used, `in_clear` names files that Git has in the clear."""

    keys: Keys
    committed: Committed
    notes: list[str] = field(default_factory=list[str])
    in_clear: list[str] = field(default_factory=list[str])

    def find(self, places: Sequence[str], recipients: Recipients, store: Store) -> Previous | None:
        """The first version that is fit to be used again, of files named `places`. Raises as `Keys.wrap`."""
        for where, file, data in self._versions(places):
            if not file_types.looks_encrypted(data, store):
                continue
            try:
                encrypted = decrypt.read(data, file=file, store=store)
                opened = self._open(encrypted, recipients, where)
            except DataKeyError:
                self.notes.append(
                    f"{where} of {file} does not open with an available key: every value is encrypted again"
                )
                return None
            except AgentError as error:
                self.notes.append(f"{where} of {file} is not used again: {error.message}")
                continue
            if opened is None:
                return None
            from agent.sops.format import key_changes

            before = encrypted.metadata.data_key
            same = not key_changes.between(before.recipients, recipients).any
            wrapped = before if same else self.keys.wrap(recipients, opened.data_key, before=before)
            return Previous(data, opened, wrapped)
        return None

    def _open(self, encrypted: decrypt.EncryptedFile, recipients: Recipients, where: str) -> Opened | None:
        """None where everything has to be new."""
        from agent.sops.format import key_changes

        before = encrypted.metadata.data_key.recipients
        change = key_changes.between(before, recipients)
        regrouped = change.any and len(before.groups) + len(recipients.groups) > 2
        if change.gone or regrouped:
            self.notes.append(
                f"{where} of {encrypted.file} has other recipients"
                + (", of whom some are none any more" if change.gone else " in its key groups")
                + ": a new data key, and every value is encrypted again"
            )
            return None
        return self.keys.open(encrypted)

    def _versions(self, places: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
        for file in places:
            if os.path.isfile(file):
                try:
                    data = content.read(file)
                except ReadError:
                    self.notes.append(f"{file} cannot be read, so that nothing of it is used again")
                else:
                    yield "the file", file, data
            for where, data in self.committed.versions(file):
                yield where, file, data
                if data and not file_types.looks_encrypted(data, stores.of(file)):
                    self.in_clear.append(file)


def beside(file: str) -> list[str]:
    """What the encrypted companion of a plain file is called."""
    stem, suffix = os.path.splitext(file)
    if stem.endswith(_MIDDLES):
        return []
    return [f"{stem}{middle}{suffix}" for middle in _MIDDLES]
