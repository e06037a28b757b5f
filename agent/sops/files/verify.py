"""What can be said of an encrypted file without any key: is everything encrypted that should be, and for whom is it.

A finding is an error that is not raised: what is wrong, where, and how to fix it. It never quotes a value. Only the MAC
shows whether the values are those that were encrypted (`agent.sops.decrypt`), which takes a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format import cipher, key_changes
from agent.sops.format.keys import kind_of, name_of, short_name_of
from agent.sops.format.selection import Selected
from agent.sops.format.walk import rewrite
from agent.values.dataclass import dataclass, field
from agent.values.errors import MacMismatchError, SopsError, UnsoundFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.sops.files.decrypt import EncryptedFile
    from agent.sops.files.parts import Part
    from agent.sops.format.groups import Recipients
    from agent.sops.format.keys import Recipient
    from agent.sops.format.selection import Selection
    from agent.sops.format.walk import Place, Scalar
    from agent.sops.rules import CreationRule
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


def in_clear(part: Part, selection: Selection, *, file: str) -> UnsoundFileError | None:
    """Of a document in the clear beside encrypted ones: whether what they have encrypted stands readable in it."""
    counted = _Selected()
    for document in part.documents:
        rewrite(document, Selected(selection), counted, file=file)
    if not counted.any:
        return None
    return UnsoundFileError(
        "a document is in the clear, beside encrypted ones of which such values are encrypted",
        hint="is it meant to be? then give it a file of its own",
        line=part.line,
    )


@dataclass(slots=True)
class _Selected:
    any: bool = False

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        self.any |= place.encrypted and value != ""
        return value

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        del place
        return comment


def against_rule(encrypted: EncryptedFile, rule: CreationRule) -> Findings:
    """The file's recipients and selection beside those that `.sops.yaml` would give it today."""
    findings = Findings()
    facts = differing(encrypted.metadata.data_key.recipients, rule.recipients)
    if facts:
        findings.errors.append(
            UnsoundFileError(
                "the recipients are not those of .sops.yaml",
                hint="agent updatekeys gives the file those of the rule; a removed recipient knows its values until rotate",
                **facts,
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


def differing(file: Recipients, rule: Recipients) -> dict[str, str]:
    """What keeps a file's recipients from being a rule's, as an error's facts: `missing` and `extra` ones, or their `groups`."""
    change = key_changes.between(file, rule)
    if not change.any:
        return {}
    missing, extra = key_changes.KeyChange(change.after, file).gone, change.gone
    named = {"missing": _names(missing), "extra": _names(extra)} if missing or extra else {"groups": "differ"}
    return {name: text for name, text in named.items() if text}


def _names(recipients: Iterable[Recipient]) -> str:
    return "; ".join(f"{kind_of(each)} {short_name_of(each)}" for each in recipients)


def _check_groups(encrypted: EncryptedFile, findings: Findings) -> None:
    wrapped = encrypted.metadata.data_key
    groups = len(wrapped.groups)
    if groups == 1:
        return
    if wrapped.threshold > groups:
        findings.errors.append(
            UnsoundFileError(
                "the threshold is higher than the number of key groups", groups=groups, threshold=wrapped.threshold
            )
        )
    if wrapped.threshold == 1:
        findings.errors.append(UnsoundFileError("a threshold needs more than one key group", groups=groups))
    if sum(map(bool, wrapped.groups)) < wrapped.needed:
        findings.errors.append(
            UnsoundFileError("key groups without keys leave too few to open the file", groups=groups)
        )
    named = [[f"{kind_of(key)} {name_of(key)}" for key in group] for group in wrapped.groups]
    for name in dict.fromkeys(name for group in named for name in group):
        if sum(name in group for group in named) > 1:
            findings.warnings.append(
                UnsoundFileError("a key is in several key groups", hint="its owner can open each of them", key=name)
            )


def _malformed(text: str) -> bool:
    parts = cipher.parse(text)
    return parts is None or len(parts.data) < cipher.TAG_SIZE or not parts.iv or parts.type not in TYPES


@dataclass(frozen=True, slots=True)
class _Checker:
    findings: Findings

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        text = value if isinstance(value, str) else ""
        if place.encrypted and value != "":
            if not text.startswith(cipher.PREFIX):
                self._error(
                    place,
                    UnsoundFileError(
                        "value is not encrypted, though the file's rule says so",
                        hint="it was written by hand: take it out, and add it with `agent edit` or `agent set`",
                    ),
                )
            elif _malformed(text):
                self._error(
                    place, UnsoundFileError("an encrypted value is malformed", hint="restore it from an earlier commit")
                )
        elif not place.encrypted and cipher.parse(text) is not None:
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
