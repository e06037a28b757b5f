"""age plugins, programs called age-plugin-NAME: for recipients `age1NAME1…` and identities `AGE-PLUGIN-NAME-1…`. And tag recipients.

pyrage finds the program in PATH and talks to it. Tag recipients, `age1tag1…` and `age1tagpq1…`, need a plugin only to decrypt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyrage

from agent.adapters.keys.credential import key_text
from agent.values.errors import AgentError, DataKeyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from agent.adapters.keys.age_format import AgeFile
    from agent.adapters.keys.age_identities import Person

    _T = TypeVar("_T")

# The name becomes part of a program's, so it must not lead into another folder.
_NAME = re.compile(r"[A-Za-z0-9+_-][A-Za-z0-9+._-]*")


class PluginIdentity:
    """An identity that a plugin holds, or that stands for a device."""

    def __init__(self, text: str, person: Person, *, source: str) -> None:
        """Raises ValueError."""
        try:
            self._identity = pyrage.plugin.Identity.from_str(text)
        except pyrage.IdentityError:
            raise ValueError("not a plugin's identity") from None
        self._name = _checked(self._identity.plugin())
        self._person = person
        self._source = source

    def open(self, file: AgeFile) -> bytes | None:
        """The plaintext; None where the plugin does not open it. Raises DataKeyError where there is no such plugin."""
        dialogue = _Dialogue(self._name, self._person)
        try:
            plugin = pyrage.plugin.IdentityPluginV1(self._name, [self._identity], dialogue)
        except pyrage.DecryptError:
            raise DataKeyError(
                "the plugin of an age identity is not installed", plugin=f"age-plugin-{self._name}", source=self._source
            ) from None
        try:
            return dialogue.during(lambda: pyrage.decrypt(file.data, [plugin]))
        except pyrage.DecryptError:
            return None


def encrypt(recipient: str, plaintext: bytes, person: Person | None) -> bytes:
    """An age file, without armor. Raises ValueError for another text, DataKeyError where there is no such plugin, or it fails."""
    try:
        if recipient.startswith("age1tag1"):
            return pyrage.encrypt(plaintext, [pyrage.tag.Recipient.from_str(recipient)])
        if recipient.startswith("age1tagpq1"):
            return pyrage.encrypt(plaintext, [pyrage.tagpq.Recipient.from_str(recipient)])
        parsed = pyrage.plugin.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        raise ValueError("not a plugin's recipient") from None
    name = _checked(parsed.plugin())
    if person is None:
        raise DataKeyError("plugins of age are not run here", plugin=f"age-plugin-{name}")
    dialogue = _Dialogue(name, person)
    try:
        plugin = pyrage.plugin.RecipientPluginV1(name, [parsed], [], dialogue)
    except pyrage.EncryptError:
        raise DataKeyError(
            "the plugin of the age recipient is not installed",
            hint="it is a program that must be in a folder of PATH",
            plugin=f"age-plugin-{name}",
        ) from None
    try:
        return dialogue.during(lambda: pyrage.encrypt(plaintext, [plugin]))
    except pyrage.EncryptError:
        raise DataKeyError("the plugin does not encrypt for the age recipient", plugin=f"age-plugin-{name}") from None


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("not the name of a plugin")
    return name


class _Dialogue:
    """What pyrage calls. An exception must not pass through it, so an interruption is kept until it has returned."""

    def __init__(self, name: str, person: Person) -> None:
        self._name = name
        self._person = person
        self._interrupted = False

    def during(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        finally:
            if self._interrupted:
                raise KeyboardInterrupt

    def display_message(self, message: str) -> None:
        self._person.show(f"age-plugin-{self._name}: {message}")

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None:
        choices = f"[{yes_string}]" if no_string is None else f"1 for [{yes_string}], 2 for [{no_string}]"
        answer = self._ask(f"{message} {choices}:", hidden=False)
        if answer is None:
            return None
        return True if no_string is None else {"1": True, "2": False}.get(answer.strip())

    def request_public_string(self, description: str) -> str | None:
        return self._ask(description, hidden=False)

    def request_passphrase(self, description: str) -> str | None:
        return self._ask(description, hidden=True)

    def _ask(self, question: str, *, hidden: bool) -> str | None:
        try:
            return key_text(self._person.ask(f"age-plugin-{self._name}: {question}", hidden=hidden))
        except AgentError:
            return None
        except KeyboardInterrupt:
            self._interrupted = True
            return None
