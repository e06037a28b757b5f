"""Submodules of a commit: where they stand and which repositories they name, by what Git's own format says and nothing else.

Of `.gitmodules` only `path` and `url` count. How submodules are updated, and from where else, are settings for a user's git, which may name programs.
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from agent.manifests.listing import LONGEST_PATH
from agent.values.errors import SourceError
from agent.values.ids import Submodule

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.manifests.documents import TreeEntry

FILE: Final = ".gitmodules"
LARGEST: Final = 64 * 1024
"""Bytes of the file."""
MOST: Final = 16
"""Submodules of one source that are followed."""
DEEPEST: Final = 4
"""Submodules within one another."""
_HEADER: Final = re.compile(r'\[[ \t]*submodule[ \t]+"((?:[^"\\\n]|\\[^\n])+)"[ \t]*\]', re.IGNORECASE)
_OTHER: Final = re.compile(r'\[[A-Za-z0-9.-]+(?:[ \t]+"(?:[^"\\\n]|\\[^\n])*")?[ \t]*\]')
_NAME: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*(=?)")
_ESCAPED: Final = {"n": "\n", "t": "\t", "b": "\b", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Layers of one repository of a source: its own or that of the submodule at `within`. `numbers` are those that they have among all."""

    within: str
    layers: tuple[str, ...]
    numbers: tuple[int, ...]


def pieces(layers: Sequence[str], modules: Collection[str]) -> list[Piece]:
    """The layers of a source, each of the repository whose files it has: a submodule at one of the paths `modules` below a layer is a part of it.

    What begins with a dot does not count, as everywhere below a layer.
    """
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, layer in enumerate(layers):
        around = [path for path in modules if f"{layer}/".startswith(f"{path}/")]
        inner = max(around, key=len, default="")
        found[inner].append((layer[len(inner) + 1 :] or "." if inner else layer, number))
        for path in modules:
            below = path if layer == "." else path.removeprefix(f"{layer}/")
            inside = layer == "." or path.startswith(f"{layer}/")
            if inside and not any(step.startswith(".") for step in below.split("/")):
                found[path].append((".", number))
    return [
        Piece(within, tuple(layer for layer, _ in some), tuple(number for _, number in some))
        for within, some in found.items()
    ]


def links(listing: Mapping[str, TreeEntry], data: bytes, repository: str) -> list[Submodule]:
    """The submodules of a commit that its `.gitmodules` names, with the addresses that they have seen from `repository`.

    Raises SourceError where it can be read in more ways than one, or where files stand in the place of a submodule.
    """
    urls = _urls(data)
    found = [
        Submodule(path, resolved(urls[path], repository), entry.blob)
        for path, entry in listing.items()
        if entry.kind == "submodule" and path in urls
    ]
    for each in found:
        if len(each.path) > LONGEST_PATH or not each.path.isprintable() or not _is_plain(each.path.split("/")):
            raise SourceError("a submodule has a path that the agent does not take", file=FILE)
        steps = each.path.split("/")
        if any("/".join(steps[:number]) in listing for number in range(1, len(steps))):
            raise _taken(each.path)
    paths = sorted(listing) if found else []
    for each in found:
        first = bisect.bisect_left(paths, f"{each.path}/")
        if first < len(paths) and paths[first].startswith(f"{each.path}/"):
            raise _taken(paths[first])
    return found


def _is_plain(steps: Sequence[str]) -> bool:
    return not any(step.lower() in {"", ".", "..", ".git"} for step in steps)


def _taken(path: str) -> SourceError:
    return SourceError(
        "the commit has something else where a submodule stands", hint="commit the submodule again", file=path
    )


def resolved(url: str, repository: str) -> str:
    """The address that a submodule's `url` means: one that begins with `./` or `../` is seen from that of its repository, as Git does it."""
    if not url.startswith(("./", "../")):
        return url
    base, between = repository.removesuffix("/"), "/"
    while url.startswith(("./", "../")):
        step, _, url = url.partition("/")
        if step == "..":
            head, slash, _ = base.rpartition("/")
            between = "/" if slash else ":"
            base = head if slash else base.rpartition(":")[0]
    return f"{base}{between}{url}".removesuffix("/")


def _urls(data: bytes) -> dict[str, str]:
    """The `url` of each submodule as it is written, by its `path`. Raises SourceError."""
    sections: dict[str, dict[str, str]] = defaultdict(dict)
    for name, key, value in _settings(data):
        if key in {"path", "url"} and sections[name].setdefault(key, value) != value:
            raise _wrong("a submodule has two addresses or two paths")
    found: dict[str, str] = {}
    for each in sections.values():
        if "path" in each and "url" in each and found.setdefault(each["path"], each["url"]) != each["url"]:
            raise _wrong("a submodule has two addresses or two paths")
    return found


def _settings(data: bytes) -> list[tuple[str, str, str]]:
    """Submodule, key and value of each setting, in the format of git-config(1). Raises SourceError."""
    if len(data) > LARGEST:
        raise SourceError("larger than the agent accepts", file=FILE, limit=LARGEST)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _wrong("the file is not text") from None
    found: list[tuple[str, str, str]] = []
    name, at = "", 0
    while at < len(text):
        if text[at] in " \t\n":
            at += 1
        elif text[at] in "#;":
            at = _line_end(text, at)
        elif match := _HEADER.match(text, at):
            name, at = re.sub(r"\\(.)", r"\1", match[1]), match.end()
        elif match := _OTHER.match(text, at):
            name, at = "", match.end()
        elif match := _NAME.match(text, at):
            value, at = _value(text, match.end()) if match[2] else ("", _line_end(text, match.end()))
            if name:
                found.append((name, match[1].lower(), value))
        else:
            raise _wrong("the file is not in the format of git-config")
    return found


def _value(text: str, at: int) -> tuple[str, int]:
    """A value that begins at `at`, and where its line ends. Space at its ends does not count, unless it is quoted."""
    value, kept, quoted = "", 0, False
    while at < len(text):
        char = text[at]
        if char == "\n" or (char in "#;" and not quoted):
            break
        if char == "\\":
            at += 1
            escaped = text[at : at + 1]
            if escaped not in _ESCAPED and escaped != "\n":
                raise _wrong("the file is not in the format of git-config")
            value += _ESCAPED.get(escaped, "")
            kept = len(value)
        elif char == '"':
            quoted = not quoted
            kept = len(value)
        elif char not in " \t" or quoted:
            value += char
            kept = len(value)
        elif value:
            value += char
        at += 1
    if quoted:
        raise _wrong("the file is not in the format of git-config")
    return value[:kept], _line_end(text, at)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def _wrong(message: LiteralString) -> SourceError:
    return SourceError(message, hint="git config --file .gitmodules --list shows what Git reads", file=FILE)
