"""The flags and variables that name recipients, as sops has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from agent.sops.format.keys import TransitRecipient
from agent.sops.rules import recipients as rule_keys
from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from agent.sops.format.keys import Recipient
    from agent.sops.rules.recipients import Context


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of key on the command line: its long flag, which also stands behind `--add-` and `--rm-`, and its variable."""

    kind: str
    flag: str
    short: str
    variable: str
    metavar: str
    help: str

    @property
    def name(self) -> str:
        return self.flag.replace("-", "_")


_KINDS = (
    _Kind("age", "age", "-a", "SOPS_AGE_RECIPIENTS", "RECIPIENTS", "age recipients, age1… or ssh-…"),
    _Kind("pgp", "pgp", "-p", "SOPS_PGP_FP", "FINGERPRINTS", "PGP keys"),
    _Kind("kms", "kms", "-k", "SOPS_KMS_ARN", "ARNS", "AWS KMS keys, arn or arn+role-arn"),
    _Kind("gcp_kms", "gcp-kms", "", "SOPS_GCP_KMS_IDS", "IDS", "Google Cloud KMS, projects/…/cryptoKeys/name"),
    _Kind("hckms", "hckms", "", "SOPS_HUAWEICLOUD_KMS_IDS", "IDS", "Huawei Cloud KMS: named in files, but never used"),
    _Kind(
        "azure_kv", "azure-kv", "", "SOPS_AZURE_KEYVAULT_URLS", "URLS", "https://NAME.vault.azure.net/keys/KEY/VERSION"
    ),
    _Kind("hc_vault", "hc-vault-transit", "", "SOPS_VAULT_URIS", "URIS", "https://host:8200/v1/transit/keys/name"),
)
_PRECEDENCE = ("kms", "gcp_kms", "hckms", "azure_kv", "pgp", "hc_vault", "age")
"""The order in which sops puts the keys of flags into a group."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The keys of a new file, and how they are used."""
    keys = parser.add_argument_group("keys", "separated by commas; by default those of the matching rule in .sops.yaml")
    for kind in _KINDS:
        flags = [kind.short, f"--{kind.flag}"] if kind.short else [f"--{kind.flag}"]
        keys.add_argument(*flags, metavar=kind.metavar, help=f"{kind.help} ({kind.variable})")
    _add_kms_options(keys)
    add_threshold_option(keys)


def add_group_options(parser: argparse.ArgumentParser) -> None:
    """The keys of a new group: each flag as often as there are keys."""
    keys = parser.add_argument_group("keys", "any flag may be given several times")
    for kind in _KINDS:
        keys.add_argument(f"--{kind.flag}", metavar=kind.metavar.removesuffix("S"), action="append", help=kind.help)
    _add_kms_options(keys)


def add_change_options(parser: argparse.ArgumentParser) -> None:
    """The keys that a file is to have as well, and those that it is to have no longer."""
    keys = parser.add_argument_group("keys", "separated by commas; added ones go into the first group")
    for kind in _KINDS:
        keys.add_argument(f"--add-{kind.flag}", metavar=kind.metavar, help=kind.help)
    for kind in _KINDS:
        keys.add_argument(f"--rm-{kind.flag}", metavar=kind.metavar, help="as --add-…, of any group")
    _add_kms_options(keys)


def _add_kms_options(keys: argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    keys.add_argument("--aws-profile", metavar="NAME", default="", help="the profile of ~/.aws that AWS is asked with")
    keys.add_argument(
        "--encryption-context", metavar="PAIRS", default="", help="of AWS KMS keys: name:value,name:value"
    )


def add_threshold_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]
    parser.add_argument(
        "--shamir-secret-sharing-threshold",
        type=int,
        default=0,
        metavar="N",
        help="how many key groups are needed; by default all",
    )


def context(args: argparse.Namespace) -> Context:
    """Raises UsageError."""
    return rule_keys.encryption_context(args.encryption_context)


def named(args: argparse.Namespace) -> tuple[Recipient, ...]:
    """Those of the flags of `add_options` and of the environment. Raises SopsRulesError, UsageError."""
    return _in_order(args, {kind.kind: getattr(args, kind.name) or os.environ.get(kind.variable) for kind in _KINDS})


def grouped(args: argparse.Namespace) -> tuple[Recipient, ...]:
    """Those of the flags of `add_group_options`. Raises SopsRulesError, UsageError."""
    return _in_order(
        args, {kind.kind: ",".join(cast("list[str] | None", getattr(args, kind.name)) or ()) for kind in _KINDS}
    )


def changed(args: argparse.Namespace) -> tuple[tuple[Recipient, ...], tuple[Recipient, ...]]:
    """Those to add and those to remove. Raises SopsRulesError, UsageError."""
    add, remove = (
        _in_order(args, {kind.kind: getattr(args, f"{verb}_{kind.name}") for kind in _KINDS}) for verb in ("add", "rm")
    )
    return add, remove


def trust_named(args: argparse.Namespace, recipients: Iterable[Recipient]) -> None:
    """Let the servers of transit keys that the user named be asked, before `sealing.Keys` is made."""
    addresses = [each.vault_address for each in recipients if isinstance(each, TransitRecipient)]
    args.vault_address = [*args.vault_address, *addresses]


def _in_order(args: argparse.Namespace, texts: dict[str, str | None]) -> tuple[Recipient, ...]:
    pairs = context(args)
    found: Sequence[Recipient] = [
        recipient
        for kind in _PRECEDENCE
        for recipient in rule_keys.recipients(kind, texts[kind] or "", context=pairs, aws_profile=args.aws_profile)
    ]
    return tuple(dict.fromkeys(found))
