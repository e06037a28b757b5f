"""Whom a new file is encrypted for, and what of it: the flags, the environment and `.sops.yaml` together.

Keys by flag or environment replace those of the rule; selectors by flag replace the rule's one by one. A `.sops.yaml` with rules of
which none matches is an error all the same. Rules and flags are loaded by the functions that need them: decrypting has neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli.errors import ConflictingFlagsError
from agent.cli.files import rules
from agent.sops.format.groups import Recipients
from agent.sops.format.selection import SELECTORS, Selection, matcher
from agent.values.dataclass import dataclass
from agent.values.errors import NoMasterKeyError, SopsRulesError

if TYPE_CHECKING:
    import argparse

    from agent.cli.keys.recipients import Named
    from agent.sops.format.selection import Selector
    from agent.sops.rules import CreationRule
    from agent.sops.rules.config import Rules

_MOST_GROUPS = 255


@dataclass(frozen=True, slots=True)
class Choice:
    """What the flags say of what is encrypted, and how many groups of keys it takes to open it."""

    unencrypted_suffix: str | None
    encrypted_suffix: str | None
    unencrypted_regex: str | None
    encrypted_regex: str | None
    unencrypted_comment_regex: str | None
    encrypted_comment_regex: str | None
    mac_only_encrypted: bool
    shamir_secret_sharing_threshold: int

    @property
    def selectors(self) -> dict[Selector, str]:
        return {selector: text for selector in SELECTORS if (text := getattr(self, selector))}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The key and selection flags of sops: those of `recipients.Named` and `Choice`."""
    from agent.cli.keys import recipients

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
    rules.add_option(parser)


def rule_for(whom: Named, what: Choice, config: Rules | None, file: str) -> CreationRule:
    """Whom and what. Raises NoMasterKeyError, SopsRulesError, UsageError, ConflictingFlagsError."""
    from agent.cli.keys import recipients
    from agent.sops.rules import CreationRule

    rule = rules.rule_at(config, file, context=recipients.context(whom))
    named = recipients.named(whom)
    groups = (named,) if named else rule.recipients.groups if rule else ()
    if not groups:
        raise _no_key(rules.of(config, file), file)
    threshold = what.shamir_secret_sharing_threshold or (rule.recipients.threshold if rule else 0)
    selection = _selection(what, rule.selection if rule else None)
    found = checked(Recipients(groups, threshold), file=file)
    return CreationRule(found, selection, rule is not None and rule.by_path)


def _no_key(found: Rules | None, file: str) -> NoMasterKeyError:
    """Why a file is for no key: `.sops.yaml` is there and says nothing, or there is none."""
    if found is None:
        return NoMasterKeyError("no key to encrypt for", file=file)
    if found.rules is None:
        return NoMasterKeyError(
            "no key to encrypt for, since .sops.yaml has no creation_rules",
            hint="they stand at its top level: agent encrypt --help has one that works",
            file=file,
            rules=found.file,
        )
    return NoMasterKeyError(
        "no key to encrypt for, since the rule that fits names none",
        hint="its keys stand beside path_regex, as age: age1…",
        file=file,
        rules=found.file,
    )


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


def _selection(what: Choice, rule: Selection | None) -> Selection:
    chosen = what.selectors
    only_encrypted = what.mac_only_encrypted or (rule is not None and rule.mac_only_encrypted)
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
