"""What can be said of an encrypted file without any key: is everything encrypted that should be, and for whom is it.

A finding is an error that is not raised: what is wrong, where, and how it is mended. It never quotes a value. Whether the values are
those that were encrypted tells the MAC alone (`agent.sops.decrypt`), which takes a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.sops import cipher
from agent.sops.keys import kind_of, name_of
from agent.sops.selection import Selected
from agent.sops.walk import rewrite
from agent.values.errors import MacMismatchError, SopsError, UnsoundFileError

if TYPE_CHECKING:
    from agent.sops.decrypt import EncryptedFile
    from agent.sops.groups import Recipients
    from agent.sops.rules import CreationRule
    from agent.sops.walk import Place, Scalar
    from agent.yaml.nodes import Comment

TYPES = ("str", "int", "float", "bool", "time", "comment", "bytes")
"""What an encrypted value may be labelled as."""


@dataclass(slots=True)
class Findings:
    """`errors` make a file unsound; `warnings` are what sops lets pass too."""

    errors: list[SopsError] = field(default_factory=list["SopsError"])
    warnings: list[SopsError] = field(default_factory=list["SopsError"])


def structure(encrypted: EncryptedFile) -> Findings:
    """Values against the file's own selection, the MAC's presence, and its key groups. Raises nothing of a SopsError."""
    findings = Findings()
    _check_groups(encrypted, findings)
    mac = encrypted.metadata.mac
    if not mac:
        findings.errors.append(
            MacMismatchError("the file has no MAC", hint="restore it from the commit that encrypted it")
        )
    elif _malformed(mac):
        findings.errors.append(
            MacMismatchError("the file's MAC is malformed", hint="restore it from an earlier commit")
        )
    try:
        selected = Selected(encrypted.metadata.selection)
        for document in encrypted.documents:
            rewrite(document, selected, _Checker(findings), file=encrypted.file)
    except SopsError as error:
        findings.errors.append(error)
    return findings


def against_rule(encrypted: EncryptedFile, rule: CreationRule) -> Findings:
    """The file's recipients and selection beside those that `.sops.yaml` would give it today."""
    findings = Findings()
    difference = compare(encrypted.metadata.data_key.recipients, rule.recipients)
    if difference.missing or difference.extra or difference.regrouped:
        findings.errors.append(
            UnsoundFileError(
                "the recipients are not those of .sops.yaml",
                hint="agent updatekeys gives the file those of the rule; whoever is taken out knows its values until rotate",
                **difference.facts(),
            )
        )
    if rule.selection != encrypted.metadata.selection and not rule.selection.is_default:
        findings.warnings.append(
            UnsoundFileError(
                "what is encrypted of the file is not what .sops.yaml says",
                hint="decrypt it and encrypt it again",
                selector=rule.selection.selector,
            )
        )
    return findings


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of recipients, by kind: those that `.sops.yaml` has and the file has not, and the other way round."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    regrouped: bool = False
    """The recipients are the same, but their groups or the threshold are not."""

    def facts(self) -> dict[str, str]:
        """As an error's facts."""
        facts = {"missing": "; ".join(self.missing), "extra": "; ".join(self.extra)}
        if self.regrouped:
            facts["groups"] = "differ"
        return {name: text for name, text in facts.items() if text}

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.regrouped)


def compare(file: Recipients, rule: Recipients) -> Difference:
    """What keeps a file's recipients from being a rule's."""
    ours, theirs = _named(file), _named(rule)
    missing = tuple(dict.fromkeys(name for group in theirs for name in group if not any(name in one for one in ours)))
    extra = tuple(dict.fromkeys(name for group in ours for name in group if not any(name in one for one in theirs)))
    regrouped = False
    if not missing and not extra:
        thresholds = [each.threshold or len(each.groups) for each in (file, rule)]
        regrouped = [set(group) for group in ours] != [set(group) for group in theirs] or (
            len(ours) > 1 and thresholds[0] != thresholds[1]
        )
    return Difference(missing, extra, regrouped)


def _named(recipients: Recipients) -> list[list[str]]:
    return [[f"{kind_of(each)} {name_of(each)}" for each in group] for group in recipients.groups if group]


def _check_groups(encrypted: EncryptedFile, findings: Findings) -> None:
    wrapped = encrypted.metadata.data_key
    groups = len(wrapped.groups)
    if groups == 1:
        return
    if wrapped.threshold > groups:
        findings.errors.append(
            UnsoundFileError("more key groups are asked for than there are", groups=groups, threshold=wrapped.threshold)
        )
    if wrapped.threshold == 1:
        findings.errors.append(UnsoundFileError("a threshold of one key group is none", groups=groups))
    if sum(map(bool, wrapped.groups)) < wrapped.needed:
        findings.errors.append(
            UnsoundFileError("key groups without keys leave too few to open the file", groups=groups)
        )
    named = _named(wrapped.recipients)
    for name in dict.fromkeys(name for group in named for name in group):
        if sum(name in group for group in named) > 1:
            findings.warnings.append(
                UnsoundFileError("one key is in several key groups", hint="whoever has it opens each of them", key=name)
            )


def _malformed(text: str) -> bool:
    parts = cipher.parse(text)
    return parts is None or len(parts.data) < cipher.TAG_SIZE or not parts.iv or parts.type not in TYPES


@dataclass(frozen=True, slots=True)
class _Checker:
    findings: Findings

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        is_encrypted = isinstance(value, str) and value.startswith(cipher.PREFIX)
        if place.encrypted and value != "" and not is_encrypted:
            self._error(
                place,
                UnsoundFileError(
                    "value is not encrypted, though the file's rule says so",
                    hint="it was written by hand: take it out, and add it with `agent edit` or `agent set`",
                ),
            )
        elif is_encrypted and _malformed(str(value)):
            self._error(
                place, UnsoundFileError("an encrypted value is malformed", hint="restore it from an earlier commit")
            )
        elif is_encrypted and not place.encrypted:
            self._error(
                place,
                UnsoundFileError(
                    "value is encrypted, though the file's rule leaves it clear",
                    hint="the rule in the file's sops entry, or a key above the value, was edited by hand",
                ),
            )
        return value

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        if place.encrypted and comment.text and cipher.parse(comment.text) is None:
            self.findings.warnings.append(
                UnsoundFileError(
                    "a comment is in the clear where comments are encrypted",
                    hint="it was written by hand; `agent edit` encrypts it",
                    field=place.field,
                )
            )
        return comment

    def _error(self, place: Place, error: UnsoundFileError) -> None:
        self.findings.errors.append(error.with_facts(field=place.field))
