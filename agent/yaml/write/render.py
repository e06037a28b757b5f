"""Manifests for people: what `agent render` shows, in kubectl's layout (indent 2, lists not indented)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.errors import YamlError
from agent.values.secret import Sealed, Secret
from agent.yaml import numbers
from agent.yaml.scalars import Dialect
from agent.yaml.write import styles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.values.tree import Leaf, Tree

_BREAKS = "\r\x85\u2028\u2029"


def manifest(tree: Tree) -> str:
    """A document that go-yaml v2 (and v3, and YAML 1.1 and 1.2 readers) reads back to the same tree, without `---`.

    Secret and Sealed leaves are the caller's to replace: TypeError for them.
    """
    lines = _lines(tree)
    return "".join(f"{line}\n" for line in lines)


def manifests(trees: Iterable[Tree]) -> str:
    """Documents of one file, as `manifest` writes each."""
    return "---\n".join(map(manifest, trees))


def _lines(tree: Tree) -> Iterator[str]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            written = _inline(key)
            if len(written) <= 128:
                yield from _attached(f"{written}:", value, nested="  ")
            else:
                # libyaml takes no key without `?` above 1024 characters, go-yaml writes none above 128.
                yield f"? {written}"
                yield from _attached(":", value, nested="  ")
    elif isinstance(tree, list) and tree:
        for item in tree:
            if isinstance(item, dict | list) and item:
                for number, line in enumerate(_lines(item)):
                    yield f"{'  ' if number else '- '}{line}" if line else ""
            else:
                yield from _attached("-", item, nested="  ")
    else:
        yield from _attached("", tree, nested="  ")


def _attached(lead: str, value: Tree, *, nested: str) -> Iterator[str]:
    if isinstance(value, dict | list):
        if not value:
            yield f"{lead} {'{}' if isinstance(value, dict) else '[]'}".lstrip(" ")
            return
        yield lead
        indent = "" if isinstance(value, list) else nested
        for line in _lines(value):
            yield f"{indent}{line}" if line else ""
    elif isinstance(value, str) and "\n" in value and _blocks(value):
        kept = value.rstrip("\n")
        tail = len(value) - len(kept)
        chomp = "-" if not tail else "+" if tail > 1 else ""
        yield f"{lead} |{chomp}".lstrip(" ")
        for line in value[:-1].split("\n") if tail else value.split("\n"):
            yield f"{nested}{line}" if line else ""
    else:
        yield f"{lead} {_inline(value)}".lstrip(" ")


def _blocks(text: str) -> bool:
    """Whether a text survives as a block scalar: it begins with a character, and no line needs an escape."""
    return (
        text[0] not in " \n\t" and text.strip("\n") != "" and styles.analyze(text).block
        and not any(mark in text for mark in _BREAKS)
    )  # fmt: skip


def _inline(value: Leaf) -> str:
    if isinstance(value, Secret | Sealed):
        raise TypeError("a secret cannot be rendered")
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not numbers.is_finite(value):
            raise YamlError("infinity and NaN cannot be written in a manifest")
        return numbers.json_text(value)
    return _quoted(value)


def _quoted(text: str) -> str:
    analysis = styles.analyze(text)
    if any(mark in text for mark in _BREAKS) or not analysis.single or "\n" in text:
        return styles.double_quoted(text)
    if not styles.is_text(text, Dialect.V2) or not styles.is_text(text, Dialect.V3):
        return styles.double_quoted(text)
    return text if analysis.plain and text not in {"=", "<<"} else f"'{text.replace(chr(39), chr(39) * 2)}'"
