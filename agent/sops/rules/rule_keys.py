"""Recipients from text: what flags, the environment and `.sops.yaml` call the keys of each kind.

The forms are those of sops: ARNs as `arn[+role-arn]`, key URLs of Azure, `region:uuid` of Huawei, addresses of transit keys. An age
recipient is not checked; wrapping for it does that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from agent.sops.format.keys import (
    AgeRecipient,
    AzureRecipient,
    GcpKmsRecipient,
    HuaweiRecipient,
    KmsRecipient,
    PgpRecipient,
    transit_recipient,
)
from agent.values.errors import EncryptionContextError, SopsRulesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.sops.format.keys import Recipient

Context: TypeAlias = "tuple[tuple[str, str], ...]"
"""Names and values of an encryption context of AWS KMS, by name."""

_AZURE_URL = r"(https://[^/\n]+)/keys/([^/\n]+)(?:/([^/\n]*))?"
_PRIVATE = ("AGE-SECRET-KEY-", "AGE-PLUGIN-")
_GAPS_ALLOWED = ("hckms", "hc_vault")


def recipients(kind: str, text: str, *, context: Context = (), aws_profile: str = "") -> Iterator[Recipient]:
    """Those of a text with commas; `kind` is one of KINDS. Raises SopsRulesError."""
    for name in text.split(",") if text else ():
        if name.strip():
            yield recipient(kind, name, context=context, aws_profile=aws_profile)
        elif kind not in _GAPS_ALLOWED:
            raise SopsRulesError("no key between two commas", hint="a comma stands between keys only", kind=kind)


def recipient(kind: str, name: str, *, context: Context = (), aws_profile: str = "") -> Recipient:  # noqa: PLR0911  # one per kind
    """The key that a text names. Raises SopsRulesError for what cannot be one of its kind."""
    if name.strip().upper().startswith(_PRIVATE):
        # Whatever says later what is wrong with a recipient shows it.
        raise SopsRulesError(
            "a private key of age stands where a recipient belongs",
            hint="agent keygen -y prints its recipient; anyone who has seen this one can decrypt",
            kind=kind,
        )
    match kind:
        case "age":
            return AgeRecipient(name.strip())
        case "pgp":
            return PgpRecipient(name.replace(" ", ""))
        case "kms":
            arn, _, role = name.replace(" ", "").partition("+arn:")
            return KmsRecipient(arn, f"arn:{role}" if role else "", context, aws_profile)
        case "gcp_kms":
            return GcpKmsRecipient(name.replace(" ", ""))
        case "azure_kv":
            return _azure(name)
        case "hckms":
            return _huawei(name)
        case _:
            found = transit_recipient(name)
            if found is None:
                raise SopsRulesError(
                    "not the address of a transit key",
                    hint="it has the form https://vault.example.org:8200/v1/transit/keys/name",
                    # One with a password in it is not shown.
                    **({} if "@" in name else {"address": name}),
                )
            return found


def _azure(url: str) -> AzureRecipient:
    found = re.fullmatch(_AZURE_URL, url.strip())
    if found is None:
        raise SopsRulesError(
            "not the URL of a key in Azure Key Vault",
            hint="it has the form https://name.vault.azure.net/keys/key/version",
            url=url,
        )
    return AzureRecipient(found[1], found[2], found[3] or "")


def _huawei(name: str) -> HuaweiRecipient:
    region, _, uuid = name.strip().partition(":")
    if not region.strip() or not uuid.strip():
        raise SopsRulesError("not a key of Huawei Cloud KMS", hint="it has the form region:key-uuid", key=name)
    return HuaweiRecipient(name.strip())


def encryption_context(text: str) -> Context:
    """`name:value,name:value`. Raises EncryptionContextError."""
    context: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        if pair.count(":") != 1:
            raise EncryptionContextError("not an encryption context", hint="it has the form name:value,name:value")
        name, _, value = pair.partition(":")
        context[name] = value
    return tuple(sorted(context.items()))
