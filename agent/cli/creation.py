"""Whom a new file is encrypted for, and what of it: the flags, the environment and `.sops.yaml` together.

Keys by flag or environment replace those of the rule; selectors by flag replace the rule's one by one. A `.sops.yaml` with rules of
which none matches is an error all the same. Rules and flags are loaded by the functions that need them: decrypting has neither.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.cli import files, terminal
from agent.sops.format.cipher import DATA_KEY_SIZE
from agent.sops.format.groups import Recipients
from agent.sops.format.selection import SELECTORS, Selection, matcher
from agent.sops.stores.store import Store
from agent.values.errors import AgentError, ConflictingFlagsError, NoMasterKeyError, SopsRulesError
from agent.values.secret import Secret

if TYPE_CHECKING:
    import argparse

    from agent.sops.format.selection import Selector
    from agent.sops.rules.config import CreationRule, Rules

_LEVELS = 100
_MOST_GROUPS = 255


def add_options(parser: argparse.ArgumentParser) -> None:
    """The key and selection flags of sops."""
    from agent.cli import recipients

    recipients.add_options(parser)
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
    """The `.sops.yaml` that is named, or the next one from the working directory upwards. Raises SopsRulesError."""
    path = args.config or os.environ.get("SOPS_CONFIG") or search(".")
    return _read(path) if path else None


def rules_of(config: Rules | None, file: str) -> Rules | None:
    """The rules that a file goes by: `load_rules`' or, where there are none, the next ones from its own folder upwards."""
    if config is not None or not file:
        return config
    path = search(os.path.dirname(file) or ".")  # as sops joins `..`: by name, links are not followed
    return _read(path) if path else None


def _read(path: str) -> Rules:
    try:
        data = files.read(path)
    except AgentError:
        raise SopsRulesError("the rules cannot be read", hint="is it a file, and may you read it?", file=path) from None
    return _parsed(data, path)


@lru_cache(maxsize=16)
def _parsed(data: bytes, path: str) -> Rules:
    from agent.sops.rules import config as rules

    return rules.parse(data, file=path)


@lru_cache(maxsize=1024)
def _warn_once(other: str) -> None:
    terminal.warn(f"{other} is not used: the file must be called .sops.yaml")


def search(start: str) -> str:
    """The next `.sops.yaml` upwards. What is called `.sops.yml` is warned of, as sops does."""
    folder = os.path.abspath(start)
    other = found = ""
    for _ in range(_LEVELS):
        if os.path.exists(os.path.join(folder, ".sops.yaml")):
            found = os.path.join(folder, ".sops.yaml")
            break
        if not other and os.path.exists(os.path.join(folder, ".sops.yml")):
            other = os.path.join(folder, ".sops.yml")
        above = os.path.dirname(folder)
        if above == folder:
            break
        folder = above
    if other:
        _warn_once(other)
    return found


def indent(config: Rules | None, store: Store) -> int | None:
    """The indent that `.sops.yaml` asks for."""
    if config is None:
        return None
    if store is Store.BINARY:
        return config.binary_indent
    return config.json_indent if store is Store.JSON else config.yaml_indent


def new_data_key() -> Secret:
    return Secret(os.urandom(DATA_KEY_SIZE), "new data key")


def now() -> str:
    """RFC 3339, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def rule_at(config: Rules | None, file: str, *, args: argparse.Namespace | None = None) -> CreationRule | None:
    """What `.sops.yaml` says of a file; None where there is none, or it has no rules. Raises SopsRulesError.

    With `args`, AWS keys of the rule have the context of `--encryption-context`.
    """
    found = rules_of(config, file)
    if found is None:
        return None
    from agent.cli import recipients

    return found.match(_relative(file, found.file), context=recipients.context(args) if args else ())


def rule_for(args: argparse.Namespace, config: Rules | None, file: str) -> CreationRule:
    """Whom and what. Raises NoMasterKeyError, SopsRulesError, UsageError, ConflictingFlagsError."""
    from agent.cli import recipients
    from agent.sops.rules.config import CreationRule

    rule = rule_at(config, file, args=args)
    named = recipients.named(args)
    groups = (named,) if named else rule.recipients.groups if rule else ()
    if not groups:
        raise NoMasterKeyError(
            "no key to encrypt for",
            hint="name one with --age, --pgp or --hc-vault-transit, or write a .sops.yaml",
            file=file,
        )
    threshold = args.shamir_secret_sharing_threshold or (rule.recipients.threshold if rule else 0)
    selection = _selection(args, rule.selection if rule else None)
    whom = checked(Recipients(groups, threshold), file=file)
    return CreationRule(whom, selection, rule is not None and rule.by_path)


def checked(whom: Recipients, *, file: str) -> Recipients:
    """Groups that a data key can be shared out to. Raises NoMasterKeyError for an empty one, SopsRulesError for the threshold."""
    if not all(whom.groups):
        raise NoMasterKeyError("a key group is empty", hint="give it a key, or leave it out", file=file)
    count = len(whom.groups)
    if count == 1:
        return Recipients(whom.groups)
    if count > _MOST_GROUPS or not (whom.threshold == 0 or 2 <= whom.threshold <= count):
        raise SopsRulesError(
            "no such threshold for these key groups",
            hint="it is 2 or more, and no more than there are groups",
            file=file,
            groups=count,
            threshold=whom.threshold,
        )
    return whom


def _relative(file: str, config: str) -> str:
    """The path that rules see: from the folder of `.sops.yaml`, or absolute for a file elsewhere."""
    absolute = os.path.abspath(file)  # links stay as they are named, as for sops
    folder = os.path.dirname(os.path.abspath(config))
    return absolute.removeprefix(folder + os.sep)


def _selection(args: argparse.Namespace, rule: Selection | None) -> Selection:
    chosen: dict[Selector, str] = {selector: text for selector in SELECTORS if (text := getattr(args, selector))}
    only_encrypted = args.mac_only_encrypted or (rule is not None and rule.mac_only_encrypted)
    if rule is not None and not rule.is_default:
        chosen.setdefault(rule.selector, rule.pattern)
    if len(chosen) > 1:
        raise ConflictingFlagsError("more than one selector", hint="a file has one rule of what is encrypted")
    if not chosen:
        return Selection(mac_only_encrypted=only_encrypted)
    [(selector, pattern)] = chosen.items()
    if selector.endswith("regex"):
        matcher(pattern)
    return Selection(selector, pattern, only_encrypted)
