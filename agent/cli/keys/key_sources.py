"""The private keys of the user, found where sops finds them, and only once a data key has to be opened.

Environment: those of `age_sources`; SOPS_GPG_EXEC and GNUPGHOME; VAULT_ADDR, SOPS_VAULT_URIS, SOPS_HC_VAULT_ALLOWLIST, VAULT_TOKEN or
~/.vault-token, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT, VAULT_CLIENT_KEY, VAULT_SKIP_VERIFY; what AWS', Google's
and Azure's libraries read, and sops' SOPS_GCP_KMS_*, GOOGLE_CREDENTIALS and GOOGLE_OAUTH_ACCESS_TOKEN; SOPS_DECRYPTION_ORDER.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli.errors import DecryptionOrderError
from agent.cli.keys.age_sources import UserAgeKeys
from agent.sops.format.keys import DEFAULT_ORDER, ByKind, name_of, transit_recipient
from agent.values.dataclass import dataclass
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Sequence

    from agent.sops.format.keys import MasterKeys, Recipient, WrappedKey


@dataclass(frozen=True, slots=True)
class Access:
    """The servers that the user lets be asked, by name or by a key that is there, and the order in which kinds of keys are tried."""

    vault_address: Sequence[str]
    hc_vault_transit: str | None = None
    azure_kv: str | None = None
    decryption_order: str = ""


def add_order_option(parser: argparse.ArgumentParser) -> None:
    """What every command that opens data keys takes too."""
    parser.add_argument("--decryption-order", metavar="KINDS", default="", help="age,pgp (SOPS_DECRYPTION_ORDER)")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every command that opens or wraps data keys takes."""
    parser.add_argument(
        "--vault-address",
        action="append",
        default=[],
        metavar="URL",
        help="a Vault or OpenBao that your token may be sent to, besides VAULT_ADDR and SOPS_VAULT_URIS",
    )


def order(text: str) -> tuple[str, ...]:
    """`--decryption-order`, or SOPS_DECRYPTION_ORDER, or sops' own. Raises DecryptionOrderError."""
    text = text or os.environ.get("SOPS_DECRYPTION_ORDER", "")
    kinds = tuple(text.split(",")) if text else DEFAULT_ORDER
    if len(set(kinds)) != len(kinds):
        raise DecryptionOrderError("a kind of key appears twice in the decryption order", order=text)
    return kinds


def master_keys(access: Access) -> MasterKeys:
    """All kinds, each loaded when first needed, and kept."""
    return ByKind(
        {
            "age": UserAgeKeys(),
            "pgp": _Late(_pgp),
            "hc_vault": _Late(lambda: _transit(_vault_addresses(access))),
            "kms": _Late(_aws),
            "gcp_kms": _Late(_gcp),
            "azure_kv": _Late(lambda: _azure(_azure_vaults(access))),
            "hckms": _Huawei(),
        }
    )


@dataclass(slots=True)
class _Late:
    """Keys that are loaded when they are asked for."""

    load: Callable[[], MasterKeys]
    loaded: MasterKeys | None = None

    def unwrap(self, key: WrappedKey) -> Secret:
        return self._keys().unwrap(key)

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        return self._keys().wrap(recipient, data_key, created_at=created_at)

    def _keys(self) -> MasterKeys:
        if self.loaded is None:
            self.loaded = self.load()
        return self.loaded


class _Huawei:
    """The one kind that files may name and this program cannot use."""

    def unwrap(self, key: WrappedKey) -> Secret:
        del key
        raise DataKeyError("Huawei Cloud KMS keys cannot be opened here")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        del data_key, created_at
        raise DataKeyError("Huawei Cloud KMS keys cannot be used here", recipient=name_of(recipient))


def _aws() -> MasterKeys:
    from agent.adapters.keys.aws import AwsKeys

    return AwsKeys()


def _gcp() -> MasterKeys:
    from agent.adapters.keys.gcp import GcpKeys

    return GcpKeys()


def _azure(named: Collection[str]) -> MasterKeys:
    from agent.adapters.keys.azure import AzureKeys

    return AzureKeys(named)


def _azure_vaults(access: Access) -> list[str]:
    """The vaults of the keys that the user named by flag or environment, for what is not in Azure's own domains."""
    urls = f"{os.environ.get('SOPS_AZURE_KEYVAULT_URLS', '')},{access.azure_kv or ''}".split(",")
    return [url.strip().partition("/keys/")[0] for url in urls if url.strip()]


def _pgp() -> MasterKeys:
    from agent.adapters.keys.pgp import PgpKeys

    return PgpKeys(None, binary=os.environ.get("SOPS_GPG_EXEC") or "gpg")


def _vault_addresses(access: Access) -> list[str]:
    """The servers that the user named. An allow list, as sops', is the last word; but `all` names none."""
    allowed = os.environ.get("SOPS_HC_VAULT_ALLOWLIST", "")
    if allowed == "none":
        return []
    if allowed and allowed != "all":
        return [each.strip() for each in allowed.split(",")]
    uris = f"{os.environ.get('SOPS_VAULT_URIS', '')},{access.hc_vault_transit or ''}".split(",")
    recipients = [transit_recipient(uri) for uri in uris]
    named = [*access.vault_address, os.environ.get("VAULT_ADDR"), *(each.vault_address for each in recipients if each)]
    return [each for each in named if each]


def _transit(addresses: Collection[str]) -> MasterKeys:
    from agent.adapters.keys.transit import TransitKeys

    environment = os.environ.get
    return TransitKeys(
        addresses,
        vault_token(),
        namespace=environment("VAULT_NAMESPACE", ""),
        ca=environment("VAULT_CACERT") or environment("VAULT_CAPATH") or "",
        client_certificate=(environment("VAULT_CLIENT_CERT", ""), environment("VAULT_CLIENT_KEY", "")),
        skip_verify=environment("VAULT_SKIP_VERIFY", "").lower() in {"1", "t", "true"},
    )


def vault_token() -> Secret | None:
    """VAULT_TOKEN, or what `vault login` left."""
    if os.environ.get("VAULT_TOKEN"):
        return Secret(os.environ["VAULT_TOKEN"], "VAULT_TOKEN")
    path = os.path.expanduser("~/.vault-token")
    try:
        with open(path, "rb") as stream:
            return Secret(stream.read(), path)
    except OSError:
        return None
