"""Files that are not what their name says: compressed, a page of HTML, a template, halfway through a merge.

A parser would name the character that it stumbles over. Nothing is concluded from it but what the error says: such a file is refused in any
case.
"""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, Final, LiteralString

from agent.values.errors import YamlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from agent.values.errors.root import Fact

    P = ParamSpec("P")
    T = TypeVar("T")

# Compiled when they are needed, since few files are something else.
_CONFLICT: Final = rb"(?m)^<{7,}(?: .*)?\r?$"
"""The line that Git begins a conflict with, without its break."""
_TEMPLATE: Final = rb"\{\{|\{%|<%"
_HTML: Final = rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b"
_ABOVE_HTML: Final = b"\xef\xbb\xbf \t\r\n"
_UNPACK: LiteralString = "unpack it first; agent encrypt --input-type binary takes it as it is"
_BEGINNINGS: Final[tuple[tuple[bytes, LiteralString, LiteralString], ...]] = (
    (b"\x1f\x8b", "the file is compressed by gzip", _UNPACK),
    (b"\xfd7zXZ\0", "the file is compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "the file is compressed by zstd", _UNPACK),
    (b"BZh", "the file is compressed by bzip2", _UNPACK),
    (b"PK\x03\x04", "the file is a ZIP archive", _UNPACK),
    (
        b"$ANSIBLE_VAULT;",
        "the file is encrypted by Ansible Vault",
        "decrypt it first: ansible-vault decrypt",
    ),
    (
        b"age-encryption.org/v1\n",
        "the file is encrypted by age itself, not by SOPS",
        "age --decrypt opens it",
    ),
    (
        b"-----BEGIN AGE ENCRYPTED FILE-----",
        "the file is encrypted by age itself, not by SOPS",
        "age --decrypt opens it",
    ),
    (b"-----BEGIN PGP MESSAGE-----", "the file is encrypted by PGP itself, not by SOPS", "gpg --decrypt opens it"),
)  # fmt: skip


def check(data: bytes, *, file: str) -> None:
    """Raises YamlError for what no file of several values begins with, whatever its type."""
    for beginning, message, hint in _BEGINNINGS:
        if data.startswith(beginning):
            raise YamlError(message, hint=hint, file=file)
    if data[:1024].lstrip(_ABOVE_HTML)[:1] == b"<" and re.match(_HTML, data):
        raise YamlError(
            "the file is a page of HTML",
            hint="a server gave a page in its place, of a login or of an error: fetch it again",
            file=file,
        )


def seen_through(read: Callable[P, T]) -> Callable[P, T]:
    """A reader whose errors say what the file is where that is known. It takes the bytes first, and `file`."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except YamlError as error:
            data = args[0]
            raise (_seen(error, data) if isinstance(data, bytes) else error) from None

    return reading


def _seen(error: YamlError, data: bytes) -> YamlError:
    conflict = re.search(_CONFLICT, data)
    if conflict is not None:
        return YamlError(
            "the file has conflicts of a merge",
            hint="choose one side of each, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>",
            file=error.facts.get("file", ""),
            line=data.count(b"\n", 0, conflict.start()) + 1,
        )
    line = _template_line(data, error.facts.get("line"))
    if line:
        return YamlError(
            "this looks like a template",
            hint="a file that a program fills in is none of values yet: take its output, or quote what stands in braces",
            file=error.facts.get("file", ""),
            line=line,
        )
    return error


def _template_line(data: bytes, line: Fact | None) -> int:
    """The line of an error, or the one before it, where a template has its braces; else 0. Elsewhere, braces may be a value's."""
    if not isinstance(line, int) or line < 1:
        return 0
    lines = data.split(b"\n", line)[:line]
    if re.search(_TEMPLATE, lines[-1]):
        return len(lines)
    if len(lines) > 1 and re.match(_TEMPLATE, lines[-2].lstrip()):
        return len(lines) - 1
    return 0
