"""`.sops.yaml`: which rule makes a file at a path, hence for whom and which values are encrypted.

As github.com/getsops/sops `config/config.go`: the first rule whose `path_regex` is found in the path wins; a rule without one always
matches; a file with rules of which none matches is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.sops.data import plain_map
from agent.sops.groups import Recipients
from agent.sops.keys import AgeRecipient, PgpRecipient, transit_recipient
from agent.sops.selection import SELECTORS, Selection, matcher
from agent.values.errors import NoRuleError, SopsFormatError, SopsRulesError
from agent.yaml import sealed as yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.sops.data import Data
    from agent.sops.keys import Recipient
    from agent.sops.selection import Selector

_UNSUPPORTED = ("kms", "gcp_kms", "hckms", "azure_keyvault")


@dataclass(frozen=True, slots=True)
class CreationRule:
    """Whom a new file is encrypted for, and what of it."""

    recipients: Recipients
    selection: Selection


@dataclass(frozen=True, slots=True)
class Rules:
    """A whole `.sops.yaml`. Indents are in spaces; None is the format's own."""

    file: str
    rules: tuple[dict[str, Data], ...]
    yaml_indent: int | None = None
    json_indent: int | None = None

    def match(self, path: str) -> CreationRule | None:
        """The rule for a path relative to the folder of `.sops.yaml`; None where the file has no creation rules.

        Raises NoRuleError where none matches, and SopsRulesError for a rule that is malformed or asks for what is not supported.
        """
        for number, rule in enumerate(self.rules, 1):
            pattern = _text(rule, "path_regex", self.file, number)
            if not pattern or _found(pattern, path, self.file, number):
                return _rule(rule, self.file, number)
        if self.rules:
            raise NoRuleError("no creation rule matches this path", file=self.file, path=path)
        return None


def parse(data: bytes, *, file: str) -> Rules:
    """Read `.sops.yaml`. Raises YamlError, SopsRulesError; a rule's own fields are read when it matches."""
    try:
        documents = yaml.parse(data, file=file)
        top = plain_map(documents[0], file=file) if documents else {}
    except SopsFormatError as error:
        raise SopsRulesError("the rules are malformed").with_facts(**error.facts) from None
    rules = top.get("creation_rules") or []
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise SopsRulesError("creation_rules is not a list of maps", file=file)
    stores = top.get("stores")
    stores = stores if isinstance(stores, dict) else {}
    return Rules(
        file,
        tuple(rule for rule in rules if isinstance(rule, dict)),
        _indent(stores, "yaml", file),
        _indent(stores, "json", file),
    )


def _indent(stores: dict[str, Data], name: str, file: str) -> int | None:
    store = stores.get(name)
    indent = store.get("indent") if isinstance(store, dict) else None
    if indent is None or (indent == -1 and name == "json") or (indent == 0 and name == "yaml"):
        return None
    if not isinstance(indent, int) or isinstance(indent, bool) or not 0 <= indent <= 16:
        raise SopsRulesError("an indent is not a number of spaces", file=file, field=f"stores.{name}.indent")
    return indent


def _found(pattern: str, path: str, file: str, number: int) -> bool:
    try:
        return matcher(pattern)(path)
    except SopsFormatError as error:
        raise SopsRulesError("path_regex is not an RE2 pattern", file=file, rule=number).with_facts(
            **error.facts
        ) from None


def _rule(rule: dict[str, Data], file: str, number: int) -> CreationRule:
    selectors: list[Selector] = [name for name in SELECTORS if _text(rule, name, file, number)]
    if len(selectors) > 1:
        raise SopsRulesError(
            "a rule has more than one selector", hint="keep one of the suffixes and regexes", file=file, rule=number
        )
    only_encrypted = rule.get("mac_only_encrypted") or False
    if not isinstance(only_encrypted, bool):
        raise SopsRulesError("mac_only_encrypted is not true or false", file=file, rule=number)
    selection = Selection(mac_only_encrypted=only_encrypted)
    if selectors:
        selection = Selection(selectors[0], _text(rule, selectors[0], file, number), only_encrypted)
    return CreationRule(Recipients.one_group(*_recipients(rule, file, number)), selection)


def _recipients(rule: dict[str, Data], file: str, number: int) -> Iterator[Recipient]:
    groups = rule.get("key_groups")
    if groups:
        if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
            raise SopsRulesError("key_groups is not a list of maps", file=file, rule=number)
        if len(groups) > 1:
            raise SopsRulesError(
                "more than one key group is not supported", hint="use one group of keys", file=file, rule=number
            )
        for group in groups:
            if isinstance(group, dict):
                yield from _group(group, file, number)
        return
    yield from _keys(rule, "hc_vault_transit_uri", file, number)


def _group(group: dict[str, Data], file: str, number: int) -> Iterator[Recipient]:
    merge = group.get("merge") or []
    if not isinstance(merge, list):
        raise SopsRulesError("merge is not a list of groups", file=file, rule=number)
    for each in merge:
        if not isinstance(each, dict):
            raise SopsRulesError("merge is not a list of groups", file=file, rule=number)
        yield from _group(each, file, number)
    yield from _keys(group, "hc_vault", file, number)


def _keys(holder: dict[str, Data], transit: str, file: str, number: int) -> Iterator[Recipient]:
    for kind in _UNSUPPORTED:
        if holder.get(kind):
            raise SopsRulesError(
                "a rule asks for a kind of key that is not supported",
                hint="supported are age, pgp and hc_vault transit",
                file=file,
                rule=number,
                kind=kind,
            )
    yield from (AgeRecipient(name) for name in _names(holder, "age", file, number))
    yield from (PgpRecipient(name.replace(" ", "")) for name in _names(holder, "pgp", file, number))
    for uri in _names(holder, transit, file, number):
        recipient = transit_recipient(uri)
        if recipient is None:
            raise SopsRulesError(
                "not the address of a transit key",
                hint="it has the form https://vault.example.org:8200/v1/transit/keys/name",
                file=file,
                rule=number,
                field=transit,
            )
        yield recipient


def _names(holder: dict[str, Data], field: str, file: str, number: int) -> list[str]:
    found = holder.get(field)
    parts = found if isinstance(found, list) else [found or ""]
    names: list[str] = []
    for part in parts:
        if not isinstance(part, str):
            raise SopsRulesError(
                "keys are a list of texts, or one text with commas", file=file, rule=number, field=field
            )
        names += [name.strip() for name in part.split(",") if name.strip()]
    return names


def _text(rule: dict[str, Data], field: str, file: str, number: int) -> str:
    found = rule.get(field)
    if found is not None and not isinstance(found, str):
        raise SopsRulesError("not a text", file=file, rule=number, field=field)
    return found or ""
