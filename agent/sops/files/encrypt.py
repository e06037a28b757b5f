"""Plain documents → an encrypted file. Randomness and the clock are arguments, so that equal arguments give equal bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.sops import stores
from agent.sops.files.decrypt import Ivs
from agent.sops.format import cipher, mac
from agent.sops.format.cipher import Cipher
from agent.sops.format.metadata import VERSION
from agent.sops.format.selection import Selected, matcher
from agent.sops.format.walk import rewrite
from agent.values.dataclass import dataclass, replace
from agent.values.errors import NoMasterKeyError, SopsEncryptError
from agent.yaml import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.sops.files.decrypt import Turns
    from agent.sops.format.metadata import Metadata
    from agent.sops.format.selection import Selection
    from agent.sops.format.walk import Place, Scalar
    from agent.values.secret import Secret
    from agent.yaml.nodes import Comment, Mapping


def encrypt(
    documents: Sequence[Mapping],
    metadata: Metadata,
    data_key: Secret,
    *,
    file: str,
    random_bytes: Callable[[int], bytes],
    lastmodified: str,
    ivs: Ivs | None = None,
) -> list[Mapping]:
    """The encrypted documents with their metadata, for `Store.emit`.

    `metadata` gives keys and selection; `lastmodified` is RFC 3339 to the second, in UTC. `ivs` of the file before an edit leave what
    was not edited as it was. Raises EmptyDocumentError, AlreadyEncryptedError, NoMasterKeyError, SopsKeyTypeError, SopsEncryptError.
    """
    stores.check_plain(documents, file=file)
    if not metadata.data_key.keys:
        raise NoMasterKeyError("no key to encrypt for", file=file)
    encrypter = Cipher(data_key)
    computed = mac.Mac(only_encrypted=metadata.selection.mac_only_encrypted)
    visitor = _Encrypter(encrypter, computed, (ivs or Ivs()).in_turn(data_key), random_bytes, metadata.selection, file)
    selected = Selected(metadata.selection)
    encrypted = [rewrite(document, selected, visitor, file=file) for document in documents]
    return stores.join(
        encrypted,
        replace(
            metadata,
            lastmodified=lastmodified,
            mac=mac.encrypt(computed.text(), encrypter, lastmodified=lastmodified, iv=random_bytes(cipher.IV_SIZE)),
            version=newer(metadata.version, VERSION),
        ),
    )


def newer(one: str, other: str) -> str:
    """The higher of two texts with a major.minor.patch in them."""

    def numbers(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"[0-9]{1,9}", version)[:3])

    return one if one == other or numbers(one) > numbers(other) else other


@dataclass(frozen=True, slots=True)
class _Encrypter:
    cipher: Cipher
    mac: mac.Mac
    ivs: Turns
    random_bytes: Callable[[int], bytes]
    selection: Selection
    file: str

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        if not isinstance(value, str):
            self._check_number(value, place)
        self.mac.add(cipher.plain_bytes(value), encrypted=place.encrypted)
        return self._encrypt(value, place) if place.encrypted else value

    def _check_number(self, value: Scalar, place: Place) -> None:
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise SopsEncryptError(
                "a number is larger than SOPS can hold",
                hint="quote it to make it text",
                file=self.file,
                field=place.field,
            )
        if place.encrypted and isinstance(value, numbers.Rounded):
            raise SopsEncryptError(
                "a number has more digits than SOPS keeps",
                hint="quote it to make it text",
                file=self.file,
                field=place.field,
            )

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        if not place.encrypted:
            return comment
        text = self._encrypt(comment, place)
        if self.selection.selector == "unencrypted_comment_regex" and matcher(self.selection.pattern)(text):
            raise SopsEncryptError(
                "unencrypted_comment_regex matches an encrypted comment",
                hint="choose a pattern that no encrypted text can match",
                file=self.file,
                field=place.field,
            )
        return text

    def _encrypt(self, value: cipher.Text, place: Place) -> str:
        iv = self.ivs.find(value, place.aad) or self.random_bytes(cipher.IV_SIZE)
        return self.cipher.encrypt(value, place.aad, iv)
