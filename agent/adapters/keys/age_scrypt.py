"""age files under a passphrase: the scrypt recipient, which is always a file's only one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agent.adapters.keys.age_format import decode_base64, malformed
from agent.adapters.keys.age_x25519 import WRAPPED_SIZE, unseal
from agent.values.dataclass import dataclass, field
from agent.values.errors import DataKeyError

if TYPE_CHECKING:
    from agent.adapters.keys.age_format import Stanza

KIND = "scrypt"
_LABEL = b"age-encryption.org/v1/scrypt"
_SALT_SIZE = 16
_LARGEST_WORK_FACTOR = 22
_WORK_FACTOR = re.compile(r"[1-9][0-9]?")


@dataclass(frozen=True, slots=True)
class PassphraseIdentity:
    recipient = ""
    passphrase: bytes = field(repr=False)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key; None where the passphrase is another. Raises DataKeyError MALFORMED."""
        if stanza.type != KIND:
            return None
        if len(stanza.arguments) != 2:
            raise malformed()
        salt, factor = decode_base64(stanza.arguments[0]), stanza.arguments[1]
        if len(salt) != _SALT_SIZE or not _WORK_FACTOR.fullmatch(factor) or len(stanza.body) != WRAPPED_SIZE:
            raise malformed()
        if int(factor) > _LARGEST_WORK_FACTOR:
            raise malformed()
        try:
            key = Scrypt(_LABEL + salt, 32, n=1 << int(factor), r=8, p=1).derive(self.passphrase)
        except MemoryError:
            raise DataKeyError("too little memory for the work factor of the passphrase") from None
        return unseal(key, stanza.body)
