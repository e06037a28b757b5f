"""What people do by mistake when they encrypt or decrypt: refused where it would do harm, warned of where it may.

Warnings go to stderr, so that what a script reads stays what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.files import file_types, rules
from agent.cli.secrets import committed
from agent.sops.format import cipher
from agent.sops.kubernetes import secrets as kubernetes
from agent.values.dataclass import replace
from agent.values.errors import AgentError, AlreadyEncryptedError, LeftInClearError, NoRuleError
from agent.values.text import UTF8_MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.cli.keys.creation import Choice
    from agent.sops.format.groups import Recipients
    from agent.sops.format.selection import Selection
    from agent.sops.rules.config import Rules
    from agent.sops.stores import Store
    from agent.yaml.nodes import Mapping


def refuse_encrypted(data: bytes, documents: Sequence[Mapping], *, file: str, store: Store) -> None:
    """Where values are encrypted already, since no one would expect a second time. Raises AlreadyEncryptedError."""
    if b"ENC[" not in data:
        return
    # Only here, since few files come so far.
    from agent.sops.format import stripped

    if store.single and (file_types.looks_encrypted(data, store) or stripped.is_binary(data)):
        raise AlreadyEncryptedError(
            "the file is encrypted already", hint="to encrypt it a second time, give it another form first", file=file
        )
    line = stripped.encrypted_line(documents)
    if line is not None:
        raise AlreadyEncryptedError(
            "the file has encrypted values and no sops entry",
            hint="restore the entry: without it no one can decrypt them, and encrypting them again would hide that",
            file=file,
            line=line,
        )


def selection(what: Choice, chosen: Selection, documents: Sequence[Mapping], *, file: str) -> tuple[Selection, str]:
    """What is encrypted of a file, and a note where no selection was given and it is not what sops would encrypt.

    Of Kubernetes Secrets it is `data` and `stringData`. Raises LeftInClearError where their values stand elsewhere too.
    """
    found = kubernetes.secrets(documents)
    if not found:
        return chosen, ""
    asked = bool(what.selectors) or not chosen.is_default
    if not asked and not kubernetes.only_secrets(documents):
        return chosen, f"{file} holds more than Kubernetes Secrets: all of it is encrypted"
    selected = chosen if asked else replace(kubernetes.SELECTION, mac_only_encrypted=chosen.mac_only_encrypted)
    if any(kubernetes.copy_in_clear(secret, selected) for secret in found):
        if not asked:
            raise LeftInClearError(
                "an annotation of the Secret holds its values in the clear",
                hint="take out last-applied-configuration, which kubectl left there, or say what is to be encrypted",
                file=file,
                annotation=kubernetes.LAST_APPLIED,
            )
        terminal.warn(f"{file}: {kubernetes.LAST_APPLIED} of the Secret holds its values in the clear")
    if asked:
        return chosen, ""
    return selected, "of Kubernetes Secrets only data and stringData are encrypted; --encrypted-regex and others choose"


def warn_if_clear(encrypted: bytes, documents: Sequence[Mapping], chosen: Selection, *, file: str) -> None:
    """Where the selection meets nothing; the MAC, which each document may have, is always encrypted."""
    if encrypted.count(cipher.PREFIX.encode()) <= len(documents):
        terminal.warn(f"nothing of {file} is encrypted: {chosen.selector} {chosen.pattern} leaves all of it clear")


def warn_of_cut_block(data: bytes, *, file: str, store: Store) -> None:
    """Where the file ends in a block scalar without a line break, which kubectl reads as if there were one, and sops does not."""
    if store.name != "yaml" or data.endswith((b"\n", b"\r")) or not (b"|" in data or b">" in data):
        return
    # Only here, since few files come so far.
    from agent.yaml.matching import same_documents
    from agent.yaml.read import yaml

    if not same_documents(yaml.parse(data, file=file), yaml.parse(data + b"\n", file=file)):
        terminal.warn(
            f"{file}: its last value is a block scalar without a line break at its end, and is encrypted so; kubectl reads one "
            "there. end the file with a line break if it belongs to the value"
        )


def warn_of_line_ends(data: bytes, *, file: str, store: Store) -> None:
    """Of a `.env` file, whose format makes the carriage return and a byte order mark a part of a value or key."""
    if store.name != "dotenv":
        return
    if b"\r\n" in data:
        terminal.warn(f"the lines of {file} end with CRLF, so that each value ends with a carriage return, as for sops")
    if data.startswith(UTF8_MARK):
        terminal.warn(f"{file} begins with a byte order mark, which is now a part of its first line, as for sops")


def warn_of_plain(file: str) -> None:
    """Where a file in the clear may come into Git."""
    if committed.may_be_committed(file):
        terminal.warn(f"{file} is in the clear, and Git does not ignore it")


def warn_of_recipients(config: Rules | None, file: str, recipients: Recipients) -> None:
    """Where a file's recipients are not those that `.sops.yaml` has for it; it need not have any."""
    try:
        rule = rules.rule_at(config, file)
    except NoRuleError:
        return
    except AgentError as error:
        terminal.warn(f"{file}: {error.message}")
        return
    if rule is None:
        return
    from agent.sops.files import verify

    if differing := verify.differing(recipients, rule.recipients):
        named = ", ".join(f"{name} {text}" for name, text in differing.items())
        terminal.warn(f"the recipients of {file} are not those of .sops.yaml ({named}); agent updatekeys makes them so")
