"""Whom a new file is encrypted for, and what of it: the flags, the environment and `.sops.yaml` together.

Keys by flag or environment replace those of the rule; selectors by flag replace the rule's one by one. A `.sops.yaml` with rules of
which none matches is an error all the same.
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import files, terminal
from agent.sops import rules
from agent.sops.cipher import DATA_KEY_SIZE
from agent.sops.groups import Recipients
from agent.sops.keys import AgeRecipient, PgpRecipient, transit_recipient
from agent.sops.selection import SELECTORS, Selection, matcher
from agent.sops.stores import Store
from agent.values.errors import ConflictingFlagsError, NoMasterKeyError, SopsRulesError
from agent.values.secret import Secret

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.sops.keys import Recipient
    from agent.sops.rules import CreationRule, Rules
    from agent.sops.selection import Selector

_LEVELS = 100
_UNSUPPORTED = {
    "kms": "SOPS_KMS_ARN",
    "gcp_kms": "SOPS_GCP_KMS_IDS",
    "hckms": "SOPS_HUAWEICLOUD_KMS_IDS",
    "azure_kv": "SOPS_AZURE_KEYVAULT_URLS",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The key and selection flags of sops."""
    keys = parser.add_argument_group("keys", "separated by commas; by default those of the matching rule in .sops.yaml")
    keys.add_argument("-a", "--age", metavar="RECIPIENTS", help="age recipients, age1… (SOPS_AGE_RECIPIENTS)")
    keys.add_argument("-p", "--pgp", metavar="FINGERPRINTS", help="PGP keys (SOPS_PGP_FP)")
    keys.add_argument(
        "--hc-vault-transit", metavar="URIS", help="https://host:8200/v1/transit/keys/name (SOPS_VAULT_URIS)"
    )
    for flags in (("-k", "--kms"), ("--gcp-kms",), ("--hckms",), ("--azure-kv",)):
        keys.add_argument(*flags, metavar="IDS", help="not supported yet")
    for flag in ("--aws-profile", "--encryption-context", "--shamir-secret-sharing-threshold"):
        keys.add_argument(flag, metavar="…", help="not supported yet")
    selection = parser.add_argument_group(
        "what is encrypted", "at most one; by default all but keys that end in _unencrypted"
    )
    for selector in SELECTORS:
        selection.add_argument(f"--{selector.replace('_', '-')}", metavar="TEXT", help="see the examples")
    selection.add_argument(
        "--mac-only-encrypted",
        action="store_true",
        help="leave clear values out of the MAC: they may be edited by hand",
    )
    add_config_option(parser)


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help=".sops.yaml, else SOPS_CONFIG, else the next one upwards")


def load_rules(args: argparse.Namespace) -> Rules | None:
    """The `.sops.yaml` that applies in the working directory, if any. Raises SopsRulesError, YamlError, ReadError."""
    path = args.config or os.environ.get("SOPS_CONFIG") or _search(Path.cwd())
    return rules.parse(files.read(path), file=path) if path else None


def _search(start: Path) -> str:
    other = ""
    for folder in [start, *start.parents][:_LEVELS]:
        if (folder / ".sops.yaml").is_file():
            return str(folder / ".sops.yaml")
        if not other and (folder / ".sops.yml").is_file():
            other = str(folder / ".sops.yml")
    if other:
        terminal.warn(f"{other} is not used: the file must be called .sops.yaml")
    return ""


def indent(config: Rules | None, store: Store) -> int | None:
    """The indent that `.sops.yaml` asks for."""
    if config is None:
        return None
    return config.json_indent if store is Store.JSON else config.yaml_indent


def new_data_key() -> Secret:
    return Secret(secrets.token_bytes(DATA_KEY_SIZE), "new data key")


def now() -> str:
    """RFC 3339, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rule_for(args: argparse.Namespace, config: Rules | None, file: str) -> CreationRule:
    """Whom and what. Raises NoMasterKeyError, SopsRulesError, ConflictingFlagsError."""
    for kind, variable in _UNSUPPORTED.items():
        if getattr(args, kind) or os.environ.get(variable):
            raise SopsRulesError("keys of this kind are not supported yet", kind=kind, variable=variable)
    if args.shamir_secret_sharing_threshold:
        raise SopsRulesError("key groups are not supported yet")
    rule = config.match(_relative(file, config.file)) if config else None
    recipients = Recipients.one_group(*_recipients(args))
    if not recipients.groups and rule is not None:
        recipients = rule.recipients
    if not recipients.groups:
        raise NoMasterKeyError(
            "no key to encrypt for",
            hint="name one with --age, --pgp or --hc-vault-transit, or write a .sops.yaml",
            file=file,
        )
    return rules.CreationRule(recipients, _selection(args, rule.selection if rule else None))


def _relative(file: str, config: str) -> str:
    """The path that rules see: from the folder of `.sops.yaml`, or absolute for a file elsewhere."""
    absolute = os.path.abspath(file)  # noqa: PTH100  # links stay as they are named, as for sops
    folder = os.path.dirname(os.path.abspath(config))  # noqa: PTH100, PTH120
    return absolute.removeprefix(folder.rstrip(os.sep) + os.sep)


def _recipients(args: argparse.Namespace) -> Iterator[Recipient]:
    def names(flag: str | None, variable: str) -> list[str]:
        given = flag or os.environ.get(variable, "")
        return [name.strip() for name in given.split(",") if name.strip()]

    for name in names(args.pgp, "SOPS_PGP_FP"):
        yield PgpRecipient(name.replace(" ", ""))
    for uri in names(args.hc_vault_transit, "SOPS_VAULT_URIS"):
        recipient = transit_recipient(uri)
        if recipient is None:
            raise SopsRulesError(
                "not the address of a transit key",
                hint="it has the form https://vault.example.org:8200/v1/transit/keys/name",
                address=uri,
            )
        yield recipient
    for name in names(args.age, "SOPS_AGE_RECIPIENTS"):
        yield AgeRecipient(name)


def _selection(args: argparse.Namespace, rule: Selection | None) -> Selection:
    chosen: dict[Selector, str] = {selector: text for selector in SELECTORS if (text := getattr(args, selector))}
    only_encrypted = args.mac_only_encrypted or (rule is not None and rule.mac_only_encrypted)
    if rule is not None and rule != Selection(mac_only_encrypted=rule.mac_only_encrypted):
        chosen.setdefault(rule.selector, rule.pattern)
    if len(chosen) > 1:
        raise ConflictingFlagsError("more than one selector", hint="a file has one rule of what is encrypted")
    if not chosen:
        return Selection(mac_only_encrypted=only_encrypted)
    [(selector, pattern)] = chosen.items()
    if selector.endswith("regex"):
        matcher(pattern)
    return Selection(selector, pattern, only_encrypted)
