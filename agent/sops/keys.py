"""Master keys: what a file's data key is wrapped with, and the port that unwraps it.

A file wraps its 32-byte data key once for each recipient; any one of them opens it. Names (recipients, fingerprints, addresses) come
from the file, so they are untrusted text, but nothing confidential.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from agent.values.errors import AgentError, DataKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.values.secret import Secret

DEFAULT_ORDER = ("age", "pgp")
"""The kinds that are tried first, as sops does; the others follow in the file's order."""

_TRANSIT_URI = re.compile(
    r"(?P<address>https?://[^/?#@\s]+)/v[0-9]+/(?P<engine>[^/?#\s]+(?:/[^/?#\s]+)*)/[^/?#\s]+/(?P<key>[^/?#\s]+)/?"
)


@dataclass(frozen=True, slots=True)
class AgeRecipient:
    """`age1…`."""

    recipient: str


@dataclass(frozen=True, slots=True)
class PgpRecipient:
    """A fingerprint in hex, or a key id; a final `!` asks for exactly this subkey."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class TransitRecipient:
    """A key of Vault's or OpenBao's transit engine: `https://host:8200`, `transit`, `name`."""

    vault_address: str
    engine_path: str
    key_name: str


Recipient: TypeAlias = AgeRecipient | PgpRecipient | TransitRecipient


@dataclass(frozen=True, slots=True)
class AgeKey:
    """`enc` is an armored age file for one recipient."""

    recipient: str
    enc: str


@dataclass(frozen=True, slots=True)
class PgpKey:
    """`enc` is an armored OpenPGP message; `created_at` RFC 3339."""

    fp: str
    created_at: str
    enc: str


@dataclass(frozen=True, slots=True)
class TransitKey:
    """`enc` is transit's `vault:v1:…`, whose plaintext is the base64 of the data key.

    `vault_address` is text of the file: a name to look up among configured servers, never an address to dial.
    """

    vault_address: str
    engine_path: str
    key_name: str
    created_at: str
    enc: str


@dataclass(frozen=True, slots=True)
class OtherKey:
    """A key of a cloud's KMS: kept as it is (`text` is its JSON), never opened."""

    kind: str
    name: str
    text: str


def transit_recipient(uri: str) -> TransitRecipient | None:
    """The key of `https://vault.example.org:8200/v1/transit/keys/name`; None for any other text."""
    found = _TRANSIT_URI.fullmatch(uri.strip())
    if found is None or {".", ".."} & set(uri.split("/")):
        return None
    return TransitRecipient(found["address"], found["engine"], found["key"])


WrappedKey: TypeAlias = AgeKey | PgpKey | TransitKey | OtherKey


def kind_of(key: WrappedKey | Recipient) -> str:
    """What the metadata calls the kind: `age`, `pgp`, `hc_vault`, `kms`, `gcp_kms`, `azure_kv`, `hckms`."""
    match key:
        case AgeKey() | AgeRecipient():
            return "age"
        case PgpKey() | PgpRecipient():
            return "pgp"
        case TransitKey() | TransitRecipient():
            return "hc_vault"
        case OtherKey():
            return key.kind


def name_of(key: WrappedKey | Recipient) -> str:
    """The recipient, the fingerprint, or the address of the transit key as sops writes it."""
    match key:
        case AgeKey() | AgeRecipient():
            return key.recipient
        case PgpKey():
            return key.fp
        case PgpRecipient():
            return key.fingerprint
        case TransitKey() | TransitRecipient():
            return f"{key.vault_address}/v1/{key.engine_path}/keys/{key.key_name}"
        case OtherKey():
            return key.name


class MasterKeys(Protocol):
    """Whatever holds private keys, or may ask somebody who does."""

    def unwrap(self, key: WrappedKey) -> Secret:
        """The data key's bytes.

        Raises DataKeyError, whose message is the reason, where this key does not open; a transient AgentError where it might later.
        """
        ...

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        """The data key for one recipient; `created_at` is RFC 3339. Raises DataKeyError."""
        ...


@dataclass(frozen=True, slots=True)
class ByKind:
    """One implementation for each kind of key."""

    implementations: Mapping[str, MasterKeys]

    def unwrap(self, key: WrappedKey) -> Secret:
        return self._of(key).unwrap(key)

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        return self._of(recipient).wrap(recipient, data_key, created_at=created_at)

    def _of(self, key: WrappedKey | Recipient) -> MasterKeys:
        found = self.implementations.get(kind_of(key))
        if found is None:
            raise DataKeyError("no key of this kind can be used here", kind=kind_of(key), key=name_of(key))
        return found


def in_order(keys: Sequence[WrappedKey], order: Sequence[str]) -> list[WrappedKey]:
    """The keys as they are tried: by the place of their kind in `order`, then as the file has them."""
    return sorted(keys, key=lambda key: order.index(kind_of(key)) if kind_of(key) in order else len(order))


def unwrap_data_key(
    keys: Sequence[WrappedKey], master_keys: MasterKeys, *, file: str, order: Sequence[str] = DEFAULT_ORDER
) -> Secret:
    """The data key, by the first key that opens.

    Raises DataKeyError, whose fact `keys` has every key and why it did not open; where one failed only for now, its transient error.
    """
    reasons: list[str] = []
    transient: AgentError | None = None
    for key in in_order(keys, order):
        try:
            return master_keys.unwrap(key)
        except AgentError as error:
            if error.transient:
                transient = error
            reasons.append(f"{kind_of(key)} {name_of(key)}: {error.message}")
    if transient is not None:
        raise transient.with_facts(file=file) from None
    raise DataKeyError(
        "no key opens the data key",
        hint="one recipient's private key must be at hand; behind each key stands why it did not open",
        file=file,
        keys="; ".join(reasons),
    )


def wrap_data_key(
    recipients: Sequence[Recipient], data_key: Secret, master_keys: MasterKeys, *, created_at: str
) -> tuple[WrappedKey, ...]:
    """The data key for every recipient, once each. Raises DataKeyError."""
    return tuple(master_keys.wrap(each, data_key, created_at=created_at) for each in dict.fromkeys(recipients))
