"""age identities (X25519) through pyrage, in memory only.

Hybrid, ssh and plugin identities, and identity files under a passphrase, are not supported: they are passed over, and the error of a
data key that then does not open says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyrage

from agent.adapters.keys.credential import data_key_bytes, key_text
from agent.sops.keys import AgeKey, AgeRecipient
from agent.values.errors import ConfigError, DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.sops.keys import Recipient, WrappedKey

_ARMORED_FILE = "-----BEGIN AGE ENCRYPTED FILE-----"
_OTHER_KINDS = ("AGE-SECRET-KEY-PQ-1", "AGE-PLUGIN-", "-----BEGIN OPENSSH", "ssh-")


@dataclass(frozen=True, slots=True)
class AgeKeys:
    """Identities with the recipients they open for; `passed_over` counts those of kinds that are not supported."""

    recipients: tuple[str, ...] = ()
    passed_over: int = 0
    identities: tuple[pyrage.x25519.Identity, ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: Secret, *, source: str) -> AgeKeys:
        """An identity file, as age-keygen writes it; several on a line are taken too. Raises ConfigError with source and line."""
        content = key_text(text)
        if content.startswith(_ARMORED_FILE):
            raise ConfigError(
                "the identity file is under a passphrase, which is not supported",
                hint="decrypt it to a file on tmpfs and name that",
                file=source,
            )
        found: list[pyrage.x25519.Identity] = []
        passed_over = 0
        for number, line in enumerate(content.splitlines(), 1):
            for word in [] if line.lstrip().startswith("#") else line.split():
                if word.startswith(_OTHER_KINDS):
                    passed_over += 1
                    continue
                try:
                    found.append(pyrage.x25519.Identity.from_str(word))
                except pyrage.IdentityError:
                    raise ConfigError(
                        "not an age identity", hint="one AGE-SECRET-KEY-1… a line", file=source, line=number
                    ) from None
        return cls(tuple(str(each.to_public()) for each in found), passed_over, tuple(found))

    def merge(self, *others: AgeKeys) -> AgeKeys:
        """All identities of these, the same one once."""
        every = (self, *others)
        known = {
            name: identity for keys in every for name, identity in zip(keys.recipients, keys.identities, strict=True)
        }
        return AgeKeys(tuple(known), sum(keys.passed_over for keys in every), tuple(known.values()))

    def unwrap(self, key: WrappedKey) -> Secret:
        """By any of the identities. Raises DataKeyError, which tells a damaged key from one for somebody else."""
        if not isinstance(key, AgeKey):
            raise DataKeyError("not an age key")
        if not self.identities:
            raise DataKeyError(
                "only age identities of kinds that are not supported are at hand"
                if self.passed_over
                else "no age identity is at hand"
            )
        try:
            opened = pyrage.decrypt(key.enc.encode(), self.identities)
        except (pyrage.DecryptError, ValueError):
            if key.recipient in self.recipients:
                raise DataKeyError("the identity is at hand, but the wrapped key is damaged") from None
            raise DataKeyError("none of the age identities at hand is this recipient's") from None
        return Secret(opened, f"data key by age {key.recipient}")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> AgeKey:
        """For an X25519 recipient; age keeps no time. Raises DataKeyError for any other."""
        del created_at
        if not isinstance(recipient, AgeRecipient):
            raise DataKeyError("not an age recipient")
        try:
            to = pyrage.x25519.Recipient.from_str(recipient.recipient)
        except pyrage.RecipientError:
            raise DataKeyError(
                "not an age recipient that is supported",
                hint="supported are X25519 recipients, age1…; not yet ssh, hybrid (age1pq1…) and plugin ones",
                recipient=recipient.recipient,
            ) from None
        return AgeKey(recipient.recipient, pyrage.encrypt(data_key_bytes(data_key), [to], armored=True).decode())


def generate() -> tuple[str, Secret]:
    """A new identity: its recipient and its secret text."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity.to_public()), Secret(str(identity), "age identity")
