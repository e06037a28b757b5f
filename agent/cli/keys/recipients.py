"""The flags and variables that name recipients, as sops has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.sops.format.keys import TransitRecipient
from agent.sops.rules import rule_keys
from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from agent.sops.format.keys import Recipient
    from agent.sops.rules.rule_keys import Context

    _Text: TypeAlias = str | Sequence[str] | None
    """Of one flag, separated by commas, or of one that is given several times."""


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


@dataclass(frozen=True, slots=True)
class Named:
    """The keys that flags name, and what AWS' have besides."""

    age: _Text
    pgp: _Text
    kms: _Text
    gcp_kms: _Text
    hckms: _Text
    azure_kv: _Text
    hc_vault_transit: _Text
    aws_profile: str
    encryption_context: str


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
    keys.add_argument("--aws-profile", metavar="NAME", default="", help="the AWS profile to use (~/.aws)")
    keys.add_argument(
        "--encryption-context",
        metavar="PAIRS",
        default="",
        help="encryption context for AWS KMS keys: name:value,name:value",
    )


def add_threshold_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]
    parser.add_argument(
        "--shamir-secret-sharing-threshold",
        type=int,
        default=0,
        metavar="N",
        help="how many key groups are needed; by default all",
    )


def context(named: Named) -> Context:
    """Raises UsageError."""
    return rule_keys.encryption_context(named.encryption_context)


def named(flags: Named) -> tuple[Recipient, ...]:
    """Those of the flags and, of a kind that they name none of, of the environment. Raises SopsRulesError, UsageError."""
    return _in_order(flags, {kind.kind: getattr(flags, kind.name) or os.environ.get(kind.variable) for kind in _KINDS})


def of(flags: Named) -> tuple[Recipient, ...]:
    """Those of the flags alone. Raises SopsRulesError, UsageError."""
    return _in_order(flags, {kind.kind: getattr(flags, kind.name) for kind in _KINDS})


def vault_addresses(recipients: Iterable[Recipient]) -> list[str]:
    """The servers of their transit keys."""
    return [each.vault_address for each in recipients if isinstance(each, TransitRecipient)]


def _in_order(flags: Named, given: dict[str, _Text]) -> tuple[Recipient, ...]:
    pairs = context(flags)
    texts = {kind: text if isinstance(text, str) else ",".join(text or ()) for kind, text in given.items()}
    found: Sequence[Recipient] = [
        recipient
        for kind in _PRECEDENCE
        for recipient in rule_keys.recipients(kind, texts[kind], context=pairs, aws_profile=flags.aws_profile)
    ]
    return tuple(dict.fromkeys(found))
