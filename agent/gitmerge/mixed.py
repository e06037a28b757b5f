"""A file whose values are encrypted in part: a conflict that was resolved by hand, choosing ciphertext or writing plaintext."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.files.decrypt import opened
from agent.sops.format import cipher, mac, stripped
from agent.sops.format.cipher import Cipher
from agent.values.dataclass import dataclass
from agent.values.errors import MacMismatchError, SopsFormatError

if TYPE_CHECKING:
    from agent.sops.files.decrypt import EncryptedFile, PlainFile
    from agent.sops.format.walk import Place
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
    in_clear = 0

    def parts_of(value: object, place: Place) -> cipher.Encrypted | None:
        nonlocal in_clear
        parts = cipher.parse(value) if isinstance(value, str) else None
        if parts is None and isinstance(value, str) and stripped.was_encrypted(value):
            raise SopsFormatError(
                "an encrypted value is damaged",
                hint="take it from the version of one side, or write a new value in the clear",
                file=encrypted.file,
                field=place.field,
            )
        in_clear += parts is None
        return parts

    plain, computed = opened(encrypted, opener, parts_of)
    try:
        mac.verify(computed, encrypted.metadata, opener, file=encrypted.file)
    except MacMismatchError:
        verified = False
    else:
        verified = True
    return MixedFile(plain, verified, in_clear)
