"""Command lines in the form that sops had before it had commands: `sops -d f`, `sops --set ... f`, `sops f`.

So do flags that stand before the name of a command, such as `--config`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.errors import FileMissingError, KeyChangeError
from agent.values.dataclass import dataclass
from agent.values.errors import SetFormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_LETTERS = {
    "d": "decrypt",
    "e": "encrypt",
    "r": "rotate",
    "i": "in-place",
    "s": "show-master-keys",
    "k": "kms",
    "p": "pgp",
    "a": "age",
}
_MODES = ("encrypt", "decrypt", "rotate", "set")
"""What is to be done. Of several the last of this order is, as with sops."""
_SWITCHES = {
    *("decrypt", "encrypt", "rotate", "in-place", "show-master-keys", "ignore-mac", "mac-only-encrypted", "verbose"),
    *("disable-version-check", "check-for-updates", "enable-local-keyservice", "sops-format"),
}
_KINDS = ("kms", "gcp-kms", "hckms", "azure-kv", "hc-vault-transit", "age", "pgp")
_CHANGES = {f"{way}-{kind}" for way in ("add", "rm") for kind in _KINDS}
_VALUES = {
    *_KINDS,
    *_CHANGES,
    *(f"{way}-{what}" for way in ("encrypted", "unencrypted") for what in ("suffix", "regex", "comment-regex")),
    *("aws-profile", "extract", "input-type", "output-type", "config", "encryption-context", "set", "indent", "output"),
    *("shamir-secret-sharing-threshold", "filename-override", "decryption-order", "keyservice"),
}
FLAGS = _SWITCHES | _VALUES
_BEFORE_A_COMMAND = {"config", "indent", "verbose", "mac-only-encrypted", "disable-version-check", "check-for-updates"}


@dataclass(frozen=True, slots=True)
class Call:
    """A command, flags that are passed on to it if it has them, and the arguments behind them."""

    command: str
    flags: tuple[tuple[str, str], ...]
    rest: tuple[str, ...]


def looks_like_a_file(name: str) -> bool:
    """Whether what stands where a command does is a file to edit, and no misspelt command."""
    return "." in name or "/" in name or os.path.exists(name)


def read(arguments: Sequence[str], commands: Collection[str]) -> Call | None:
    """The command that is meant; None for a flag that sops does not have. Raises FileMissingError, SetFormatError."""
    flags: list[tuple[str, str]] = []
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] not in {"-", "--"}:
        name, equals, value = arguments[at].lstrip("-").partition("=")
        name = _LETTERS.get(name, name)
        at += 1
        if name in _VALUES and not equals:
            value = arguments[at] if at < len(arguments) else ""
            at += 1
        elif name in _SWITCHES:
            value = value or "true"
        elif name not in _VALUES:
            return None
        flags.append((name, value))
    rest = arguments[at + 1 :] if "--" in arguments[at : at + 1] else arguments[at:]
    if rest and rest[0] in commands:
        return _before_a_command(flags, rest)
    return _of_a_file(dict(flags), rest)


def _before_a_command(flags: Sequence[tuple[str, str]], rest: Sequence[str]) -> Call:
    for name, _ in flags:
        if name not in _BEFORE_A_COMMAND:
            terminal.warn(f"--{name} means nothing before {rest[0]}: put it after it")
    return Call(rest[0], tuple(flag for flag in flags if flag[0] in _BEFORE_A_COMMAND), tuple(rest[1:]))


def _of_a_file(given: dict[str, str], rest: Sequence[str]) -> Call:
    modes = [mode for mode in _MODES if given.get(mode, "") not in {"", "false"}]
    if len(modes) > 1:
        terminal.warn(f"of --{', --'.join(modes)} only --{modes[-1]} is done")
    command = modes[-1] if modes else "edit"
    flags = {name: value for name, value in given.items() if name not in _MODES}
    if not rest:
        raise FileMissingError("no file named")
    file, *more = rest
    if not os.path.exists(file):
        if not _CHANGES.isdisjoint(flags):
            raise KeyChangeError("keys can only be added to or removed from existing files", file=file)
        if command not in {"edit", "set"}:
            raise FileMissingError("no such file", file=file)
    if more and not more[0].startswith("-"):
        terminal.warn("one file is taken, and what stands behind it is not")
        more = []
    if command == "set":
        more = [*more, "--", file, *_assignment(given["set"])]
        file = ""
    return Call(command, tuple(flags.items()), tuple(([file] if file else []) + more))


def _assignment(text: str) -> tuple[str, str]:
    """The path and the value of `--set '["a"]["b"] "value"'`."""
    path, found, value = text.partition("] ")
    if not found:
        raise SetFormatError("not a path and a value", hint="""write it as '["key"] "value"'""")
    return f"{path}]", value
