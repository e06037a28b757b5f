"""`.sops.yaml`: which rule makes a file at a path, hence for whom and which values are encrypted.

As github.com/getsops/sops `config/config.go`: the first rule whose `path_regex` is found in the path wins; a rule without one always
matches; a file with rules of which none matches is an error. The whole file has to be well typed, but only the rule that matches has
to make sense. `destination_rules` are for `sops publish`, and passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format.groups import Recipients
from agent.sops.format.keys import AzureRecipient, KmsRecipient, kind_of, name_of
from agent.sops.format.selection import SELECTORS, Selection, matcher
from agent.sops.rules import CreationRule, rule_keys
from agent.values.dataclass import dataclass
from agent.values.errors import NoRuleError, SopsFormatError, SopsRulesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agent.sops.format.keys import Recipient
    from agent.sops.format.selection import Selector
    from agent.sops.rules.rule_fields import Fields
    from agent.sops.rules.rule_keys import Context

_FLAT = {
    "age": "age",
    "pgp": "pgp",
    "kms": "kms",
    "gcp_kms": "gcp_kms",
    "azure_keyvault": "azure_kv",
    "hc_vault_transit_uri": "hc_vault",
}
"""What a rule calls the kinds of keys whose names are one text or a list."""
FIELDS = (
    "path_regex",
    *_FLAT,
    "hckms",
    "aws_profile",
    "key_groups",
    "shamir_threshold",
    "mac_only_encrypted",
    *SELECTORS,
)
"""Of a rule."""
_LARGEST_INDENT = 16


@dataclass(frozen=True, slots=True)
class _Group:
    """A key group before the groups that it merges are joined to it."""

    merge: tuple[_Group, ...]
    fields: Fields


@dataclass(frozen=True, slots=True)
class _Rule:
    path_regex: str
    fields: Fields
    groups: tuple[_Group, ...]
    threshold: int
    selectors: Mapping[Selector, str]
    mac_only_encrypted: bool
    aws_profile: str
    hckms: str


@dataclass(frozen=True, slots=True)
class Rules:
    """A whole `.sops.yaml`. Indents are in spaces; None is the format's own.

    `unknown` are fields that rules do not have, each with the number of its rule: sops passes over them, and so does this.
    """

    file: str
    rules: tuple[_Rule, ...] | None
    yaml_indent: int | None = None
    json_indent: int | None = None
    binary_indent: int | None = None
    unknown: tuple[tuple[int, str], ...] = ()

    @property
    def path_patterns(self) -> tuple[str, ...]:
        """The `path_regex` of each rule, empty where it takes every path."""
        return tuple(rule.path_regex for rule in self.rules or ())

    def match(self, path: str, *, context: Context = ()) -> CreationRule | None:
        """The rule for a path relative to the folder of `.sops.yaml`; None where the file has no creation rules.

        `context` goes with the rule's own AWS keys, since only those of groups can name theirs. Raises NoRuleError where none
        matches, and SopsRulesError for a rule that makes no sense.
        """
        if self.rules is None:
            return None
        for number, rule in enumerate(self.rules, 1):
            try:
                if not rule.path_regex or matcher(rule.path_regex)(path):
                    return _creation_rule(rule, context)
            except SopsFormatError as error:
                raise SopsRulesError(
                    "path_regex is not an RE2 pattern",
                    hint="it is a regular expression, not a glob: \\.yaml$ fits what *.yaml does",
                    file=self.file,
                    rule=number,
                ).with_facts(**error.facts) from None
            except SopsRulesError as error:
                raise error.with_facts(file=self.file, rule=number) from None
        raise NoRuleError(
            "no creation rule matches this path",
            hint="add one whose path_regex is found in it, or a final rule without path_regex",
            file=self.file,
            path=path,
        )


def parse(data: bytes, *, file: str) -> Rules:
    """Read `.sops.yaml`. Raises SopsRulesError."""
    # Only here, since `--age` and its like need no file of rules.
    from agent.sops.rules import rule_fields

    top = rule_fields.parse(data, file=file)
    found = top.maps("creation_rules")
    stores = top.map("stores")
    return Rules(
        file,
        None if found is None else tuple(_rule(fields) for fields in found),
        _indent(stores, "yaml", unset=0),
        _indent(stores, "json", unset=-1),
        _indent(stores, "json_binary", unset=-1),
        tuple(
            (number, name) for number, rule in enumerate(found or (), 1) for name in rule.nodes if name not in FIELDS
        ),
    )


def _indent(stores: Fields, name: str, *, unset: int) -> int | None:
    indent = stores.map(name).number("indent", unset)
    if indent == unset:
        return None
    if not 0 <= indent <= _LARGEST_INDENT:
        raise SopsRulesError("an indent is not a number of spaces", file=stores.file, field=f"stores.{name}.indent")
    return indent


def _rule(fields: Fields) -> _Rule:
    return _Rule(
        fields.text("path_regex"),
        fields,
        tuple(_group(group) for group in fields.maps("key_groups") or ()),
        fields.number("shamir_threshold"),
        {name: text for name in SELECTORS if (text := fields.text(name))},
        fields.flag("mac_only_encrypted"),
        fields.text("aws_profile"),
        ",".join(fields.texts("hckms")),
    )


def _group(fields: Fields) -> _Group:
    group = _Group(tuple(_group(each) for each in fields.maps("merge") or ()), fields)
    # Every group of the file has to be well typed, of whichever rule.
    for name in ("age", "pgp", "hc_vault"):
        fields.texts(name)
    for name, texts in (("kms", ("arn", "role", "aws_profile")), ("gcp_kms", ("resource_id",)), ("hckms", ("key_id",))):
        for key in fields.maps(name) or ():
            for text in texts:
                key.text(text)
            key.text_map("context")
    for key in fields.maps("azure_keyvault") or ():
        for text in ("vaultUrl", "key", "version"):
            key.text(text)
    return group


def _creation_rule(rule: _Rule, context: Context) -> CreationRule:
    if len(rule.selectors) > 1:
        raise SopsRulesError("a rule has more than one selector", hint="keep one of the suffixes and regexes")
    selection = Selection(mac_only_encrypted=rule.mac_only_encrypted)
    for selector, pattern in rule.selectors.items():
        selection = Selection(selector, pattern, rule.mac_only_encrypted)
    if rule.groups:
        groups = tuple(_distinct(_members(group)) for group in rule.groups)
        return CreationRule(Recipients(groups, rule.threshold), selection, bool(rule.path_regex))
    keys = tuple(dict.fromkeys(_flat(rule, context)))
    return CreationRule(Recipients((keys,) if keys else (), rule.threshold), selection, bool(rule.path_regex))


def _distinct(keys: Iterable[Recipient]) -> tuple[Recipient, ...]:
    """Each once, by the name that sops distinguishes them by: a role may stand behind its key's ARN or beside it."""
    found: dict[tuple[str, str], Recipient] = {}
    for key in keys:
        found.setdefault((kind_of(key), name_of(key)), key)
    return tuple(found.values())


def _flat(rule: _Rule, context: Context) -> Iterator[Recipient]:
    for field, kind in _FLAT.items():
        text = rule.fields.names(field)
        yield from rule_keys.recipients(kind, text, context=context, aws_profile=rule.aws_profile)
        if kind == "gcp_kms":
            yield from rule_keys.recipients("hckms", rule.hckms)


def _members(group: _Group) -> Iterator[Recipient]:
    for merged in group.merge:
        yield from _members(merged)
    fields = group.fields
    for name in fields.texts("age"):
        yield from rule_keys.recipients("age", name)
    yield from (rule_keys.recipient("pgp", name) for name in fields.texts("pgp"))
    for key in fields.maps("kms") or ():
        yield KmsRecipient(key.text("arn"), key.text("role"), key.text_map("context"), key.text("aws_profile"))
    yield from (rule_keys.recipient("gcp_kms", key.text("resource_id")) for key in fields.maps("gcp_kms") or ())
    yield from (rule_keys.recipient("hckms", key.text("key_id")) for key in fields.maps("hckms") or ())
    for key in fields.maps("azure_keyvault") or ():
        yield AzureRecipient(key.text("vaultUrl"), key.text("key"), key.text("version"))
    yield from (rule_keys.recipient("hc_vault", uri) for uri in fields.texts("hc_vault"))
