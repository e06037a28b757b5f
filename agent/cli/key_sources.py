"""The private keys of the user, found where sops finds them, and only once a data key has to be opened.

Environment: those of `age_sources`; SOPS_GPG_EXEC and GNUPGHOME; VAULT_ADDR, SOPS_VAULT_URIS, VAULT_TOKEN or ~/.vault-token,
VAULT_CACERT, VAULT_NAMESPACE; SOPS_DECRYPTION_ORDER.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.age_sources import UserAgeKeys
from agent.sops.keys import DEFAULT_ORDER, ByKind, transit_recipient
from agent.values.errors import DecryptionOrderError
from agent.values.secret import Secret

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection

    from agent.sops.keys import MasterKeys, Recipient, WrappedKey


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every command that opens or wraps data keys takes."""
    parser.add_argument(
        "--vault-address",
        action="append",
        default=[],
        metavar="URL",
        help="a Vault or OpenBao that may be sent your token; so may VAULT_ADDR and SOPS_VAULT_URIS, but no other",
    )


def order(text: str) -> tuple[str, ...]:
    """`--decryption-order`, or SOPS_DECRYPTION_ORDER, or sops' own. Raises DecryptionOrderError."""
    text = text or os.environ.get("SOPS_DECRYPTION_ORDER", "")
    kinds = tuple(text.split(",")) if text else DEFAULT_ORDER
    if len(set(kinds)) != len(kinds):
        raise DecryptionOrderError("a kind of key stands twice in the decryption order", order=text)
    return kinds


def master_keys(args: argparse.Namespace) -> MasterKeys:
    """All kinds, each loaded when first needed."""
    addresses: list[str] = [each for each in (*args.vault_address, os.environ.get("VAULT_ADDR")) if each]
    for uri in [
        *os.environ.get("SOPS_VAULT_URIS", "").split(","),
        *(getattr(args, "hc_vault_transit", "") or "").split(","),
    ]:
        recipient = transit_recipient(uri)
        if recipient is not None:
            addresses.append(recipient.vault_address)
    return ByKind({"age": UserAgeKeys(), "pgp": _Late(_pgp), "hc_vault": _Late(lambda: _transit(addresses))})


@dataclass(frozen=True, slots=True)
class _Late:
    """Keys that are loaded when they are asked for."""

    load: Callable[[], MasterKeys]

    def unwrap(self, key: WrappedKey) -> Secret:
        return self.load().unwrap(key)

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> WrappedKey:
        return self.load().wrap(recipient, data_key, created_at=created_at)


def _pgp() -> MasterKeys:
    from agent.adapters.keys.pgp import PgpKeys

    return PgpKeys(None, binary=os.environ.get("SOPS_GPG_EXEC") or "gpg")


def _transit(addresses: Collection[str]) -> MasterKeys:
    from agent.adapters.keys.transit import TransitKeys

    return TransitKeys(
        addresses,
        vault_token(),
        namespace=os.environ.get("VAULT_NAMESPACE", ""),
        ca_file=os.environ.get("VAULT_CACERT", ""),
    )


def vault_token() -> Secret | None:
    """VAULT_TOKEN, or what `vault login` left."""
    if os.environ.get("VAULT_TOKEN"):
        return Secret(os.environ["VAULT_TOKEN"], "VAULT_TOKEN")
    path = Path.home() / ".vault-token"
    try:
        return Secret(path.read_bytes(), str(path))
    except OSError:
        return None
