"""A file whose values are encrypted in part: a conflict that somebody resolved by hand, choosing ciphertext or writing plaintext."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.sops import cipher, mac
from agent.sops.cipher import Cipher
from agent.sops.decrypt import Ivs, PlainFile
from agent.sops.selection import Selected
from agent.sops.walk import rewrite
from agent.values.errors import MacMismatchError, SopsError
from agent.yaml.nodes import Comment

if TYPE_CHECKING:
    from agent.sops.decrypt import EncryptedFile
    from agent.sops.walk import Place, Scalar
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class MixedFile:
    """The file in the clear, whether it is what its MAC was made of, and how many values stood in plaintext."""

    plain: PlainFile
    verified: bool
    in_clear: int


def read(encrypted: EncryptedFile, data_key: Secret) -> MixedFile:
    """Open what is ciphertext, take the rest as it is. Raises SopsDecryptError, SopsFormatError for ciphertext that does not open."""
    opener = Cipher(data_key)
    metadata = encrypted.metadata
    computed = mac.Mac(only_encrypted=metadata.selection.mac_only_encrypted)
    visitor = _Opener(opener, computed, encrypted.file)
    selected = Selected(metadata.selection)
    documents = tuple(rewrite(each, selected, visitor, file=encrypted.file) for each in encrypted.documents)
    try:
        mac.verify(computed.text(), metadata, opener, file=encrypted.file)
    except MacMismatchError:
        verified = False
    else:
        verified = True
    return MixedFile(PlainFile(encrypted.file, documents, metadata, visitor.ivs), verified, visitor.in_clear)


@dataclass(slots=True)
class _Opener:
    cipher: Cipher
    mac: mac.Mac
    file: str
    ivs: Ivs = field(default_factory=Ivs)
    in_clear: int = 0

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        opened: cipher.Text = value
        if place.encrypted and value != "":
            parts = cipher.parse(value) if isinstance(value, str) else None
            if parts is None:
                self.in_clear += 1
            else:
                opened = self._open(parts, place)
        if not isinstance(opened, Comment):
            self.mac.add(cipher.plain_bytes(opened), encrypted=place.encrypted)
        return opened

    def _open(self, parts: cipher.Encrypted, place: Place) -> cipher.Text:
        try:
            opened = self.cipher.open(parts, place.aad)
        except SopsError as error:
            raise error.with_facts(file=self.file, field=place.field) from None
        self.ivs.keep(opened, place.aad, parts.iv)
        return opened

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        parts = cipher.parse(comment.text) if place.encrypted else None
        if parts is None:
            return comment
        try:
            opened = self.cipher.open(parts, place.aad)
        except SopsError:
            # As when the whole file is opened: somebody may have written it by hand.
            return comment
        if not isinstance(opened, Comment):
            return comment
        self.ivs.keep(opened, place.aad, parts.iv)
        return opened
