"""Master keys: what a file's data key is wrapped with, and the port that unwraps it.

A recipient is whom to wrap for, a wrapped key is what came of it. Names (recipients, fingerprints, addresses) come from the file, so
they are untrusted text, but nothing confidential.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, TypeAlias

from agent.values.dataclass import dataclass
from agent.values.errors import DataKeyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.secret import Secret

DEFAULT_ORDER = ("age", "pgp")
"""The kinds that are tried first, as sops does; the others follow in the file's order."""

_LONGEST_SHOWN = 200
_TRANSIT_URI = (
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


@dataclass(frozen=True, slots=True)
class KmsRecipient:
    """A key of AWS KMS by its ARN; `role` is one to assume, `context` the encryption context, `aws_profile` of the user's files."""

    arn: str
    role: str = ""
    context: tuple[tuple[str, str], ...] = ()
    aws_profile: str = ""


@dataclass(frozen=True, slots=True)
class GcpKmsRecipient:
    """`projects/…/locations/…/keyRings/…/cryptoKeys/…`."""

    resource_id: str


@dataclass(frozen=True, slots=True)
class AzureRecipient:
    """A key of an Azure Key Vault; without a version its newest."""

    vault_url: str
    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class HuaweiRecipient:
    """A key of Huawei Cloud KMS, `region:uuid`: known, so that it is named, but never used."""

    key_id: str


Recipient: TypeAlias = (
    AgeRecipient | PgpRecipient | TransitRecipient | KmsRecipient | GcpKmsRecipient | AzureRecipient | HuaweiRecipient
)


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
class KmsKey:
    """`enc` is the base64 of AWS KMS's ciphertext blob."""

    arn: str
    role: str
    context: tuple[tuple[str, str], ...]
    aws_profile: str
    created_at: str
    enc: str


@dataclass(frozen=True, slots=True)
class GcpKmsKey:
    """`enc` is the base64 of Google Cloud KMS's ciphertext."""

    resource_id: str
    created_at: str
    enc: str


@dataclass(frozen=True, slots=True)
class AzureKey:
    """`enc` is the unpadded URL-safe base64 of RSA-OAEP-256."""

    vault_url: str
    name: str
    version: str
    created_at: str
    enc: str


@dataclass(frozen=True, slots=True)
class HuaweiKey:
    """Kept as it is, never opened."""

    key_id: str
    created_at: str
    enc: str


WrappedKey: TypeAlias = AgeKey | PgpKey | TransitKey | KmsKey | GcpKmsKey | AzureKey | HuaweiKey

KINDS = ("kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age")
"""What the metadata calls the kinds, in the order in which sops lists, and so tries, the keys of a group."""


def transit_recipient(uri: str) -> TransitRecipient | None:
    """The key of `https://vault.example.org:8200/v1/transit/keys/name`; None for any other text."""
    found = re.fullmatch(_TRANSIT_URI, uri.strip())
    if found is None or {".", ".."} & set(uri.split("/")):
        return None
    return TransitRecipient(found["address"], found["engine"], found["key"])


def recipient_of(key: WrappedKey) -> Recipient:  # noqa: PLR0911  # one per kind
    """Whom a key was wrapped for."""
    match key:
        case AgeKey():
            return AgeRecipient(key.recipient)
        case PgpKey():
            return PgpRecipient(key.fp)
        case TransitKey():
            return TransitRecipient(key.vault_address, key.engine_path, key.key_name)
        case KmsKey():
            return KmsRecipient(key.arn, key.role, key.context, key.aws_profile)
        case GcpKmsKey():
            return GcpKmsRecipient(key.resource_id)
        case AzureKey():
            return AzureRecipient(key.vault_url, key.name, key.version)
        case HuaweiKey():
            return HuaweiRecipient(key.key_id)


def kind_of(key: WrappedKey | Recipient) -> str:  # noqa: PLR0911  # one per kind
    """What the metadata calls the kind: one of KINDS."""
    match key:
        case AgeKey() | AgeRecipient():
            return "age"
        case PgpKey() | PgpRecipient():
            return "pgp"
        case TransitKey() | TransitRecipient():
            return "hc_vault"
        case KmsKey() | KmsRecipient():
            return "kms"
        case GcpKmsKey() | GcpKmsRecipient():
            return "gcp_kms"
        case AzureKey() | AzureRecipient():
            return "azure_kv"
        case HuaweiKey() | HuaweiRecipient():
            return "hckms"


def name_of(key: WrappedKey | Recipient) -> str:  # noqa: PLR0911  # one per kind
    """What distinguishes it from others of its kind, as sops writes it: recipient, fingerprint, address, ARN or id."""
    match key:
        case AgeRecipient():
            return key.recipient
        case PgpRecipient():
            return key.fingerprint
        case TransitRecipient():
            return f"{key.vault_address}/v1/{key.engine_path}/keys/{key.key_name}"
        case KmsRecipient():
            role = f"+{key.role}" if key.role else ""
            context = "|" + ",".join(f"{name}:{value}" for name, value in key.context)
            profile = f"|{key.aws_profile}" if key.aws_profile else ""
            return f"{key.arn}{role}{context if key.context or profile else ''}{profile}"
        case GcpKmsRecipient():
            return key.resource_id
        case AzureRecipient():
            return f"{key.vault_url}/keys/{key.name}/{key.version}"
        case HuaweiRecipient():
            return key.key_id
        case _:
            return name_of(recipient_of(key))


def short_name_of(key: WrappedKey | Recipient) -> str:
    """For a message: hybrid recipients of age have almost 2,000 characters, and differ in the first ones."""
    name = name_of(key)
    return name if len(name) <= _LONGEST_SHOWN else f"{name[:60]}…"


class MasterKeys(Protocol):
    """Whatever holds private keys, or may ask another program that does."""

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
            raise DataKeyError("no key of this kind can be used here")
        return found
